// Paths of the files that a model refers to: shards and external data.
#ifndef TIED_BASE_BESIDE_H_
#define TIED_BASE_BESIDE_H_

#include <string>

namespace tied {

// Returns the path of the file `name`, which is relative to the folder of `model`. A model must not refer to files in
// other folders, by ".." or by a link. A link may leave the folder if the model itself is a link into the same target
// folder, as in a Hugging Face cache. The file need not exist, unless it is a link. Throws CommandError: "external data
// 'name' leaves the model's folder …"; `what` is the start of the message.
std::string FileBeside(const std::string& model, const std::string& name, const std::string& what);

}  // namespace tied

#endif  // TIED_BASE_BESIDE_H_
