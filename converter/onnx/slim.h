// Reads ONNX files without the values of large tensors.
#ifndef TIED_CONVERTER_ONNX_SLIM_H_
#define TIED_CONVERTER_ONNX_SLIM_H_

#include <onnx/onnx_pb.h>

#include <string>

namespace tied::converter {

// Reads an ONNX file except for the values of large tensors. Such a tensor becomes one with external data, at the
// offset of its values in the model file itself. Throws ConvertError.
onnx::ModelProto ReadSlimModel(const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_SLIM_H_
