// The smallest models that the converter takes, beside those of onnx_builder.h.
#ifndef TIED_TESTS_FAULTS_SMALL_MODELS_H_
#define TIED_TESTS_FAULTS_SMALL_MODELS_H_

#include <onnx/onnx_pb.h>

#include <string>

namespace tied::test {

// The table alone, with this config.json beside it.
std::string SafetensorsFile();
inline constexpr char kSafetensorsConfig[] = R"({"model_type":"llama","tie_word_embeddings":true})";

// A decoder with two matrices between its embedding and its head, large enough to go to a file of their own.
onnx::ModelProto DecoderExport();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_SMALL_MODELS_H_
