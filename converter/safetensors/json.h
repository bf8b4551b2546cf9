// Parses untrusted JSON: headers of safetensors files, their index, config.json.
#ifndef TIED_CONVERTER_SAFETENSORS_JSON_H_
#define TIED_CONVERTER_SAFETENSORS_JSON_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"

namespace tied::converter {

using Json = nlohmann::json;

inline constexpr uint64_t kMaxJsonBytes = 16u << 20;

// Parses a JSON object. Throws ConvertError that names `path` for anything else, for deep nesting, and for an object
// with two members of the same name, because readers differ in which they use.
Json ParseJson(const std::string& text, const std::string& path);

Json ReadJson(const std::string& path);

// The member of an object, or the default if it is missing or null. The wrong type is an error.
template <class T>
T Member(const Json& object, const char* name, T otherwise, const std::string& path) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return otherwise;
  try {
    return found->get<T>();
  } catch (const Json::exception&) {
    throw ConvertError(path + ": '" + name + "' has an unexpected type");
  }
}

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_JSON_H_
