#include "runtime/api/interpreter.h"

#include <cinttypes>
#include <cstring>
#include <memory>
#include <new>

#include "runtime/api/entry_point.h"
#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

// An operation with the tensors that it reads and writes, checked and ready to run.
struct BoundOp {
  const Operation* op;
  const tied_tensor* input;  // null for a constant of constant shape
  size_t count;              // ids, or tokens of hidden
  tied_tensor result;        // replaces the caller's output on success
  bool done;

  bool is_wanted() const { return !done && result.data != nullptr && result.bytes > 0; }
  bool is_wanted_topk() const { return is_wanted() && op->is_topk(); }
};

Status CountElements(const tied_tensor& tensor, size_t* count) {
  *count = 1;
  for (size_t i = 0; i < tensor.rank; ++i) {
    if (tensor.dims[i] < 0 || !CheckedMultiply(*count, tensor.dims[i], count)) {
      return Status::Error(TIED_INVALID_ARGUMENT, "'%s': dimension %zu is %" PRId64 ", negative or too large",
                           tensor.name, i, tensor.dims[i]);
    }
  }
  return Status();
}

// Checks type, rank, dimensions and size of an input against the graph's declaration.
Status CheckInput(const tied_tensor& tensor, const Value& declared, size_t* count) {
  if (tensor.type != declared.type) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has element type %s; the graph expects %s", tensor.name,
                         TypeName(tensor.type), TypeName(declared.type));
  }
  if (tensor.rank != declared.rank) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has %zu dimensions; the graph expects %zu", tensor.name,
                         tensor.rank, declared.rank);
  }
  TIED_RETURN_IF_ERROR(CountElements(tensor, count));
  for (size_t i = 0; i < tensor.rank; ++i) {
    const int64_t wanted = declared.dims[i];
    if (wanted >= 0 && tensor.dims[i] != wanted) {
      return Status::Error(TIED_INVALID_ARGUMENT,
                           "input '%s': dimension %zu is %" PRId64 "; the graph expects %" PRId64, tensor.name, i,
                           tensor.dims[i], wanted);
    }
  }
  size_t bytes = 0;
  if (!CheckedMultiply(*count, declared.element_size, &bytes) || tensor.bytes < bytes ||
      (tensor.data == nullptr && bytes > 0)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has a buffer of %zu bytes; its shape needs %zu",
                         tensor.name, tensor.data == nullptr ? 0 : tensor.bytes, bytes);
  }
  return Status();
}

// Sets result->rank and dims by the operation's rules. elements: the number of elements that the operation produces.
Status ApplyOutputDims(const Operation& op, const tied_tensor* input, size_t elements, tied_tensor* result) {
  size_t known = 1;
  size_t inferred = TIED_MAX_RANK;
  result->rank = op.rank;
  for (size_t i = 0; i < result->rank; ++i) {
    const OutputDim& dim = op.dims[i];
    if (dim.rule == OutputDim::Rule::kInfer) {
      inferred = i;
      continue;
    }
    result->dims[i] = dim.rule == OutputDim::Rule::kInputDim ? input->dims[dim.value] : dim.value;
    if (!CheckedMultiply(known, result->dims[i], &known)) known = SIZE_MAX;
  }
  if (inferred < result->rank) {
    const size_t left = known == 0 ? 0 : elements / known;
    result->dims[inferred] = static_cast<int64_t>(left);
    known *= left;
  }
  if (known == elements) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT,
                       "the shape of input '%s' gives output '%s' %zu elements; the shape of the output has %zu",
                       input == nullptr ? "" : input->name, result->name, elements, known);
}

// Sets *elements to the product of the dimensions.
Status CountConstant(const BoundOp& bound, size_t* elements) {
  *elements = 1;
  for (size_t i = 0; i < bound.op->rank; ++i) {
    const OutputDim& dim = bound.op->dims[i];
    const int64_t size = dim.rule == OutputDim::Rule::kInputDim ? bound.input->dims[dim.value] : dim.value;
    if (CheckedMultiply(*elements, size, elements)) continue;
    return Status::Error(TIED_INVALID_ARGUMENT, "output '%s' is too large for the address space", bound.result.name);
  }
  return Status();
}

// If the constant has one element, it is repeated.
void CopyConstant(const Operation& op, const tied_tensor& result) {
  if (op.constant_bytes == result.bytes) {
    std::memcpy(result.data, op.constant, result.bytes);
    return;
  }
  for (size_t at = 0; at < result.bytes; at += op.constant_bytes) {
    std::memcpy(static_cast<char*>(result.data) + at, op.constant, op.constant_bytes);
  }
}

// A call in progress: finds, checks and runs the operations for the outputs.
class Call {
 public:
  Call(Session& session, const Inputs& inputs, const Outputs& outputs)
      : session_(session), graph_(session.model().graph()), inputs_(inputs), outputs_(outputs) {}

  Status CheckNames() const;
  Status Bind(const EntryPoint& entry_point, const tied_tensor& output, BoundOp* bound) const;
  Status Prepare(const BoundOp& bound) const;
  Status Execute(const BoundOp& bound) const;

  // Also fills the results of other bound operations with the same top-k.
  Status ExecuteTopk(BoundOp* bound, BoundOp* end) const;

 private:
  Status BindInput(BoundOp* bound) const;
  Status BindEmbedding(BoundOp* bound, size_t* elements) const;
  Status BindHead(BoundOp* bound, size_t* elements) const;

  Session& session_;
  const Graph& graph_;
  const Inputs& inputs_;
  const Outputs& outputs_;
};

bool Contains(Items<Value> values, const char* name) {
  for (const Value& value : values) {
    if (std::strcmp(value.name, name) == 0) return true;
  }
  return false;
}

Status CheckTensorNames(const tied_tensor* tensors, size_t count, Items<Value> known, const char* what) {
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
  TIED_RETURN_IF_ERROR(CheckTensorNames(inputs_.tensors, inputs_.count, graph_.inputs(), "input"));
  return CheckTensorNames(outputs_.tensors, outputs_.count, graph_.outputs(), "output");
}

Status Call::BindInput(BoundOp* bound) const {
  const Value& declared = *bound->op->input;
  bound->input = inputs_.Find(declared.name);
  if (bound->input == nullptr) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' is missing; output '%s' needs it", declared.name,
                         bound->result.name);
  }
  return CheckInput(*bound->input, declared, &bound->count);
}

Status Call::BindEmbedding(BoundOp* bound, size_t* elements) const {
  TIED_RETURN_IF_ERROR(BindInput(bound));
  if (CheckedMultiply(bound->count, bound->op->embedding.table.cols, elements)) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has too many elements", bound->input->name);
}

Status Call::BindHead(BoundOp* bound, size_t* elements) const {
  TIED_RETURN_IF_ERROR(BindInput(bound));
  const TableView& table = bound->op->head.table;
  if (bound->count % table.cols != 0) {
    return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has %zu elements; expected a multiple of %zu",
                         bound->input->name, bound->count, table.cols);
  }
  bound->count /= table.cols;
  const size_t per_token = bound->op->is_topk() ? bound->op->k : table.ids.vocabulary;
  if (CheckedMultiply(bound->count, per_token, elements)) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "input '%s' has too many elements", bound->input->name);
}

Status Call::Bind(const EntryPoint& entry_point, const tied_tensor& output, BoundOp* bound) const {
  bound->op = nullptr;
  for (const Operation& op : entry_point.operations) {
    if (std::strcmp(op.output->name, output.name) == 0) bound->op = &op;
  }
  if (bound->op == nullptr) {
    return Status::Error(TIED_NOT_FOUND, "entry point '%s' does not compute output '%s'", entry_point.name,
                         output.name);
  }
  bound->input = nullptr;
  bound->count = 0;
  bound->done = false;
  bound->result = output;
  bound->result.type = bound->op->output->type;
  const size_t element_size = bound->op->output->element_size;
  size_t elements = 0;
  switch (bound->op->kind) {
    case Operation::Kind::kEmbedding:
      TIED_RETURN_IF_ERROR(BindEmbedding(bound, &elements));
      break;
    case Operation::Kind::kHead:
      TIED_RETURN_IF_ERROR(BindHead(bound, &elements));
      break;
    default:
      if (bound->op->input != nullptr) TIED_RETURN_IF_ERROR(BindInput(bound));
      TIED_RETURN_IF_ERROR(CountConstant(*bound, &elements));
  }
  if (!CheckedMultiply(elements, element_size, &bound->result.bytes)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "output '%s' is too large for the address space", output.name);
  }
  TIED_RETURN_IF_ERROR(ApplyOutputDims(*bound->op, bound->input, elements, &bound->result));
  if (output.data == nullptr || output.bytes >= bound->result.bytes) return Status();
  return Status::Error(TIED_BUFFER_TOO_SMALL, "output '%s' needs %zu bytes; its buffer has %zu", output.name,
                       bound->result.bytes, output.bytes);
}

// Does everything that can fail before results are written.
Status Call::Prepare(const BoundOp& bound) const {
  if (bound.result.data == nullptr) return Status();
  switch (bound.op->kind) {
    case Operation::Kind::kEmbedding:
      return session_.CheckIds(bound.op->embedding, {bound.input->data, bound.input->type, bound.count});
    case Operation::Kind::kHead:
      return bound.op->is_topk() ? Status() : session_.Reserve(bound.op->head, bound.count);
    default:
      return Status();
  }
}

Status Call::Execute(const BoundOp& bound) const {
  switch (bound.op->kind) {
    case Operation::Kind::kEmbedding:
      return session_.Embed(bound.op->embedding, {bound.input->data, bound.input->type, bound.count},
                            static_cast<float*>(bound.result.data));
    case Operation::Kind::kHead:
      return session_.Logits(bound.op->head, static_cast<const float*>(bound.input->data), bound.count, RowFilter(),
                             bound.op->log_softmax, static_cast<float*>(bound.result.data));
    default:
      CopyConstant(*bound.op, bound.result);
      return Status();
  }
}

// True if two top-k operations find the same rows.
bool SameTopk(const BoundOp& a, const BoundOp& b) {
  return b.op->is_topk() && a.input == b.input && a.op->head.table_index == b.op->head.table_index &&
         a.op->k == b.op->k && a.op->head.bias == b.op->head.bias && a.op->head.scale == b.op->head.scale &&
         a.op->head.soft_cap == b.op->head.soft_cap;
}

Status Call::ExecuteTopk(BoundOp* bound, BoundOp* end) const {
  const size_t k = bound->op->k;
  tied_topk_result result = {};
  const Operation* values = nullptr;
  for (BoundOp* other = bound; other < end; ++other) {
    if (!other->is_wanted() || !SameTopk(*bound, *other)) continue;
    if (other->op->result == Operation::Result::kTopkIds) {
      if (result.ids != nullptr) continue;
      result.ids = static_cast<int64_t*>(other->result.data);
    } else {
      if (values != nullptr) continue;
      values = other->op;
      result.logits = static_cast<float*>(other->result.data);
    }
    other->done = true;
  }
  std::unique_ptr<double[]> log_z;
  if (values != nullptr && values->log_softmax) {
    log_z.reset(new (std::nothrow) double[bound->count]);
    if (log_z == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu tokens", bound->count);
    result.log_z = log_z.get();
  }
  const TopkRequest request = {k, RowFilter(), /*use_screen=*/true, /*log_z_tolerance=*/0};
  TIED_RETURN_IF_ERROR(
      session_.Topk(bound->op->head, static_cast<const float*>(bound->input->data), bound->count, request, result));
  for (size_t i = 0; log_z != nullptr && i < bound->count * k; ++i) {
    result.logits[i] = static_cast<float>(static_cast<double>(result.logits[i]) - log_z[i / k]);
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
  const EntryPoint* entry_point = nullptr;
  TIED_RETURN_IF_ERROR(FindEntryPoint(session.model().graph(), entry_point_name, inputs, &entry_point));
  // In passes, so that no output is written if a check fails. A top-k can still fail on its logits, and runs before the
  // other operations.
  const std::unique_ptr<BoundOp[]> bound(new (std::nothrow) BoundOp[outputs.count]);
  if (bound == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu outputs", outputs.count);
  BoundOp* const end = bound.get() + outputs.count;
  for (size_t i = 0; i < outputs.count; ++i) {
    TIED_RETURN_IF_ERROR(call.Bind(*entry_point, outputs.tensors[i], &bound[i]));
    TIED_RETURN_IF_ERROR(call.Prepare(bound[i]));
  }
  for (BoundOp* op = bound.get(); op < end; ++op) {
    if (op->is_wanted_topk()) TIED_RETURN_IF_ERROR(call.ExecuteTopk(op, end));
  }
  for (BoundOp* op = bound.get(); op < end; ++op) {
    if (op->is_wanted()) TIED_RETURN_IF_ERROR(call.Execute(*op));
  }
  for (size_t i = 0; i < outputs.count; ++i) outputs.tensors[i] = bound[i].result;
  return Status();
}

}  // namespace tied::runtime
