// ONNX files whose weights are copied from where they lie.
#ifndef TIED_CONVERTER_ONNX_WRITE_H_
#define TIED_CONVERTER_ONNX_WRITE_H_

#include <onnx/onnx_pb.h>

#include <memory>
#include <string>

#include "base/output_file.h"

namespace tied::converter {

// A model that ReadSlimModel() has read from `source`, on its way to `path`, with its large tensors in `path`.data,
// each at a multiple of 4096 as ONNX Runtime maps them. Streams: memory does not depend on the size of the weights.
class OnnxWriter {
 public:
  OnnxWriter(onnx::ModelProto model, std::string source, const std::string& path);

  // Writes and syncs; Commit() makes the files visible, the second first, if it holds anything. Without it nothing is
  // left.
  void Write();
  void Commit();

 private:
  void MoveTensors(onnx::GraphProto* graph);
  void MoveTensor(onnx::TensorProto* tensor);

  onnx::ModelProto model_;
  const std::string source_;
  const std::string data_name_;
  OutputFile onnx_;
  OutputFile data_;
  uint64_t end_ = 0;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_WRITE_H_
