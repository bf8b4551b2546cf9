#include "tools/tied/summary.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/printable.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

constexpr size_t kFirstValues = 6;

template <typename T>
Json Values(const T* values, size_t count) {
  Json list = Json::array();
  for (size_t i = 0; i < std::min(count, kFirstValues); ++i) list.push_back(values[i]);
  return list;
}

template <typename T>
void Describe(const Array& array, Json* json) {
  const T* values = array.values<T>();
  const size_t count = array.size();
  const bool any = count != 0;
  (*json)["min"] = any ? Json(*std::min_element(values, values + count)) : Json();
  (*json)["max"] = any ? Json(*std::max_element(values, values + count)) : Json();
  (*json)["first"] = Values(values, count);
}

std::string NumberText(const Json& value) {
  if (!value.is_number_float()) return value.dump();
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value.get<double>());
  return text;
}

}  // namespace

Json SummaryJson(const std::string& name, const Array& array) {
  Json json = {{"name", name}, {"type", TypeText(array.type)}, {"shape", array.shape}};
  switch (array.type) {
    case TIED_FLOAT32:
      Describe<float>(array, &json);
      break;
    case TIED_INT32:
      Describe<int32_t>(array, &json);
      break;
    case TIED_INT64:
      Describe<int64_t>(array, &json);
      break;
    default:
      Describe<bool>(array, &json);
  }
  return json;
}

void PrintSummary(const std::string& name, const Array& array) {
  const Json json = SummaryJson(name, array);
  std::cout << Printable(name) << "  " << TypeText(array.type) << " " << ShapeText(array.shape);
  if (!json["first"].empty()) {
    std::cout << "  min " << NumberText(json["min"]) << "  max " << NumberText(json["max"]) << "  first";
    for (const Json& value : json["first"]) std::cout << " " << NumberText(value);
    if (array.size() > kFirstValues) std::cout << " …";
  }
  std::cout << '\n';
}

std::unique_ptr<OutputFile> OpenOutput(const std::string& path, bool json) {
  if (path.empty()) return nullptr;
  if (path == "-" && json) throw UsageError("--json and -o - both write to standard output");
  auto file = std::make_unique<OutputFile>(path, OutputFile::Streams::kWritten);
  if (isatty(file->descriptor()) != 0) throw CommandError("a .npy file is not written to a terminal; redirect it");
  return file;
}

void Deliver(const std::string& name, const Array& array, OutputFile* file, bool json) {
  if (file != nullptr) {
    WriteNpy(array, file);
    file->Commit();
  }
  if (json) {
    PrintJson(SummaryJson(name, array));
  } else if (file == nullptr) {
    PrintSummary(name, array);
  }
}

std::vector<int64_t> WithLastDim(std::vector<int64_t> dims, uint64_t last) {
  dims.back() = static_cast<int64_t>(last);
  return dims;
}

Array ReadHidden(const std::string& path, const tied_table_info& table) {
  Array hidden = ReadNpy(path);
  if (hidden.type != TIED_FLOAT32) {
    throw std::runtime_error(path + ": has type " + TypeText(hidden.type) + "; expected float32 hidden states");
  }
  if (hidden.shape.empty() || static_cast<uint64_t>(hidden.shape.back()) != table.cols) {
    throw std::runtime_error(path + ": has shape " + ShapeText(hidden.shape) + "; expected [..., " +
                             std::to_string(table.cols) + "], the columns of table " + table.name);
  }
  return hidden;
}

}  // namespace tied::cli
