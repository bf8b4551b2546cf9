// Applies libFuzzer's mutations to the fields of a ModelProto, so that the result is usually a model again.
#include <onnx/onnx_pb.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed);

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Names of operations and attributes.
constexpr const char* kWords[] = {"Gather",
                                  "MatMul",
                                  "Transpose",
                                  "Gemm",
                                  "Add",
                                  "Mul",
                                  "Cast",
                                  "Identity",
                                  "Reshape",
                                  "Squeeze",
                                  "Unsqueeze",
                                  "Flatten",
                                  "Shape",
                                  "Slice",
                                  "Concat",
                                  "If",
                                  "Not",
                                  "Constant",
                                  "ArgMax",
                                  "TopK",
                                  "LogSoftmax",
                                  "Dropout",
                                  "DequantizeLinear",
                                  "QuantizeLinear",
                                  "DynamicQuantizeLinear",
                                  "FusedMatMul",
                                  "MatMulNBits",
                                  "MatMulInteger",
                                  "transB",
                                  "GatherBlockQuantized",
                                  "axis",
                                  "bits",
                                  "block_size",
                                  "N",
                                  "K",
                                  "perm",
                                  "value",
                                  "value_ints",
                                  "axes",
                                  "DynamicQuantizeMatMul",
                                  "k",
                                  "then_branch",
                                  "else_branch",
                                  "com.microsoft",
                                  "MatMulIntegerToFloat",
                                  "table.bin",
                                  "../secret.bin",
                                  "link.bin",
                                  "location",
                                  "quantize_axis",
                                  "offset",
                                  "length",
                                  "input_ids",
                                  "logits",
                                  "decoder_input_ids",
                                  "4096",
                                  "9223372036854775807"};
constexpr int64_t kNumbers[] = {
    0, 1, 2, 3, 4, 7, 8, 16, 32, 128, -1, INT32_MAX, INT64_MAX, INT64_MIN, int64_t{1} << 32, int64_t{1} << 62};

// A field of a message in the model.
struct Place {
  Message* message;
  const FieldDescriptor* field;
};

class Mutator {
 public:
  Mutator(Message* model, unsigned seed) : random_(seed) { Collect(model, 0); }

  void Mutate() {
    if (places_.empty()) return;
    const Place place = Any(places_);
    if (place.field->is_repeated() && Below(3) != 0 && ChangeCount(place)) return;
    ChangeField(place);
  }

 private:
  size_t Below(size_t count) { return random_() % count; }
  template <class T>
  const T& Any(const std::vector<T>& items) {
    return items[Below(items.size())];
  }

  void Collect(Message* message, int depth) {
    const Reflection& reflection = *message->GetReflection();
    for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = message->GetDescriptor()->field(i);
      const bool there =
          field->is_repeated() ? reflection.FieldSize(*message, field) > 0 : reflection.HasField(*message, field);
      // Absent fields are many, so take only some of them.
      if (there || Below(8) == 0) places_.push_back({message, field});
      if (!there) continue;
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) CollectNames(*message, field);
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || depth > 12) continue;
      if (!field->is_repeated()) Collect(reflection.MutableMessage(message, field), depth + 1);
      for (int j = 0; field->is_repeated() && j < reflection.FieldSize(*message, field); ++j) {
        Collect(reflection.MutableRepeatedMessage(message, field, j), depth + 1);
      }
    }
  }

  void CollectNames(const Message& message, const FieldDescriptor* field) {
    const Reflection& reflection = *message.GetReflection();
    if (!field->is_repeated()) return names_.push_back(reflection.GetString(message, field));
    for (int j = 0; j < reflection.FieldSize(message, field); ++j) {
      names_.push_back(reflection.GetRepeatedString(message, field, j));
    }
  }

  // Removes, exchanges or adds an element.
  bool ChangeCount(const Place& place) {
    const Reflection& reflection = *place.message->GetReflection();
    const int size = reflection.FieldSize(*place.message, place.field);
    switch (Below(3)) {
      case 0:
        if (size == 0) return false;
        reflection.SwapElements(place.message, place.field, static_cast<int>(Below(static_cast<size_t>(size))),
                                size - 1);
        reflection.RemoveLast(place.message, place.field);
        return true;
      case 1:
        if (size < 2) return false;
        reflection.SwapElements(place.message, place.field, static_cast<int>(Below(static_cast<size_t>(size))),
                                static_cast<int>(Below(static_cast<size_t>(size))));
        return true;
      default:
        return AddElement(place, size);
    }
  }

  bool AddElement(const Place& place, int size) {
    const Reflection& reflection = *place.message->GetReflection();
    switch (place.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        Message* added = reflection.AddMessage(place.message, place.field);
        if (size > 0) {
          added->CopyFrom(reflection.GetRepeatedMessage(*place.message, place.field,
                                                        static_cast<int>(Below(static_cast<size_t>(size)))));
        }
        return true;
      }
      case FieldDescriptor::CPPTYPE_STRING:
        reflection.AddString(place.message, place.field, Text(""));
        return true;
      case FieldDescriptor::CPPTYPE_INT64:
        reflection.AddInt64(place.message, place.field, Number(0));
        return true;
      case FieldDescriptor::CPPTYPE_INT32:
        reflection.AddInt32(place.message, place.field, static_cast<int32_t>(Number(0)));
        return true;
      default:
        return false;
    }
  }

  void ChangeField(const Place& place) {
    const Reflection& reflection = *place.message->GetReflection();
    const FieldDescriptor* field = place.field;
    if (field->is_repeated()) {
      const int size = reflection.FieldSize(*place.message, field);
      if (size > 0) ChangeElement(place, static_cast<int>(Below(static_cast<size_t>(size))));
      return;
    }
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetString(place.message, field, Text(reflection.GetString(*place.message, field)));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(place.message, field, Number(reflection.GetInt64(*place.message, field)));
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(place.message, field, static_cast<int32_t>(Below(24)));
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.SetEnumValue(place.message, field, static_cast<int>(Below(13)));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        if (Below(4) == 0) return reflection.ClearField(place.message, field);
        (void)reflection.MutableMessage(place.message, field);
        return;
      default:
        return reflection.ClearField(place.message, field);
    }
  }

  void ChangeElement(const Place& place, int index) {
    const Reflection& reflection = *place.message->GetReflection();
    const FieldDescriptor* field = place.field;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      reflection.SetRepeatedString(place.message, field, index,
                                   Text(reflection.GetRepeatedString(*place.message, field, index)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      reflection.SetRepeatedInt64(place.message, field, index,
                                  Number(reflection.GetRepeatedInt64(*place.message, field, index)));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT32) {
      reflection.SetRepeatedInt32(place.message, field, index, static_cast<int32_t>(Number(0)));
    }
  }

  // A name from the model, a known word, or other bytes.
  std::string Text(std::string now) {
    const size_t what = Below(8);
    if (what < 4 && !names_.empty()) return Any(names_);
    if (what < 7) return kWords[Below(std::size(kWords))];
    const size_t size = now.size();
    now.resize(size + 16);
    now.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(now.data()), size, now.size()));
    return now;
  }

  int64_t Number(int64_t now) {
    if (Below(2) == 0) return kNumbers[Below(std::size(kNumbers))];
    if (Below(2) == 0) return static_cast<int64_t>(static_cast<uint64_t>(now) + Below(5) - 2);
    return static_cast<int64_t>(Below(64)) - 8;
  }

  std::minstd_rand random_;
  std::vector<Place> places_;
  std::vector<std::string> names_;
};

}  // namespace

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  onnx::ModelProto model;
  const bool bytes_alone = seed % 16 == 0;
  if (bytes_alone || size < 2 || !model.ParseFromArray(data + 1, static_cast<int>(size) - 1)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  if (seed % 16 == 1) data[0] = static_cast<uint8_t>(seed >> 8);
  for (unsigned i = 0; i <= seed / 256 % 3; ++i) Mutator(&model, seed + i).Mutate();
  const std::string mutated = model.SerializeAsString();
  if (mutated.size() + 1 > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data + 1, mutated.data(), mutated.size());
  return mutated.size() + 1;
}
