// What opening a header costs, in basic blocks run and bytes allocated: in proportion to its length, whatever it holds.
// The sources of runtime/file/ that read a header are compiled into this program with a counter in each basic block.
#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <string>
#include <vector>

#include "runtime/file/graph.h"
#include "runtime/file/header.h"
#include "schema/limits.h"
#include "tests/support/tied_file.h"

namespace {
uint64_t blocks = 0, allocated = 0;
}

extern "C" void __sanitizer_cov_trace_pc() { ++blocks; }

// The only kind of allocation in those sources.
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  allocated += size;
  return ::operator new[](size);
}

namespace tied::test {
namespace {

namespace fb = tied::format;
using flatbuffers::Offset;

constexpr size_t kFileLength = size_t{1} << 30;  // opening reads only the header

// Builds headers whose parts may be shared.
class Maker {
 public:
  flatbuffers::FlatBufferBuilder builder{1 << 16};
  std::vector<Offset<fb::ValueInfo>> inputs, outputs;
  std::vector<Offset<fb::TiedTable>> tables;
  std::vector<Offset<fb::EntryPoint>> entry_points;

  Offset<fb::ValueInfo> Value(const std::string& name, fb::DataType type, const std::vector<Offset<fb::Dim>>& dims) {
    return fb::CreateValueInfo(builder, builder.CreateString(name), type, builder.CreateVector(dims));
  }

  void AddValues(std::vector<Offset<fb::ValueInfo>>* values, size_t count, fb::DataType type) {
    for (size_t i = 0; i < count; ++i) values->push_back(Value("v" + std::to_string(i), type, {}));
  }

  // An operation's offset for each output from 0 on.
  void AddEntryPoints(size_t count, size_t ops, const std::function<Offset<fb::Op>(uint32_t output)>& op) {
    for (size_t e = 0; e < count; ++e) {
      std::vector<Offset<fb::Op>> list;
      for (size_t i = 0; i < ops; ++i) list.push_back(op(static_cast<uint32_t>(i)));
      const auto name = builder.CreateString("e" + std::to_string(e));
      entry_points.push_back(fb::CreateEntryPoint(builder, name, 0, builder.CreateVector(list)));
    }
  }

  Offset<fb::Op> Constant(uint32_t output, Offset<fb::Constant> constant, size_t elements,
                          Offset<flatbuffers::String> origin) {
    const std::vector<fb::OutputDim> dims = {{fb::DimRule::Constant, static_cast<int64_t>(elements)}};
    return fb::CreateOp(builder, fb::Operation::Constant, constant.Union(), 0, output,
                        builder.CreateVectorOfStructs(dims), origin);
  }

  Offset<fb::Constant> Ones(size_t size) {
    return fb::CreateConstant(builder, builder.CreateVector(std::vector<uint8_t>(size, 1)));
  }

  fb::Plane Plane(uint64_t length) {
    const fb::Plane plane(plane_end_, length, 0);
    plane_end_ += 65536;
    return plane;
  }

  std::string Finish() {
    fb::FinishHeaderBuffer(builder, fb::CreateHeader(builder, builder.CreateString("p"), 0, 0,
                                                     builder.CreateVector(inputs), builder.CreateVector(outputs),
                                                     builder.CreateVector(tables), builder.CreateVector(entry_points)));
    return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
  }

 private:
  uint64_t plane_end_ = uint64_t{1} << 25;
};

// 4 entry points with 256 constants each.
void Constants(Maker& m, size_t bytes, bool shared) {
  m.AddValues(&m.outputs, 256, fb::DataType::Bool);
  const Offset<fb::Constant> one = m.Ones(bytes);
  m.AddEntryPoints(4, 256, [&](uint32_t i) { return m.Constant(i, shared ? one : m.Ones(bytes), bytes, 0); });
}

void Origins(Maker& m, const std::string& text, bool shared) {
  m.AddValues(&m.outputs, 256, fb::DataType::Bool);
  const auto one = m.builder.CreateString(text);
  m.AddEntryPoints(
      4, 256, [&](uint32_t i) { return m.Constant(i, m.Ones(1), 1, shared ? one : m.builder.CreateString(text)); });
}

void Symbols(Maker& m, size_t bytes, bool shared) {
  const std::string text(bytes, 's');
  const auto one = fb::CreateDim(m.builder, -1, m.builder.CreateString(text));
  for (auto* values : {&m.inputs, &m.outputs}) {
    for (int i = 0; i < 256; ++i) {
      std::vector<Offset<fb::Dim>> dims;
      while (dims.size() < 8) {
        dims.push_back(shared ? one : fb::CreateDim(m.builder, -1, m.builder.CreateString(text)));
      }
      values->push_back(m.Value(std::to_string(i), fb::DataType::Float32, dims));
    }
  }
}

// Names that are equal up to their end.
void Names(Maker& m, size_t bytes) {
  for (int i = 1000; i < 1256; ++i) {
    const auto value = m.Value(std::string(bytes - 4, 'n') + std::to_string(i), fb::DataType::Float32, {});
    m.inputs.push_back(value);
    m.outputs.push_back(m.Value(std::string(bytes - 4, 'n') + std::to_string(i), fb::DataType::Float32, {}));
  }
}

void Selectors(Maker& m, size_t entry_points, size_t each, bool shared) {
  m.AddValues(&m.inputs, 1, fb::DataType::Bool);
  const auto selector = fb::CreateSelector(m.builder, 0, true);
  const auto vector = [&] {
    std::vector<Offset<fb::Selector>> selectors;
    while (selectors.size() < each) {
      selectors.push_back(shared ? selector : fb::CreateSelector(m.builder, 0, true));
    }
    return m.builder.CreateVector(selectors);
  };
  const auto one = vector();
  for (size_t e = 0; e < entry_points; ++e) {
    const auto name = m.builder.CreateString("e" + std::to_string(e));
    m.entry_points.push_back(fb::CreateEntryPoint(m.builder, name, shared ? one : vector(),
                                                  m.builder.CreateVector(std::vector<Offset<fb::Op>>())));
  }
}

// As many planes as there can be, in descending order of offsets.
void Planes(Maker& m) {
  m.AddValues(&m.inputs, 1, fb::DataType::Float32);
  m.AddValues(&m.outputs, 256, fb::DataType::Float32);
  for (int i = 0; i < 256; ++i) {
    const auto values = m.Plane(4), upper = m.Plane(16), lower = m.Plane(16), scales = m.Plane(4);
    const auto upper_norms = m.Plane(4), norms = m.Plane(4), ids = m.Plane(4);
    m.tables.push_back(fb::CreateTiedTable(
        m.builder, m.builder.CreateString("t"), fb::DataType::Float32, 1, 1, &values, nullptr, nullptr,
        fb::CreateScreen(m.builder, &upper, &lower, &scales, &upper_norms, &norms), &ids, 1));
  }
  m.AddEntryPoints(4, 256, [&](uint32_t i) {
    const fb::Plane bias = m.Plane(4);
    const std::vector<fb::OutputDim> dims = {{fb::DimRule::Infer, 0}};
    return fb::CreateOp(m.builder, fb::Operation::Head, fb::CreateHead(m.builder, i, &bias).Union(), 0, i,
                        m.builder.CreateVectorOfStructs(dims));
  });
}

struct Case {
  const char* name;
  std::function<void(Maker&)> make;
  const char* refusal;  // part of the message; "": it opens
};

std::ostream& operator<<(std::ostream& out, const Case& item) { return out << item.name; }

const Case kCases[] = {
    {"Constants", [](Maker& m) { Constants(m, 16000, false); }, ""},
    {"ConstantsThatAreShared", [](Maker& m) { Constants(m, 65536, true); }, "shares parts"},
    {"ConstantsThatAreTooLong", [](Maker& m) { Constants(m, 65537, true); }, "constant has 65537"},
    {"Origins", [](Maker& m) { Origins(m, std::string(16000, 'o'), false); }, ""},
    {"OriginsOfManyLines", [](Maker& m) { Origins(m, std::string(255, '\n'), false); }, ""},
    {"OriginsThatAreShared", [](Maker& m) { Origins(m, std::string(65536, 'o'), true); }, "shares parts"},
    {"OriginsThatAreTooLong", [](Maker& m) { Origins(m, std::string(16000000, 'o'), true); }, "origin"},
    {"OriginsOfTooManyLines", [](Maker& m) { Origins(m, std::string(256, '\n'), true); }, "256 lines"},
    {"Symbols", [](Maker& m) { Symbols(m, 1024, false); }, ""},
    {"SymbolsThatAreShared", [](Maker& m) { Symbols(m, 1024, true); }, "shares parts"},
    {"SymbolsThatAreTooLong", [](Maker& m) { Symbols(m, 16000000, true); }, "dimension has"},
    {"Names", [](Maker& m) { Names(m, 1024); }, ""},
    {"NamesThatAreTooLong", [](Maker& m) { Names(m, 16000); }, "output has 16000"},
    {"Selectors", [](Maker& m) { Selectors(m, 256, 16, false); }, ""},
    {"SelectorsThatAreShared", [](Maker& m) { Selectors(m, 256, 16, true); }, "shares parts"},
    {"SelectorsThatAreTooMany", [](Maker& m) { Selectors(m, 1, 4097, false); }, "4097 selectors"},
    {"TablesThatAreTooMany", [](Maker& m) { Selectors(m, 2, 10000, true); }, "valid flatbuffer"},
    {"Planes", Planes, ""},
};

class Cost : public testing::TestWithParam<Case> {};

TEST_P(Cost, IsInProportionToTheHeader) {
  Maker maker;
  GetParam().make(maker);
  const std::string file = WithPreamble(maker.Finish(), kFileLength);
  blocks = allocated = 0;
  runtime::Header header;
  runtime::Graph graph;
  const auto* bytes = reinterpret_cast<const unsigned char*>(file.data());
  runtime::Status status = runtime::Header::Read(bytes, kFileLength, "f", &header);
  if (status.ok())
    status = runtime::Graph::Resolve(*header, runtime::MappedFile::FromMemory(bytes, kFileLength), "f", &graph);
  const uint64_t steps = blocks, memory = allocated;
  const std::string refusal = GetParam().refusal;
  EXPECT_EQ(status.ok(), refusal.empty()) << status.message();
  EXPECT_NE(std::string(status.message()).find(refusal), std::string::npos) << status.message();
  EXPECT_GT(steps, 0u);
  EXPECT_LE(steps, 12 * file.size());
  EXPECT_LE(memory, 8 * file.size());
}

INSTANTIATE_TEST_SUITE_P(Headers, Cost, testing::ValuesIn(kCases),
                         [](const auto& item) { return std::string(item.param.name); });

}  // namespace
}  // namespace tied::test
