#include "converter/safetensors/json.h"

#include <set>
#include <vector>

#include "base/foreign_file.h"
#include "base/input_file.h"

namespace tied::converter {

namespace {

constexpr size_t kMaxDepth = 16;  // copies of nested values recurse

// Validates a text without storing its values. The library's parser with a callback would take time quadratic in the
// number of members.
class Inspector : public nlohmann::json_sax<Json> {
 public:
  const std::string& fault() const { return fault_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return Enter(); }
  bool key(string_t& name) override {
    return names_.back().insert(name).second || Fail("has two members named '" + name + "'");
  }
  bool end_object() override { return Leave(); }
  bool start_array(size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return Fail("is not a JSON object");
  }

 private:
  bool Enter() {
    if (names_.size() == kMaxDepth) return Fail("is nested too deeply");
    names_.emplace_back();
    return true;
  }
  bool Leave() {
    names_.pop_back();
    return true;
  }
  bool Fail(const std::string& fault) {
    if (fault_.empty()) fault_ = fault;
    return false;
  }

  std::vector<std::set<std::string>> names_;  // members of the objects and lists that contain the current value
  std::string fault_;
};

}  // namespace

Json ParseJson(const std::string& text, const std::string& path) {
  Inspector inspector;
  if (!Json::sax_parse(text, &inspector)) throw ConvertError(path + ": " + inspector.fault());
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw ConvertError(path + ": is not a JSON object");
  return json;
}

Json ReadJson(const std::string& path) {
  RefuseForeignFile(path);
  const InputFile file(path);
  if (file.size() > kMaxJsonBytes) throw ConvertError(path + ": is too large");
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.ReadAt(0, text.data(), text.size());
  return ParseJson(text, path);
}

}  // namespace tied::converter
