// Writes ONNX files with weights copied from other files.
#ifndef TIED_CONVERTER_ONNX_WRITE_H_
#define TIED_CONVERTER_ONNX_WRITE_H_

#include <onnx/onnx_pb.h>

#include <memory>
#include <string>

#include "base/output_file.h"

namespace tied::converter {

// Writes a model that ReadSlimModel() has read from `source` to `path`, with large tensors in `path`.data, each at a
// multiple of 4096 so that ONNX Runtime can map it. Streams: memory does not depend on the size of the weights.
class OnnxWriter {
 public:
  OnnxWriter(onnx::ModelProto model, std::string source, const std::string& path);

  // Write() writes and syncs; Commit() makes the files visible, first the data file, if it is not empty. Without
  // Commit(), no file is left.
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
