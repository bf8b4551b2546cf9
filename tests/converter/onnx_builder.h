// Small ONNX models, with nodes written as lines of text.
#ifndef TIED_TESTS_CONVERTER_ONNX_BUILDER_H_
#define TIED_TESTS_CONVERTER_ONNX_BUILDER_H_

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace tied::test {

using Lines = std::vector<std::string>;

// Parses lines such as "y = Transpose(x) {perm=[1,0], axis=0}". Attributes are integers and lists of integers.
// Operators of other domains have the domain as a prefix. The name of a node is its output plus "_node".
void AddNodes(onnx::GraphProto* graph, const Lines& lines);

void AddValue(google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>* values, const std::string& name, int type,
              const std::vector<int64_t>& dims);  // -1: free

onnx::TensorProto RawTensor(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& data);
onnx::TensorProto IntTensor(const std::string& name, const std::vector<int64_t>& data, bool scalar = false);

// Of uint8.
onnx::TensorProto BytesTensor(const std::string& name, const std::vector<int64_t>& dims, const std::string& bytes);

// A Constant node.
void AddConstant(onnx::GraphProto* graph, const onnx::TensorProto& tensor);

// Place and form of the table in the file.
enum class Storage { kRaw, kTyped, kConstantNodes, kRepeated, kExternal };

// The parts of the model; the defaults are the simplest forms.
struct ModelForm {
  Lines head = {"wt = Transpose(W)", "L = MatMul(pre_logits, wt)"};  // pre_logits -> L
  Lines embed = {"E = Gather(W, input_ids)"};                        // input_ids -> E
  Storage storage = Storage::kRaw;
  int64_t opset = 17;
};

inline constexpr int64_t kRows = 37;
inline constexpr int64_t kCols = 12;

// The table of every model, [kRows, kCols], and the bias, [kRows].
std::vector<float> Table();
std::vector<float> Bias();
inline constexpr float kScale = 3.5f;

// An If on use_lm_head with the head and the embedding. Each branch has an empty constant for the output that it does
// not compute. Constants that the lines may use: W, Wt (its transposed copy), bias, scale, and integers m1 = [-1], flat
// = [-1, kCols], unflat = [-1, 1, kRows], width = [kCols], axis0 = [0], axis1 = [1], pairs = [-1, 2]. External data
// goes to `folder`/table.bin.
onnx::ModelProto MakeModel(const ModelForm& form, const std::string& folder);

void Save(const onnx::ModelProto& model, const std::string& path);

}  // namespace tied::test

#endif  // TIED_TESTS_CONVERTER_ONNX_BUILDER_H_
