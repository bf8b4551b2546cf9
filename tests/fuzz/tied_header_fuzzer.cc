// A well-formed header with hostile content: numbers, types and indices of a good model are replaced, and the
// flatbuffer is built again, so that it verifies. The file is refused or works; without changes it works.
//
// Input: the form of the table, its rows and columns; then a sequence of edits.
#include <cmath>
#include <limits>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"
#include "tests/support/test_model.h"

namespace tied::test {
namespace {

namespace fb = tied::format;

// A number near the field's value, near a limit of arithmetic, or an arbitrary one.
uint64_t Hostile(Input& input, uint64_t now) {
  static constexpr uint64_t kNumbers[] = {0,
                                          1,
                                          8,
                                          INT32_MAX,
                                          uint64_t{1} << 31,
                                          UINT32_MAX,
                                          uint64_t{1} << 32,
                                          uint64_t{1} << 62,
                                          INT64_MAX,
                                          uint64_t{1} << 63,
                                          UINT64_MAX - 65535,
                                          UINT64_MAX};
  switch (input.Below(5)) {
    case 0:
      return kNumbers[input.Below(std::size(kNumbers))];
    case 1:
      return now + static_cast<uint64_t>(int64_t{input.Take<int8_t>()});
    case 2:
      return now + 65536 * static_cast<uint64_t>(int64_t{input.Take<int8_t>()});
    case 3:
      return now << input.Below(64);
    default:
      return input.Take<uint64_t>();
  }
}

template <class T>
void Set(Input& input, T* field) {
  *field = static_cast<T>(Hostile(input, static_cast<uint64_t>(*field)));
}

class Liar {
 public:
  Liar(Input& input, fb::HeaderT* header) : input_(input), header_(*header) {}

  void Tell() {
    switch (input_.Below(6)) {
      case 0:
        return ChangePlane();
      case 1:
        return ChangeTable();
      case 2:
        return ChangeValue(*Any(input_.Flip() ? header_.inputs : header_.outputs));
      case 3:
        return ChangeEntryPoint(*Any(header_.entry_points));
      default: {
        fb::EntryPointT& entry_point = *Any(header_.entry_points);
        if (!entry_point.ops.empty()) ChangeOp(*Any(entry_point.ops));
      }
    }
  }

 private:
  template <class T>
  T& Any(std::vector<T>& items) {
    return items[input_.Below(items.size())];
  }

  std::vector<std::unique_ptr<fb::Plane>*> Planes() {
    std::vector<std::unique_ptr<fb::Plane>*> planes;
    for (auto& table : header_.tables) {
      for (auto* plane : {&table->values, &table->scales, &table->zero_points}) planes.push_back(plane);
      if (table->screen == nullptr) continue;
      for (auto* plane : {&table->screen->upper, &table->screen->lower, &table->screen->scales,
                          &table->screen->upper_norms, &table->screen->norms}) {
        planes.push_back(plane);
      }
    }
    for (auto& entry_point : header_.entry_points) {
      for (auto& op : entry_point->ops) {
        if (auto* head = op->operation.AsHead()) planes.push_back(&head->bias);
      }
    }
    return planes;
  }

  void ChangePlane() {
    auto planes = Planes();
    std::unique_ptr<fb::Plane>& plane = *Any(planes);
    const std::unique_ptr<fb::Plane>& other = *Any(planes);
    const fb::Plane was = plane != nullptr ? *plane : other != nullptr ? *other : fb::Plane(65536, 4, 0);
    uint64_t offset = was.offset(), length = was.length();
    const size_t what = input_.Below(4);
    if (what == 0 || what == 2) Set(input_, &offset);
    if (what == 1 || what == 2) Set(input_, &length);
    if (what == 3 && other != nullptr) offset = other->offset();
    plane = std::make_unique<fb::Plane>(offset, length, was.hash());
  }

  void ChangeTable() {
    fb::TiedTableT& table = *Any(header_.tables);
    switch (input_.Below(5)) {
      case 0:
        return Set(input_, &table.rows);
      case 1:
        return Set(input_, &table.cols);
      case 2:
        table.type = static_cast<fb::DataType>(input_.Take<uint8_t>());
        return;
      case 3:
        (input_.Flip() ? table.scales : table.zero_points) = nullptr;
        return;
      default:
        std::swap(table.rows, table.cols);
    }
  }

  void ChangeValue(fb::ValueInfoT& value) {
    switch (input_.Below(5)) {
      case 0:
        value.type = static_cast<fb::DataType>(input_.Take<uint8_t>());
        return;
      case 1:
        value.dims.push_back(std::make_unique<fb::DimT>());
        return;
      case 2:
        if (!value.dims.empty()) value.dims.pop_back();
        return;
      case 3:
        if (!value.dims.empty()) Set(input_, &Any(value.dims)->size);
        return;
      default:
        value.name = input_.TakeBytes(input_.Below(12));
    }
  }

  void ChangeEntryPoint(fb::EntryPointT& entry_point) {
    switch (input_.Below(4)) {
      case 0:
        entry_point.name = input_.TakeBytes(input_.Below(12));
        return;
      case 1:
        if (!entry_point.ops.empty()) entry_point.ops.pop_back();
        return;
      case 2:
        entry_point.selectors.push_back(std::make_unique<fb::SelectorT>());
        return;
      default:
        if (!entry_point.selectors.empty()) Set(input_, &Any(entry_point.selectors)->input);
    }
  }

  void ChangeOp(fb::OpT& op) {
    switch (input_.Below(6)) {
      case 0:
        return Set(input_, &op.input);
      case 1:
        return Set(input_, &op.output);
      case 2:
        return ChangeDims(&op.output_dims);
      case 3:
        return ChangeKind(&op.operation);
      default:
        return ChangeOperation(op.operation);
    }
  }

  void ChangeDims(std::vector<fb::OutputDim>* dims) {
    if (dims->empty() || input_.Flip()) dims->emplace_back();
    auto& dim = Any(*dims);
    int64_t value = dim.value();
    if (input_.Flip()) Set(input_, &value);
    dim = fb::OutputDim(static_cast<fb::DimRule>(input_.Below(5)), value);
  }

  void ChangeKind(fb::OperationUnion* operation) {
    const size_t kind = input_.Below(3);
    if (kind == 0) operation->Set(fb::EmbeddingT());
    if (kind == 1) operation->Set(fb::HeadT());
    if (kind == 2) operation->Set(fb::ConstantT());
  }

  void ChangeOperation(fb::OperationUnion& operation) {
    if (auto* embedding = operation.AsEmbedding()) {
      if (input_.Flip()) return Set(input_, &embedding->table);
      embedding->scale = input_.Flip() ? static_cast<float>(input_.Take<int8_t>()) : INFINITY;
    } else if (auto* constant = operation.AsConstant()) {
      constant->data.resize(input_.Below(64), 1);
    } else if (auto* head = operation.AsHead()) {
      const size_t what = input_.Below(5);
      if (what == 0) return Set(input_, &head->table);
      if (what == 1) return Set(input_, &head->k);
      if (what == 2) head->log_softmax = !head->log_softmax;
      if (what == 3) head->bias = nullptr;
      if (what == 4) {
        head->scale = static_cast<float>(input_.Take<int8_t>());
        head->soft_cap = static_cast<float>(input_.Take<int8_t>());
      }
      if (what < 3) return;
      head->result = static_cast<fb::HeadResult>(input_.Below(4));
      if (head->k == 0) head->k = 1;
      if (head->result == fb::HeadResult::TopkIds) header_.outputs.back()->type = fb::DataType::Int64;
    }
  }

  Input& input_;
  fb::HeaderT& header_;
};

void Run(Input input) {
  static const std::vector<TableForm> kForms = AllTableForms();
  const TableForm& form = kForms[input.Below(kForms.size())];
  const size_t rows = 1 + input.Below(40), cols = 1 + input.Below(70);
  const TestModel model(rows, cols);
  TiedFile file = model.MakeFile();
  std::vector<float> values = MakeNumbers(Numbers::kNormal, rows * cols, 1);
  StoreTable(&file, form, rows, cols, &values);
  const bool honest = input.empty();
  Liar liar(input, &file.header);
  for (int i = 0; i < 24 && !input.empty(); ++i) liar.Tell();
  UseSafely(file.Bytes(), /*must_open=*/honest);
}

}  // namespace
}  // namespace tied::test

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tied::test::Run({data, size});
  return 0;
}
