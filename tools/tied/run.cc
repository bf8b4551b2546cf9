#include <algorithm>
#include <deque>
#include <memory>
#include <set>

#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/summary.h"

namespace tied::cli {

namespace {

struct Options : CommonOptions {
  std::string entry;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

// NAME=VALUE from the command line. Without '=', the value is empty.
struct Binding {
  std::string name;
  std::string value;
};

std::vector<Binding> ParseBindings(const std::vector<std::string>& typed, const char* flag, bool needs_value) {
  std::vector<Binding> bindings;
  for (const std::string& text : typed) {
    // Names in the graph may contain '='; file names rarely do.
    const size_t equals = text.rfind('=');
    Binding binding = {text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1)};
    if (binding.name.empty() || (binding.value.empty() && (needs_value || equals != std::string::npos))) {
      throw UsageError(std::string(flag) + " " + text + ": expected NAME=" + (needs_value ? "FILE" : "FILE or NAME"));
    }
    bindings.push_back(binding);
  }
  return bindings;
}

// Two outputs in one file, or two pipes on one stream, would overwrite each other.
void CheckFilesDiffer(const std::vector<Binding>& bindings, const char* flag, bool pipes_only) {
  std::set<std::string> seen;
  for (const Binding& binding : bindings) {
    if (binding.value.empty() || (pipes_only && binding.value != "-")) continue;
    if (!seen.insert(binding.value).second) {
      throw UsageError(std::string(flag) + ": " + binding.value + " is given twice");
    }
  }
}

// A Boolean with the declared rank: [] or [1, …].
Array MakeBool(const Model& model, const std::string& name, bool value) {
  size_t rank = 0;
  const size_t inputs = model.Info().input_count;
  for (size_t i = 0; i < inputs; ++i) {
    const tied_value_info info = model.Input(i);
    if (name == info.name) rank = info.rank;
  }
  Array array = MakeArray(TIED_BOOL, std::vector<int64_t>(rank, 1));
  *array.values<bool>() = value;
  return array;
}

Array ReadInput(const Model& model, const Binding& binding) {
  if (binding.value == "true" || binding.value == "false") {
    return MakeBool(model, binding.name, binding.value == "true");
  }
  return ReadNpy(binding.value);
}

tied_tensor TensorOf(const Binding& binding, Array& array) {
  if (array.shape.size() > TIED_MAX_RANK) {
    throw std::runtime_error(binding.value + ": has " + std::to_string(array.shape.size()) +
                             " dimensions; expected at most " + std::to_string(TIED_MAX_RANK));
  }
  tied_tensor tensor = OutputTensor(binding.name.c_str());
  tensor.type = array.type;
  tensor.rank = array.shape.size();
  std::copy(array.shape.begin(), array.shape.end(), tensor.dims);
  tensor.data = array.bytes.data();
  tensor.bytes = array.bytes.size();
  return tensor;
}

// Asks for the shapes of the outputs, then computes into arrays of these shapes.
std::vector<Array> Compute(Session& session, const std::string& entry, const std::vector<tied_tensor>& inputs,
                           const std::vector<Binding>& outputs) {
  const char* name = entry.empty() ? nullptr : entry.c_str();
  std::vector<tied_tensor> tensors;
  tensors.reserve(outputs.size());
  for (const Binding& binding : outputs) tensors.push_back(OutputTensor(binding.name.c_str()));
  session.Run(name, inputs, tensors);
  std::vector<Array> arrays;
  for (tied_tensor& tensor : tensors) {
    arrays.push_back(MakeArray(tensor.type, std::vector<int64_t>(tensor.dims, tensor.dims + tensor.rank)));
    tensor.data = arrays.back().bytes.data();
    tensor.bytes = arrays.back().bytes.size();
  }
  session.Run(name, inputs, tensors);
  return arrays;
}

void Deliver(const std::vector<Binding>& bindings, const std::vector<Array>& arrays,
             const std::vector<std::unique_ptr<OutputFile>>& files, bool json) {
  for (size_t i = 0; i < files.size(); ++i) {
    if (!files[i]) continue;
    WriteNpy(arrays[i], files[i].get());
    files[i]->Sync();
  }
  for (const auto& file : files) {
    if (file) file->Commit();
  }
  Json list = Json::array();
  for (size_t i = 0; i < files.size(); ++i) {
    if (json) {
      list.push_back(SummaryJson(bindings[i].name, arrays[i]));
    } else if (!files[i]) {
      PrintSummary(bindings[i].name, arrays[i]);
    }
  }
  if (json) PrintJson({{"outputs", list}});
}

void Run(const Options& options) {
  const std::vector<Binding> inputs = ParseBindings(options.inputs, "--input", /*needs_value=*/true);
  const std::vector<Binding> outputs = ParseBindings(options.outputs, "--output", /*needs_value=*/false);
  CheckFilesDiffer(inputs, "--input", /*pipes_only=*/true);
  CheckFilesDiffer(outputs, "--output", /*pipes_only=*/false);

  const Model model = Model::Open(options.model);
  std::deque<Array> arrays;  // owns the data of the tensors
  std::vector<tied_tensor> tensors;
  for (const Binding& binding : inputs) {
    arrays.push_back(ReadInput(model, binding));
    tensors.push_back(TensorOf(binding, arrays.back()));
  }
  std::vector<std::unique_ptr<OutputFile>> files;
  bool piped = false;
  for (const Binding& binding : outputs) {
    files.push_back(OpenOutput(binding.value, options.json));
    piped = piped || binding.value == "-";
  }
  if (piped && std::any_of(outputs.begin(), outputs.end(), [](const Binding& b) { return b.value.empty(); })) {
    throw UsageError("--output NAME=- and --output NAME without a file both write to standard output");
  }
  Session session(model, options.session);
  Deliver(outputs, Compute(session, options.entry, tensors, outputs), files, options.json);
}

}  // namespace

void AddRun(CLI::App& program) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("run", "Run an entry point with the names of the ONNX graph");
  AddModel(command, options.get());
  command->add_option("--entry", options->entry, "Entry point; optional if selectors are given")->type_name("NAME");
  command->add_option("--input", options->inputs, "NAME=FILE (.npy; - for standard input), or NAME=true, NAME=false")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command
      ->add_option("--output", options->outputs, "NAME=FILE (.npy; - for standard output), or NAME to print a summary")
      ->type_name("NAME[=FILE]")
      ->allow_extra_args(false)
      ->required();
  AddThreads(command, options.get());
  AddDeterministic(command, options.get());
  AddXnnpackMinTokens(command, options.get());
  AddJson(command, options.get());
  command->callback([options] { Run(*options); });
}

}  // namespace tied::cli
