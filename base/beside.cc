#include "base/beside.h"

#include <filesystem>

#include "base/error.h"

namespace tied {

namespace {

namespace fs = std::filesystem;

bool IsInside(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::string FileBeside(const std::string& model, const std::string& name, const std::string& what) {
  const std::string file = what + " '" + name + "' ";
  if (name.empty() || fs::path(name).is_absolute()) {
    throw CommandError(file + "is not relative to the model's folder");
  }
  std::error_code error;
  const fs::path parent = fs::absolute(model).parent_path();
  const fs::path folder = fs::canonical(parent, error);
  if (error) throw CommandError(parent.string() + ": " + error.message());
  const fs::path resolved = fs::weakly_canonical(folder / name, error);
  if (error) throw CommandError(file + "is not a path: " + error.message());
  if (IsInside(resolved, folder)) return resolved.string();
  if (!IsInside((folder / name).lexically_normal(), folder)) throw CommandError(file + "leaves the model's folder");
  const fs::path real_model = fs::canonical(fs::absolute(model), error);
  if (!error && fs::is_symlink(fs::absolute(model)) && resolved.parent_path() == real_model.parent_path()) {
    return resolved.string();
  }
  throw CommandError(file + "leaves the model's folder: it is a link to " + resolved.string() +
                     "; links out of the folder are followed only if the model itself is a link into the same folder. "
                     "'cp -rL' makes a folder without links");
}

}  // namespace tied
