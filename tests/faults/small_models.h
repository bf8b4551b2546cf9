// The smallest models that the converter accepts, in addition to those of onnx_builder.h.
#ifndef TIED_TESTS_FAULTS_SMALL_MODELS_H_
#define TIED_TESTS_FAULTS_SMALL_MODELS_H_

#include <onnx/onnx_pb.h>

#include <string>

namespace tied::test {

// A file with only the table. Put this config.json beside it.
std::string SafetensorsFile();
inline constexpr char kSafetensorsConfig[] = R"({"model_type":"llama","tie_word_embeddings":true})";

// A decoder with two matrices between its embedding and its head, large enough to be written to a separate file.
onnx::ModelProto DecoderExport();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_SMALL_MODELS_H_
