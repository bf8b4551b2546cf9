// What a model computes, as plain structs: resolved once, when it is opened.
#ifndef TIED_RUNTIME_FILE_GRAPH_H_
#define TIED_RUNTIME_FILE_GRAPH_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/file/status.h"
#include "runtime/file/table.h"
#include "tied/tied.h"

namespace tied::format {
struct Header;
}

namespace tied::runtime {

// embedding = the row of an id * scale.
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

  Embedding embedding;  // of kEmbedding

  Head head;  // of kHead, as are those below
  Result result;
  size_t k;  // of a top-k
  bool log_softmax;

  const void* constant;  // of kConstant
  size_t constant_bytes;

  bool is_topk() const { return kind == Kind::kHead && result != Result::kLogits; }
};

// The value that a Boolean input has where an entry point is the one to run.
struct Selector {
  const Value* input;
  bool value;
};

// Some items in memory that something else owns.
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
  // header: checked, and kept by the caller as long as the graph; file: its first byte. `name`: of the file.
  static Status Resolve(const format::Header& header, const unsigned char* file, const char* name, Graph* graph);

  Items<TableView> tables() const { return tables_.view(); }
  Items<Value> inputs() const { return inputs_.view(); }
  Items<Value> outputs() const { return outputs_.view(); }
  Items<EntryPoint> entry_points() const { return entry_points_.view(); }

  // The first of its kind, which calls without names compute. UNSUPPORTED if there is none.
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
  Array<Operation> operations_;  // of all entry points, one after the other
  Array<Selector> selectors_;
  Array<EntryPoint> entry_points_;
  const Embedding* embedding_ = nullptr;
  const Head* head_ = nullptr;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_GRAPH_H_
