// Reads models in the safetensors format (github.com/huggingface/safetensors), with the config.json beside them.
#ifndef TIED_CONVERTER_SAFETENSORS_SAFETENSORS_H_
#define TIED_CONVERTER_SAFETENSORS_SAFETENSORS_H_

#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/safetensors/reader.h"
#include "converter/safetensors/table_choice.h"

namespace tied::converter {

// The index, all shards and the config.json of a model.
std::set<std::string> FilesOfSafetensors(const std::string& path);

// The tied pair of a model as a graph: input_ids [batch, sequence] to embeddings [batch, sequence, cols], scaled
// according to the model's family (families.h) or `choice`, and hidden [batch, sequence, cols] to logits [batch,
// sequence, rows]. If the file has a matrix for the lm_head, the graph contains it, to compare with the table. Throws
// ConvertError for unknown families, for models without such a table, and if config.json says that they are not tied.
Graph ReadSafetensorsGraph(const std::string& path, const TableChoice& choice = {});

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_SAFETENSORS_H_
