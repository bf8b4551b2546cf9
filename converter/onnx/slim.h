// Reads ONNX files without the values of large tensors.
#ifndef TIED_CONVERTER_ONNX_SLIM_H_
#define TIED_CONVERTER_ONNX_SLIM_H_

#include <onnx/onnx_pb.h>

#include <string>

namespace tied::converter {

// Key of the external_data entry that marks a tensor whose values are in the model file itself.
inline constexpr char kInlineKey[] = "tied.inline";

// Reads an ONNX file except for the values of large tensors. Such a tensor has external data with kInlineKey and the
// offset and length of its values in the file. Throws ConvertError.
onnx::ModelProto ReadSlimModel(const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_SLIM_H_
