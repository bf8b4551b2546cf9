// The computation of a model as plain structs, resolved once when the model is opened.
#ifndef TIED_RUNTIME_FILE_GRAPH_H_
#define TIED_RUNTIME_FILE_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/file/mapped_file.h"
#include "runtime/file/status.h"
#include "runtime/file/table.h"
#include "tied/tied.h"

namespace tied::format {
struct Header;
}

namespace tied::runtime {

// embedding = row of the id * scale.
struct Embedding {
  size_t table_index;
  TableView table;
  float scale;
};

// logits = soft_cap * tanh(((scale * hidden) * transpose(table) + bias) / soft_cap).
struct Head {
  size_t table_index;
  TableView table;
  const float* bias;  // [rows] or null
  float scale;
  float soft_cap;  // 0: none
};

// "float32"; "unknown type" for a number that no type has.
const char* TypeName(tied_type type);

// A declared input or output.
struct Value {
  const char* name;
  tied_type type;
  size_t element_size;
  size_t rank;
  int64_t dims[TIED_MAX_RANK];  // below 0: any size
};

// How a dimension of an output follows from the input.
struct OutputDim {
  enum class Rule : uint8_t { kConstant, kInputDim, kInfer };
  Rule rule;
  int64_t value;
};

struct Operation {
  enum class Kind : uint8_t { kEmbedding, kHead, kConstant };
  enum class Result : uint8_t { kLogits, kTopkValues, kTopkIds };

  Kind kind;
  const Value* input;  // null for kConstant, unless its dims read one
  const Value* output;
  size_t rank;
  OutputDim dims[TIED_MAX_RANK];

  Embedding embedding;  // kEmbedding only

  // kHead only.
  Head head;
  Result result;
  size_t k;  // top-k only
  bool log_softmax;

  const void* constant;  // kConstant only
  size_t constant_bytes;

  bool is_topk() const { return kind == Kind::kHead && result != Result::kLogits; }
};

// The value of a Boolean input that an entry point requires.
struct Selector {
  const Value* input;
  bool value;
};

// A borrowed array.
template <class T>
struct Items {
  const T* items;
  size_t count;

  const T* begin() const { return items; }
  const T* end() const { return items + count; }
  size_t size() const { return count; }
};

struct EntryPoint {
  const char* name;
  Items<Selector> selectors;
  Items<Operation> operations;
};

class Graph {
 public:
  // header: validated; it and the file must outlive the graph. name: file name for messages.
  static Status Resolve(const format::Header& header, const MappedFile& file, const char* name, Graph* graph);

  Items<TableView> tables() const { return tables_.view(); }
  Items<Value> inputs() const { return inputs_.view(); }
  Items<Value> outputs() const { return outputs_.view(); }
  Items<EntryPoint> entry_points() const { return entry_points_.view(); }

  // The first embedding and the first head, which the typed calls compute. UNSUPPORTED if there is none.
  Status FindEmbedding(const Embedding** embedding) const;
  Status FindHead(const Head** head) const;

 private:
  template <class T>
  struct Array {
    std::unique_ptr<T[]> items;
    size_t count = 0;

    bool Allocate(size_t size);
    Items<T> view() const { return {items.get(), count}; }
  };

  bool Allocate(const format::Header& header);
  void FindFirst();

  Array<TableView> tables_;
  Array<Value> inputs_;
  Array<Value> outputs_;
  Array<Operation> operations_;  // of all entry points, in their order
  Array<Selector> selectors_;
  Array<EntryPoint> entry_points_;
  const Embedding* embedding_ = nullptr;
  const Head* head_ = nullptr;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_GRAPH_H_
