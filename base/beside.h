// Files that a model names: its shards, its external data.
#ifndef TIED_BASE_BESIDE_H_
#define TIED_BASE_BESIDE_H_

#include <string>

namespace tied {

// The file `name` of the model `model`, whose folder it is relative to. A model must not name files elsewhere, by ".."
// or by a link. A link may leave the folder if the model is itself a link to a file in the folder that it leads to: a
// Hugging Face cache is made so. The file need not exist, unless it is a link. Throws CommandError: "external data
// 'name' leaves the model's folder …", where `what` is the first words.
std::string FileBeside(const std::string& model, const std::string& name, const std::string& what);

}  // namespace tied

#endif  // TIED_BASE_BESIDE_H_
