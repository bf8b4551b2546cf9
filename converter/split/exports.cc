// Splits the exports of one model, which belong together.
#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "converter/split/head.h"
#include "converter/split/split.h"

namespace tied::converter {

namespace {

namespace fs = std::filesystem;

// The number of rows of the table, from one of the exports; 0 if none has been read.
int64_t VocabularyOf(const std::vector<std::optional<SplitModel>>& models) {
  for (const std::optional<SplitModel>& model : models) {
    if (model && model->head) return static_cast<int64_t>(model->head_plan.tables[0].vocabulary());
    if (model && model->embedding) return static_cast<int64_t>(model->table.vocabulary());
  }
  return 0;
}

// Reads all exports. Ambiguous names in one export may follow from the table of another.
std::vector<SplitModel> ReadExports(const std::vector<std::string>& paths, const SplitNames& names, bool with_scale) {
  std::vector<std::optional<SplitModel>> models(paths.size());
  for (size_t i = 0; i < paths.size(); ++i) {
    try {
      models[i] = SplitOnnx(paths[i], names, with_scale);
    } catch (const ConvertError&) {
      if (paths.size() == 1) throw;
    }
  }
  const int64_t vocabulary = VocabularyOf(models);
  std::vector<SplitModel> read;
  for (size_t i = 0; i < paths.size(); ++i) {
    read.push_back(models[i] ? std::move(*models[i]) : SplitOnnx(paths[i], names, with_scale, vocabulary));
  }
  return read;
}

void CheckNamesGiven(const std::vector<SplitModel>& models, const SplitNames& names) {
  const auto check = [&](const std::string& name, const char* what, std::set<std::string> SplitModel::*values) {
    std::string list;
    for (const SplitModel& model : models) {
      if (name.empty() || (model.*values).count(name) > 0) return;
      for (const std::string& value : model.*values) list += (list.empty() ? "'" : ", '") + value + "'";
    }
    throw ConvertError("no export has an " + std::string(what) + " '" + name + "'; there are " + list);
  };
  check(names.ids, "input", &SplitModel::inputs);
  check(names.logits, "output", &SplitModel::outputs);
}

// A quantiser may change one export and not the other: quantize_static leaves the branches of an If as they are.
[[noreturn]] void RefuseTables(const SplitModel& a, const SplitModel& b, const std::vector<SplitModel>& models) {
  const auto head =
      std::find_if(models.begin(), models.end(), [](const SplitModel& model) { return model.head.has_value(); });
  const std::string& with_head = head == models.end() ? a.path : head->path;
  throw ConvertError(a.path + " and " + b.path +
                     " do not read the same table: they may be quantised differently; split " + with_head +
                     " alone and use the others as they are, or split the exports before they are " +
                     "quantised, and quantise the table with --dtype");
}

// True if all exports scale embeddings in the same way. Throws if their tables or heads differ.
bool Agree(const std::vector<SplitModel>& models) {
  const SplitModel *embedding = nullptr, *head = nullptr;
  bool same_scale = true;
  for (const SplitModel& model : models) {
    if (model.embedding) {
      if (embedding == nullptr) embedding = &model;
      if (!SameTable(embedding->table, model.table)) {
        RefuseTables(*embedding, model, models);
      }
      same_scale = same_scale && embedding->scale == model.scale;
    }
    if (model.head) {
      if (head == nullptr) head = &model;
      if (!SameHead(head->head_plan, model.head_plan)) {
        throw ConvertError(head->path + " and " + model.path + " differ in the matrix, bias or shape of their logits");
      }
    }
  }
  return same_scale;
}

// True for a variant of another file in the folder: "model_q4.onnx" beside "model.onnx".
bool IsVariant(const fs::path& path, const std::set<fs::path>& all) {
  static const std::set<std::string> kSuffixes = {"_bnb4", "_fp16", "_int8", "_q4", "_q4f16", "_quantized", "_uint8"};
  const std::string stem = path.stem().string();
  for (const std::string& suffix : kSuffixes) {
    if (stem.size() <= suffix.size() || stem.compare(stem.size() - suffix.size(), suffix.size(), suffix) != 0) continue;
    if (all.count(path.parent_path() / (stem.substr(0, stem.size() - suffix.size()) + ".onnx")) > 0) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> ExportsIn(const std::vector<std::string>& paths) {
  std::vector<std::string> exports;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      exports.push_back(path);
      continue;
    }
    std::set<fs::path> all;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      if (entry.path().extension() == ".onnx") all.insert(entry.path());
    }
    if (error) throw ConvertError(path + ": cannot be read: " + error.message());
    if (all.empty()) throw ConvertError(path + ": contains no .onnx file");
    for (const fs::path& file : all) {
      if (!IsVariant(file, all)) exports.push_back(file.string());
    }
  }
  return exports;
}

std::vector<SplitModel> SplitExports(const std::vector<std::string>& paths, const SplitNames& names) {
  std::vector<SplitModel> models = ReadExports(paths, names, /*with_scale=*/true);
  CheckNamesGiven(models, names);
  if (Agree(models)) return models;
  models = ReadExports(paths, names, /*with_scale=*/false);
  if (!Agree(models)) throw ConvertError("the exports scale embeddings in different ways");
  return models;
}

}  // namespace tied::converter
