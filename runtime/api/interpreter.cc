#include "runtime/api/interpreter.h"

#include <cinttypes>
#include <cstring>
#include <memory>
#include <new>

#include "runtime/api/entry_point.h"
#include "schema/checked_math.h"
#include "schema/number_format.h"

namespace tied::runtime {

namespace {

// An operation with the tensors that it reads and writes, checked and ready to run.
struct BoundOp {
  const format::Op* op;
  const tied_tensor* input;  // null for Constant
  size_t count;              // ids, or tokens of hidden
  tied_tensor result;        // what the caller's output becomes
  bool done;

  bool is_wanted() const { return !done && result.data != nullptr && result.bytes > 0; }

  // Null for other operations.
  const format::MatMul* topk() const {
    const format::MatMul* matmul = op->operation_as_MatMul();
    return matmul == nullptr || matmul->result() == format::MatMulResult::Logits ? nullptr : matmul;
  }
};

size_t SizeOf(tied_type type) { return format::ElementSize(static_cast<format::DataType>(type)); }

Status CountElements(const tied_tensor& tensor, size_t* count) {
  *count = 1;
  for (size_t i = 0; i < tensor.rank; ++i) {
    if (tensor.dims[i] < 0 || !CheckedMultiply(*count, tensor.dims[i], count)) {
      return Status::Error(TIED_INVALID_ARGUMENT, "'%s': dimension %zu, %" PRId64 ", is not possible", tensor.name, i,
                           tensor.dims[i]);
    }
  }
  return Status();
}

// Type, rank, dimensions and size of an input against what the graph declares.
Status CheckInput(const tied_tensor& tensor, const format::ValueInfo& declared, size_t* count) {
  const auto type = static_cast<tied_type>(declared.type());
  if (tensor.type != type) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has element type %d, the graph wants %d", tensor.name,
                         tensor.type, type);
  }
  if (tensor.rank != declared.dims()->size()) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has %zu dimensions, the graph wants %u", tensor.name,
                         tensor.rank, declared.dims()->size());
  }
  TIED_RETURN_IF_ERROR(CountElements(tensor, count));
  for (size_t i = 0; i < tensor.rank; ++i) {
    const int64_t wanted = declared.dims()->Get(static_cast<flatbuffers::uoffset_t>(i))->size();
    if (wanted >= 0 && tensor.dims[i] != wanted) {
      return Status::Error(TIED_INVALID_ARGUMENT, "input '%s': dimension %zu is %" PRId64 ", the graph wants %" PRId64,
                           tensor.name, i, tensor.dims[i], wanted);
    }
  }
  size_t bytes = 0;
  if (!CheckedMultiply(*count, SizeOf(type), &bytes) || tensor.bytes < bytes || (tensor.data == nullptr && bytes > 0)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has a buffer of %zu bytes, its shape needs %zu",
                         tensor.name, tensor.data == nullptr ? 0 : tensor.bytes, bytes);
  }
  return Status();
}

// Sets result->rank and dims by the operation's rules. `elements`: how many the operation makes.
Status ApplyOutputDims(const format::Op& op, const tied_tensor* input, size_t elements, tied_tensor* result) {
  size_t known = 1;
  size_t inferred = TIED_MAX_RANK;
  result->rank = op.output_dims()->size();
  for (size_t i = 0; i < result->rank; ++i) {
    const format::OutputDim& dim = *op.output_dims()->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (dim.rule() == format::DimRule::Infer) {
      inferred = i;
      continue;
    }
    result->dims[i] = dim.rule() == format::DimRule::InputDim ? input->dims[dim.value()] : dim.value();
    if (!CheckedMultiply(known, result->dims[i], &known)) known = SIZE_MAX;
  }
  if (inferred < result->rank) {
    const size_t left = known == 0 ? 0 : elements / known;
    result->dims[inferred] = static_cast<int64_t>(left);
    known *= left;
  }
  if (known == elements) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "the shape of input '%s' gives output '%s' %zu elements, not %zu",
                       input == nullptr ? "" : input->name, result->name, elements, known);
}

// A call in progress: finds, checks and runs what each output needs.
class Call {
 public:
  Call(Session& session, const Inputs& inputs, const Outputs& outputs)
      : session_(session), header_(session.model().header()), inputs_(inputs), outputs_(outputs) {}

  Status CheckNames() const;
  Status Bind(const format::EntryPoint& entry_point, const tied_tensor& output, BoundOp* bound) const;
  Status Prepare(const BoundOp& bound) const;
  Status Execute(const BoundOp& bound) const;

  // Also does those of the bound operations that the same top-k gives.
  Status ExecuteTopk(BoundOp* bound, BoundOp* end) const;

 private:
  Status BindInput(BoundOp* bound) const;
  Status BindGather(BoundOp* bound, size_t* elements) const;
  Status BindMatMul(BoundOp* bound, size_t* elements) const;

  Session& session_;
  const format::Header& header_;
  const Inputs& inputs_;
  const Outputs& outputs_;
};

template <class Infos>
bool Contains(const Infos& infos, const char* name) {
  for (const format::ValueInfo* info : infos) {
    if (std::strcmp(info->name()->c_str(), name) == 0) return true;
  }
  return false;
}

template <class Infos>
Status CheckTensorNames(const tied_tensor* tensors, size_t count, const Infos& known, const char* what) {
  for (size_t i = 0; i < count; ++i) {
    const char* name = tensors[i].name;
    if (name == nullptr) return Status::Error(TIED_INVALID_ARGUMENT, "%s %zu has no name", what, i);
    if (!Contains(known, name)) return Status::Error(TIED_NOT_FOUND, "the model has no %s '%s'", what, name);
    for (size_t j = 0; j < i; ++j) {
      if (std::strcmp(tensors[j].name, name) != 0) continue;
      return Status::Error(TIED_INVALID_ARGUMENT, "%s '%s' is given twice", what, name);
    }
  }
  return Status();
}

Status Call::CheckNames() const {
  TIED_RETURN_IF_ERROR(CheckTensorNames(inputs_.tensors, inputs_.count, *header_.inputs(), "input"));
  return CheckTensorNames(outputs_.tensors, outputs_.count, *header_.outputs(), "output");
}

Status Call::BindInput(BoundOp* bound) const {
  const format::ValueInfo& declared = *header_.inputs()->Get(bound->op->input());
  bound->input = inputs_.Find(declared.name()->c_str());
  if (bound->input == nullptr) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' is missing: output '%s' is made from it",
                         declared.name()->c_str(), bound->result.name);
  }
  return CheckInput(*bound->input, declared, &bound->count);
}

Status Call::BindGather(BoundOp* bound, size_t* elements) const {
  TIED_RETURN_IF_ERROR(BindInput(bound));
  const TableView table = session_.model().Table(bound->op->operation_as_Gather()->table());
  if (CheckedMultiply(bound->count, table.cols, elements)) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has too many elements", bound->input->name);
}

Status Call::BindMatMul(BoundOp* bound, size_t* elements) const {
  TIED_RETURN_IF_ERROR(BindInput(bound));
  const format::MatMul& matmul = *bound->op->operation_as_MatMul();
  const TableView table = session_.model().Table(matmul.table());
  if (bound->count % table.cols != 0) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has %zu elements, not a multiple of %zu",
                         bound->input->name, bound->count, table.cols);
  }
  bound->count /= table.cols;
  if (CheckedMultiply(bound->count, bound->topk() == nullptr ? table.ids.vocabulary : matmul.k(), elements))
    return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has too many elements", bound->input->name);
}

Status Call::Bind(const format::EntryPoint& entry_point, const tied_tensor& output, BoundOp* bound) const {
  bound->op = nullptr;
  for (const format::Op* op : *entry_point.ops()) {
    if (std::strcmp(header_.outputs()->Get(op->output())->name()->c_str(), output.name) == 0) bound->op = op;
  }
  if (bound->op == nullptr) {
    return Status::Error(TIED_NOT_FOUND, "entry point '%s' does not make output '%s'", entry_point.name()->c_str(),
                         output.name);
  }
  bound->input = nullptr;
  bound->count = 0;
  bound->done = false;
  bound->result = output;
  bound->result.type = static_cast<tied_type>(header_.outputs()->Get(bound->op->output())->type());
  const size_t element_size = SizeOf(bound->result.type);
  size_t elements = 0;
  switch (bound->op->operation_type()) {
    case format::Operation::Gather:
      TIED_RETURN_IF_ERROR(BindGather(bound, &elements));
      break;
    case format::Operation::MatMul:
      TIED_RETURN_IF_ERROR(BindMatMul(bound, &elements));
      break;
    default:
      const auto* data = bound->op->operation_as_Constant()->data();
      elements = data == nullptr ? 0 : data->size() / element_size;
  }
  if (!CheckedMultiply(elements, element_size, &bound->result.bytes)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "output '%s' would not fit in memory", output.name);
  }
  TIED_RETURN_IF_ERROR(ApplyOutputDims(*bound->op, bound->input, elements, &bound->result));
  if (output.data == nullptr || output.bytes >= bound->result.bytes) return Status();
  return Status::Error(TIED_BUFFER_TOO_SMALL, "output '%s' needs %zu bytes, its buffer has %zu", output.name,
                       bound->result.bytes, output.bytes);
}

// Everything that can still fail.
Status Call::Prepare(const BoundOp& bound) const {
  if (bound.result.data == nullptr) return Status();
  switch (bound.op->operation_type()) {
    case format::Operation::Gather:
      return session_.CheckIds(*bound.op->operation_as_Gather(), {bound.input->data, bound.input->type, bound.count});
    case format::Operation::MatMul:
      return bound.topk() != nullptr ? Status() : session_.Reserve(*bound.op->operation_as_MatMul(), bound.count);
    default:
      return Status();
  }
}

Status Call::Execute(const BoundOp& bound) const {
  switch (bound.op->operation_type()) {
    case format::Operation::Gather:
      return session_.Gather(*bound.op->operation_as_Gather(), {bound.input->data, bound.input->type, bound.count},
                             static_cast<float*>(bound.result.data));
    case format::Operation::MatMul: {
      const format::MatMul& matmul = *bound.op->operation_as_MatMul();
      return session_.MatMul(matmul, static_cast<const float*>(bound.input->data), bound.count, RowFilter(),
                             matmul.log_softmax(), static_cast<float*>(bound.result.data));
    }
    default:
      std::memcpy(bound.result.data, bound.op->operation_as_Constant()->data()->data(), bound.result.bytes);
      return Status();
  }
}

// Whether two top-k operations find the same rows.
bool SameTopk(const BoundOp& a, const BoundOp& b) {
  const format::MatMul *x = a.topk(), *y = b.topk();
  if (y == nullptr || a.input != b.input || x->table() != y->table() || x->k() != y->k()) return false;
  if (x->bias() == nullptr || y->bias() == nullptr) return x->bias() == y->bias();
  return x->bias()->offset() == y->bias()->offset();
}

Status Call::ExecuteTopk(BoundOp* bound, BoundOp* end) const {
  const format::MatMul& matmul = *bound->topk();
  tied_topk_result result = {};
  const format::MatMul* values = nullptr;
  for (BoundOp* other = bound; other < end; ++other) {
    if (!other->is_wanted() || !SameTopk(*bound, *other)) continue;
    if (other->topk()->result() == format::MatMulResult::TopkIds) {
      if (result.ids != nullptr) continue;
      result.ids = static_cast<int64_t*>(other->result.data);
    } else {
      if (values != nullptr) continue;
      values = other->topk();
      result.logits = static_cast<float*>(other->result.data);
    }
    other->done = true;
  }
  std::unique_ptr<double[]> log_z;
  if (values != nullptr && values->log_softmax()) {
    log_z.reset(new (std::nothrow) double[bound->count]);
    if (log_z == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu tokens", bound->count);
    result.log_z = log_z.get();
  }
  const TopkRequest request = {matmul.k(), RowFilter(), /*use_screen=*/true, /*log_z_tolerance=*/0};
  TIED_RETURN_IF_ERROR(
      session_.Topk(matmul, static_cast<const float*>(bound->input->data), bound->count, request, result));
  for (size_t i = 0; log_z != nullptr && i < bound->count * matmul.k(); ++i) {
    result.logits[i] = static_cast<float>(static_cast<double>(result.logits[i]) - log_z[i / matmul.k()]);
  }
  return Status();
}

}  // namespace

const tied_tensor* Inputs::Find(const char* name) const {
  for (size_t i = 0; i < count; ++i) {
    if (std::strcmp(tensors[i].name, name) == 0) return &tensors[i];
  }
  return nullptr;
}

Status Run(Session& session, const char* entry_point_name, const Inputs& inputs, const Outputs& outputs) {
  const Call call(session, inputs, outputs);
  TIED_RETURN_IF_ERROR(call.CheckNames());
  const format::EntryPoint* entry_point = nullptr;
  TIED_RETURN_IF_ERROR(FindEntryPoint(session.model().header(), entry_point_name, inputs, &entry_point));
  // In passes, so that nothing is written unless everything can be. A top-k can fail when its logits are known; it
  // writes after that.
  const std::unique_ptr<BoundOp[]> bound(new (std::nothrow) BoundOp[outputs.count]);
  if (bound == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu outputs", outputs.count);
  BoundOp* const end = bound.get() + outputs.count;
  for (size_t i = 0; i < outputs.count; ++i) {
    TIED_RETURN_IF_ERROR(call.Bind(*entry_point, outputs.tensors[i], &bound[i]));
    TIED_RETURN_IF_ERROR(call.Prepare(bound[i]));
  }
  for (BoundOp* op = bound.get(); op < end; ++op) {
    if (op->is_wanted() && op->topk() != nullptr) TIED_RETURN_IF_ERROR(call.ExecuteTopk(op, end));
  }
  for (BoundOp* op = bound.get(); op < end; ++op) {
    if (op->is_wanted()) TIED_RETURN_IF_ERROR(call.Execute(*op));
  }
  for (size_t i = 0; i < outputs.count; ++i) outputs.tensors[i] = bound[i].result;
  return Status();
}

}  // namespace tied::runtime
