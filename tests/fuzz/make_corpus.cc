// Writes the initial inputs of the fuzzers, FOLDER/FUZZER/NAME, a few KB each.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/converter/onnx_builder.h"
#include "tests/fuzz/tied_input.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"
#include "tests/support/test_model.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

using Corpus = std::map<std::string, std::string>;

template <class T>
std::string BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string NameOf(const TableForm& form) {
  std::ostringstream name;
  name << form;
  return name.str();
}

// A header that uses one string, one shape and one constant in several places, as no writer of ours does.
std::string SharedParts() {
  namespace fb = format;
  flatbuffers::FlatBufferBuilder builder;
  const auto text = builder.CreateString("n");
  const auto dim = fb::CreateDim(builder, -1, text);
  const auto dims = builder.CreateVector(std::vector(2, dim));
  const auto value =
      builder.CreateVector(std::vector(1, fb::CreateValueInfo(builder, text, fb::DataType::Int32, dims)));
  const auto constant = fb::CreateConstant(builder, builder.CreateVector(std::vector<uint8_t>(4))).Union();
  const std::vector<fb::OutputDim> shape = {{fb::DimRule::InputDim, 0}};
  const auto op =
      fb::CreateOp(builder, fb::Operation::Constant, constant, 0, 0, builder.CreateVectorOfStructs(shape), text);
  const auto ops = builder.CreateVector(std::vector(1, op));
  const std::vector entry_points = {fb::CreateEntryPoint(builder, text, 0, ops),
                                    fb::CreateEntryPoint(builder, builder.CreateString("m"), 0, ops)};
  const auto tables = builder.CreateVector(std::vector<flatbuffers::Offset<fb::TiedTable>>());
  fb::FinishHeaderBuffer(
      builder, fb::CreateHeader(builder, text, text, text, value, value, tables, builder.CreateVector(entry_points)));
  const std::string flatbuffer(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  return WithPreamble(flatbuffer, 32 + flatbuffer.size());
}

Corpus TiedBytes() {
  Corpus corpus;
  corpus["SharedParts"] = InputOfFile(SharedParts());
  const TestModel model(9, 5);
  for (const TableForm& form : AllTableForms()) {
    for (const auto result : {format::HeadResult::Logits, format::HeadResult::TopkValues}) {
      TiedFile file = model.MakeFile();
      std::vector<float> values = MakeNumbers(Numbers::kNormal, model.rows() * model.cols(), 1);
      StoreTable(&file, form, model.rows(), model.cols(), &values);
      format::HeadT& head = *file.header.entry_points[1]->ops[0]->operation.AsHead();
      head.result = result;
      head.k = result == format::HeadResult::Logits ? 0 : 2;
      head.log_softmax = form.screen;
      corpus[NameOf(form) + format::EnumNameHeadResult(result)] = InputOfFile(file.Bytes());
    }
  }
  const std::string start = WithPreamble("no flatbuffer", 45);
  corpus["Preamble"] = BytesOf(uint16_t{0xffff}) + start;
  return corpus;
}

Corpus TiedHeader() {
  Corpus corpus;
  const std::vector<TableForm> forms = AllTableForms();
  for (uint16_t form = 0; form < forms.size(); ++form) {
    const std::string model = BytesOf(form) + BytesOf(uint16_t{19}) + BytesOf(uint16_t{33});
    corpus[NameOf(forms[form])] = model;
    corpus[NameOf(forms[form]) + "Lies"] = model + std::string(40, static_cast<char>(form + 1));
  }
  return corpus;
}

onnx::TensorProto ByteTensor(const std::string& name, const std::vector<int64_t>& dims, size_t size) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::UINT8);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 37 % 251);
  tensor.set_raw_data(bytes);
  return tensor;
}

// A model of these lines, with constants in addition to those of MakeModel().
onnx::ModelProto Plain(const Lines& lines, const std::vector<onnx::TensorProto>& constants) {
  ModelForm form;
  form.head = {"L = Uses(bias, axis1, m1, flat, unflat)"};
  onnx::ModelProto model = MakeModel(form, "");
  onnx::GraphProto* graph = model.mutable_graph();
  graph->clear_node();
  graph->clear_output();
  for (const onnx::TensorProto& constant : constants) *graph->add_initializer() = constant;
  AddNodes(graph, lines);
  for (const onnx::NodeProto& node : graph->node()) {
    for (const std::string& output : node.output()) {
      const int type = output == "ids" ? onnx::TensorProto::INT64 : onnx::TensorProto::FLOAT;
      if (output == "embed" || output == "logits" || output == "ids") {
        AddValue(graph->mutable_output(), output, type, {-1, -1, -1});
      }
    }
  }
  return model;
}

ModelForm Head(const Lines& lines) {
  ModelForm form;
  form.head = lines;
  return form;
}

Corpus Onnx(const std::string& folder) {
  std::map<std::string, onnx::ModelProto> models;
  for (const Storage storage :
       {Storage::kRaw, Storage::kTyped, Storage::kConstantNodes, Storage::kRepeated, Storage::kExternal}) {
    ModelForm form;
    form.storage = storage;
    models["Storage" + std::to_string(static_cast<int>(storage))] = MakeModel(form, folder);
  }
  models["Transposed"] = MakeModel(Head({"L = MatMul(pre_logits, Wt)"}), "");
  models["Gemm"] = MakeModel(
      Head({"x = Reshape(pre_logits, flat)", "y = Gemm(x, W, bias) {transB=1}", "L = Reshape(y, unflat)"}), "");
  ModelForm scaled = Head({"wt = Transpose(W) {perm=[1,0]}", "y = MatMul(pre_logits, wt)", "L = Add(y, bias)"});
  scaled.embed = {"g = Gather(W, input_ids)", "E = Mul(g, scale)"};
  models["ScaleAndBias"] = MakeModel(scaled, "");
  models["Selection"] =
      Plain({"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "p = LogSoftmax(y)", "logits, ids = TopK(p, five)"},
            {IntTensor("five", {5})});
  const onnx::TensorProto bytes = ByteTensor("Q", {kRows, kCols}, size_t{kRows * kCols});
  const onnx::TensorProto scales = RawTensor("s", {kRows}, std::vector<float>(size_t{kRows}, 0.5f));
  const onnx::TensorProto scale = RawTensor("one", {}, {0.25f});
  models["DequantizeLinear"] = Plain({"w = DequantizeLinear(Q, s, z) {axis=0}", "embed = Gather(w, input_ids)",
                                      "wt = Transpose(w)", "logits = MatMul(pre_logits, wt)"},
                                     {bytes, scales, ByteTensor("z", {kRows}, size_t{kRows})});
  models["DynamicQuantize"] =
      Plain({"q, step, zero = DynamicQuantizeLinear(pre_logits)", "p = MatMulInteger(q, Qt, zero)",
             "c = Cast(p) {to=1}", "both = Mul(step, one)", "logits = Mul(c, both)"},
            {ByteTensor("Qt", {kCols, kRows}, size_t{kRows * kCols}), scale});
  models["Blocks"] = Plain(
      {"logits = com.microsoft.MatMulNBits(pre_logits, B, s) {N=37, K=12, bits=4, block_size=32}",
       "embed = com.microsoft.GatherBlockQuantized(B2, input_ids, s2) {bits=4, block_size=32}"},
      {ByteTensor("B", {kRows, 1, 16}, size_t{kRows * 16}), scales, ByteTensor("B2", {kRows, 16}, size_t{kRows * 16}),
       RawTensor("s2", {kRows, 1}, std::vector<float>(size_t{kRows}, 0.5f))});
  const onnx::ModelProto whole = Plain({"g = Gather(W, input_ids)", "e = Mul(g, scale)", "h = Relu(e)",
                                        "wt = Transpose(W)", "y = MatMul(h, wt)", "logits = Add(y, bias)"},
                                       {RawTensor("scale", {}, {3.5f})});
  Corpus corpus;
  for (const auto& [name, model] : models) {
    corpus[name] = '\x05' + model.SerializeAsString();
    corpus[name + "Screen"] = '\x02' + model.SerializeAsString();
  }
  corpus["Int8"] = '\x1c' + models["Transposed"].SerializeAsString();
  corpus["Int4"] = '\x24' + models["Transposed"].SerializeAsString();
  corpus["Split"] = '\x80' + whole.SerializeAsString();
  corpus["SplitIf"] = '\x80' + models["Storage0"].SerializeAsString();
  return corpus;
}

std::string Tensor(const std::string& name, const std::string& dtype, const std::string& shape, size_t begin,
                   size_t end) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
         std::to_string(begin) + "," + std::to_string(end) + "]}";
}

Corpus Safetensors() {
  const std::string zero(1, '\0');
  const std::string config = R"({"model_type":"m2m_100","scale_embedding":true,"tie_word_embeddings":true})" + zero;
  const std::string index = R"({"weight_map":{"shared.weight":"model.safetensors"}})" + zero;
  const std::string values(7 * 4 * 4, '\x3f');
  const std::string table = Tensor("shared.weight", "F32", "[7,4]", 0, 112);
  const std::string bias = Tensor("final_logits_bias", "F32", "[1,7]", 112, 140);
  const std::string head = Tensor("lm_head.weight", "BF16", "[14,4]", 0, 112);
  Corpus corpus;
  corpus["Tied"] = '\x05' + config + zero + "{" + table + "}" + zero + values;
  corpus["Index"] = '\x02' + config + index + "{" + table + "}" + zero + values;
  corpus["Bias"] = '\x05' + config + zero + "{\"__metadata__\":{\"format\":\"pt\"}," + table + "," + bias + "}" + zero +
                   values + values.substr(0, 28);
  corpus["Untied"] = '\x01' + std::string(R"({"text_config":{"model_type":"gemma3_text"}})") + zero + zero + "{" +
                     table + "," + head + "}" + zero + values;
  corpus["AsItIs"] = '\x05' + config + zero + zero + BytesOf(uint64_t{2}) + "{}";
  return corpus;
}

Corpus NpyFiles() {
  Corpus corpus;
  corpus["Ids"] = NpyIds("(2, 2)", {1, 2, 3, 4});
  corpus["Floats"] = NpyFloats("(3,)", {1, 2, 3});
  corpus["Scalar"] = NpyOf("|b1", "()", "\1");
  corpus["Version2"] = NpyWithHeader("{'descr': '<i4', 'fortran_order': True, 'shape': (1,)}", "\1\2\3\4", 2);
  corpus["Raw"] = std::string(24, '\x3f');
  return corpus;
}

void Write(const std::filesystem::path& folder, const Corpus& corpus) {
  std::filesystem::create_directories(folder);
  for (const auto& [name, input] : corpus) std::ofstream(folder / name, std::ios::binary) << input;
}

}  // namespace
}  // namespace tied::test

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  std::filesystem::create_directories(folder);
  tied::test::Write(folder / "tied_bytes", tied::test::TiedBytes());
  tied::test::Write(folder / "tied_header", tied::test::TiedHeader());
  tied::test::Write(folder / "onnx", tied::test::Onnx(folder.string()));
  std::filesystem::remove(folder / "table.bin");
  tied::test::Write(folder / "safetensors", tied::test::Safetensors());
  tied::test::Write(folder / "npy", tied::test::NpyFiles());
}
