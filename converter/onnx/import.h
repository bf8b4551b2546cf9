// Reads ONNX models and tensors.
#ifndef TIED_CONVERTER_ONNX_IMPORT_H_
#define TIED_CONVERTER_ONNX_IMPORT_H_

#include <onnx/onnx_pb.h>

#include <string>

#include "converter/graph/graph.h"
#include "converter/graph/tensor_ref.h"

namespace tied::converter {

// Reads the graph of an ONNX file, subgraphs included. Throws ConvertError for what is not valid ONNX, for external
// data outside the model's folder, and for tensors whose bytes do not match their shape.
Graph ReadGraph(const std::string& onnx_path);

// A reference to a tensor of a model from ReadSlimModel(). Throws ConvertError as ReadGraph() does.
TensorRef ImportTensor(const onnx::TensorProto& proto, const std::string& onnx_path);

// The graph of such a model, or of a model made of parts of it.
Graph ImportModel(const onnx::ModelProto& model, const std::string& onnx_path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_IMPORT_H_
