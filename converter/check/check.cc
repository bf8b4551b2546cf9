#include "converter/check/check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "base/error.h"
#include "converter/check/evaluator.h"
#include "converter/check/input_sizes.h"
#include "converter/output/open_model.h"
#include "schema/number_format.h"

namespace tied::converter {

namespace {

constexpr uint64_t kMaxInput = 64u << 20;

// An input for tied and for the reference evaluation.
struct Input {
  tied_tensor tensor;
  std::vector<char> bytes;
  Array array;
};

class Checker {
 public:
  Checker(const Graph& graph, const Plan& plan, const std::string& path, CheckReport* report)
      : graph_(graph), sizes_(ChooseInputSizes(graph)), plan_(plan), report_(report), opened_(path) {
    tied_error error;
    tied_head_info head = TIED_HEAD_INFO_INIT;
    const bool has_head = tied_model_get_head(opened_.model(), &head, nullptr) == TIED_OK;
    Require(tied_model_get_table(opened_.model(), has_head ? head.table : 0, &table_, &error), error);
    kept_.resize(static_cast<size_t>(table_.vocabulary));
    for (uint64_t row = 0; row < table_.rows; ++row) kept_[static_cast<size_t>(IdOf(row))] = true;
  }

  void Run() {
    tied_error error;
    tied_model_info info;
    Require(tied_model_get_info(opened_.model(), &info, &error), error);
    for (size_t i = 0; i < info.entry_point_count; ++i) RunEntryPoint(i);
    CheckDropped();
  }

 private:
  int64_t IdOf(uint64_t row) const {
    return table_.id_of_row == nullptr ? static_cast<int64_t>(row) : table_.id_of_row[row];
  }

  // Checks that a dropped id cannot be embedded.
  void CheckDropped() {
    const auto dropped = std::find(kept_.begin(), kept_.end(), false);
    if (dropped == kept_.end()) return;
    const int64_t id = dropped - kept_.begin();
    tied_embedding_info info = TIED_EMBEDDING_INFO_INIT;
    if (tied_model_get_embedding(opened_.model(), &info, nullptr) != TIED_OK) return;
    std::vector<float> embedding(static_cast<size_t>(info.cols));
    const tied_status status = tied_embed(opened_.session(), &id, 1, embedding.data(), embedding.size(), nullptr);
    report_->dropped_ids = {kept_.size() - table_.rows, status == TIED_OUT_OF_RANGE};
  }

  void RunEntryPoint(size_t index) {
    tied_error error;
    tied_entry_point_info entry_point;
    Require(tied_model_get_entry_point(opened_.model(), index, &entry_point, &error), error);
    std::vector<Input> inputs;
    for (const ValueInfo& info : sizes_) inputs.push_back(MakeInput(info, 0));
    for (size_t i = 0; i < entry_point.selector_count; ++i) {
      tied_selector_info selector;
      Require(tied_model_get_selector(opened_.model(), index, i, &selector, &error), error);
      inputs[selector.input] = MakeInput(sizes_[selector.input], selector.value);
    }
    std::map<std::string, Array> arrays;
    std::vector<tied_tensor> tensors;
    for (const Input& input : inputs) {
      arrays[input.tensor.name] = input.array;
      tensors.push_back(input.tensor);
    }
    const auto expected = Evaluate(graph_, arrays, Arithmetic::kValues, kept_);
    // Key: whether hidden states are quantised, for products with integers.
    std::map<bool, std::map<std::string, Array>> magnitudes;
    const auto magnitudes_of = [&](const std::string& output, bool quantised) {
      if (magnitudes.count(quantised) == 0) {
        auto of = arrays;
        for (auto& [name, array] : of) array = quantised ? Largest(array) : array;
        magnitudes[quantised] = Evaluate(graph_, of, Arithmetic::kMagnitudes, kept_);
      }
      return magnitudes.at(quantised).at(output);
    };
    for (const ValueInfo& output : graph_.outputs) {
      OutputCheck check;
      check.entry_point = entry_point.name;
      check.output = output.name;
      const std::vector<char> bytes = RunOutput(entry_point.name, output.name, tensors);
      const Made made = FindMade(index, output.name, arrays);
      Compare(bytes, expected.at(output.name), magnitudes_of(output.name, made.quantised), made, &check);
      report_->outputs.push_back(std::move(check));
    }
  }

  // How an output is computed.
  struct Made {
    bool logits = false;     // one number per id of the vocabulary
    bool quantised = false;  // a product with a table of integers
    double bound = 0;        // of the error, as a share of the magnitudes
    double shift = 0;        // largest difference caused by reading a different table than the model
    bool lossless = true;    // every value of the table survived
  };

  Made FindMade(size_t entry_point, const std::string& output, const std::map<std::string, Array>& inputs) const {
    tied_error error;
    tied_entry_point_info info;
    Require(tied_model_get_entry_point(opened_.model(), entry_point, &info, &error), error);
    for (size_t i = 0; i < info.op_count; ++i) {
      tied_op_info op;
      Require(tied_model_get_op(opened_.model(), entry_point, i, &op, &error), error);
      if (graph_.outputs[op.output].name != output || std::strcmp(op.kind, "Constant") == 0) continue;
      tied_table_info table;
      Require(tied_model_get_table(opened_.model(), op.table, &table, &error), error);
      Made made;
      made.logits = std::strcmp(op.result, "Logits") == 0;
      const bool head = std::strcmp(op.kind, "Head") == 0;
      made.quantised = head && format::FindFormat(static_cast<format::DataType>(table.type))->is_quantised;
      // With integer tables, hidden states are quantised, with an error of half a unit of the largest element. A scale
      // rounds the hidden state once more; a soft cap rounds its quotient, tanh and product.
      const int more = head ? (op.scale != 1 ? 1 : 0) + (op.soft_cap != 0 ? 4 : 0) : 0;
      const auto roundings = (static_cast<double>(table.cols + 2) + more) * std::ldexp(1.0, -24);
      made.bound = roundings / (1 - roundings) + (made.quantised ? 0.5 / format::kLargestQuantisedHidden : 0);
      made.lossless = plan_.encodings[op.table].lossless;
      made.shift = ShiftOf(plan_.entry_points[entry_point].ops[i], inputs) * (1 + made.bound);
      return made;
    }
    return {};
  }

  // The largest difference of an output if the operation reads a different table than in the model.
  double ShiftOf(const PlannedOp& op, const std::map<std::string, Array>& inputs) const {
    if (!op.moved) return 0;
    const TableDifference& difference = plan_.moved[*op.moved].difference;
    const auto* head = std::get_if<HeadOp>(&op.operation);
    if (head == nullptr) return std::fabs(std::get<EmbeddingOp>(op.operation).scale) * difference.largest;
    const Array hidden = Largest(inputs.at(plan_.inputs[op.input].name));
    const double logit = (hidden.size() == 0 ? 0 : hidden.Float(0)) * difference.largest_row_sum;
    // log_z changes by at most as much as a logit, and so does a logit that another one is compared with.
    return head->result == HeadOp::Result::kLogits && !head->log_softmax ? logit : 2 * logit;
  }

  // Replaces every number by the largest magnitude, which determines the step of quantised hidden states.
  static Array Largest(const Array& array) {
    if (array.integers) return array;
    double largest = 0;
    for (int64_t i = 0; i < array.size(); ++i) largest = std::max(largest, std::fabs(array.Float(i)));
    return Array::OfDoubles(array.dims, std::vector<double>(static_cast<size_t>(array.size()), largest));
  }

  Input MakeInput(const ValueInfo& info, int boolean) {
    Input input;
    input.tensor = {};
    input.tensor.name = info.name.c_str();
    input.tensor.type = static_cast<tied_type>(info.type);
    input.tensor.rank = info.dims.size();
    std::vector<int64_t> dims;
    for (const ValueInfo::Dim& dim : info.dims) dims.push_back(dim.size);
    std::copy(dims.begin(), dims.end(), input.tensor.dims);
    const uint64_t bytes = CheckedBytes(dims, ElementSize(info.type), info.name);
    if (bytes > kMaxInput) throw ConvertError("input '" + info.name + "' is too large to be tried");
    input.bytes.resize(static_cast<size_t>(bytes));
    const size_t count = ElementSize(info.type) == 0 ? 0 : input.bytes.size() / ElementSize(info.type);
    switch (info.type) {
      case ElementType::kFloat32:
        input.array = Fill<float>(&input, dims, count, [&] { return std::normal_distribution<float>()(random_); });
        break;
      case ElementType::kInt64:
        input.array = Fill<int64_t>(&input, dims, count, [&] { return RandomId(); });
        break;
      case ElementType::kInt32:
        input.array = Fill<int32_t>(&input, dims, count, [&] { return static_cast<int32_t>(RandomId()); });
        break;
      default:
        input.array = Fill<char>(&input, dims, count, [&] { return static_cast<char>(boolean); });
    }
    input.tensor.data = input.bytes.data();
    input.tensor.bytes = input.bytes.size();
    return input;
  }

  int64_t RandomId() { return IdOf(random_() % table_.rows); }

  template <class T, class Make>
  static Array Fill(Input* input, const std::vector<int64_t>& dims, size_t count, const Make& make) {
    std::vector<double> doubles;
    std::vector<int64_t> ints;
    for (size_t i = 0; i < count; ++i) {
      const T value = make();
      std::memcpy(input->bytes.data() + i * sizeof(T), &value, sizeof value);
      doubles.push_back(static_cast<double>(value));
      ints.push_back(static_cast<int64_t>(value));
    }
    return std::is_same_v<T, float> ? Array::OfDoubles(dims, doubles) : Array::OfInts(dims, ints);
  }

  // Returns the bytes of one output, and sets shape_ and type_.
  std::vector<char> RunOutput(const char* entry_point, const std::string& name,
                              const std::vector<tied_tensor>& inputs) {
    tied_error error;
    tied_tensor output = {};
    output.name = name.c_str();
    Require(tied_run(opened_.session(), entry_point, inputs.data(), inputs.size(), &output, 1, &error), error);
    std::vector<char> bytes(output.bytes + 1);
    output.data = bytes.data();
    Require(tied_run(opened_.session(), entry_point, inputs.data(), inputs.size(), &output, 1, &error), error);
    bytes.resize(output.bytes);
    shape_.assign(output.dims, output.dims + output.rank);
    type_ = output.type;
    return bytes;
  }

  void Compare(const std::vector<char>& bytes, const Array& expected, const Array& magnitudes, const Made& made,
               OutputCheck* check) {
    check->values = expected.size();
    if (shape_ != expected.dims) {
      check->fault = OutputCheck::Fault::kDifferentShape;
      return;
    }
    double largest = 0;
    double share = 0;
    int64_t other_ids = 0;
    for (int64_t i = 0; i < expected.size(); ++i) {
      if (made.logits && !kept_[static_cast<size_t>(i) % kept_.size()]) {
        if (ValueAt(bytes, i) == -INFINITY) continue;
        check->fault = OutputCheck::Fault::kLogitOfDroppedId;
        return;
      }
      const bool ids = expected.ranked != nullptr;
      if (ids) other_ids += ValueAt(bytes, i) != expected.Float(i);
      const Difference found = ids ? DifferenceOfIds(bytes, expected, magnitudes, i)
                                   : DifferenceOf(ValueAt(bytes, i), expected.Float(i), magnitudes.Float(i));
      largest = std::max(largest, found.size);
      if (found.size > 0) share = std::max(share, found.size / (made.bound * found.magnitude + made.shift));
    }
    if (expected.ranked != nullptr) check->other_ids = other_ids;
    check->largest_difference = largest;
    if (!made.lossless) return;
    check->share_of_bound = share;
    if (!(share <= 1)) check->fault = OutputCheck::Fault::kOutsideOfBound;
  }

  struct Difference {
    double size;
    double magnitude;  // of the sum
  };

  // The difference from NaN is infinite.
  static Difference DifferenceOf(double value, double expected, double magnitude) {
    const double size = value == expected ? 0 : std::fabs(value - expected);
    return {std::isnan(size) ? INFINITY : size, magnitude};
  }

  // Compares the values of the found and the expected id: rounding may swap ids with nearly equal values.
  Difference DifferenceOfIds(const std::vector<char>& bytes, const Array& expected, const Array& magnitudes,
                             int64_t index) const {
    const Array& values = *expected.ranked;
    const int64_t width = values.dims.back();
    const int64_t first = index * values.size() / width / expected.size() * width;
    const auto id = static_cast<int64_t>(ValueAt(bytes, index));
    if (id < 0 || id >= width || !kept_[static_cast<size_t>(id)]) return {INFINITY, 1};
    const int64_t found = first + id, wanted = first + expected.Int(index);
    return {std::fabs(values.Float(found) - values.Float(wanted)),
            magnitudes.ranked->Float(found) + magnitudes.ranked->Float(wanted)};
  }

  double ValueAt(const std::vector<char>& bytes, int64_t index) const {
    const auto at = static_cast<size_t>(index);
    if (type_ == TIED_FLOAT32) return Read<float>(bytes, at);
    if (type_ == TIED_INT32) return Read<int32_t>(bytes, at);
    if (type_ == TIED_INT64) return static_cast<double>(Read<int64_t>(bytes, at));
    return bytes[at];
  }

  template <class T>
  static T Read(const std::vector<char>& bytes, size_t index) {
    T value;
    std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof value);
    return value;
  }

  const Graph& graph_;
  const std::vector<ValueInfo> sizes_;  // inputs without free dimensions
  const Plan& plan_;
  CheckReport* const report_;
  const OpenModel opened_;
  tied_table_info table_;
  std::vector<bool> kept_;  // for each id of the vocabulary
  std::mt19937_64 random_{1};
  std::vector<int64_t> shape_;
  tied_type type_ = TIED_FLOAT32;
};

}  // namespace

void CheckConversion(const Graph& graph, const Plan& plan, const std::string& tied_path, CheckReport* report) {
  Checker(graph, plan, tied_path, report).Run();
}

}  // namespace tied::converter
