#include <iostream>
#include <memory>

#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/summary.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

struct Options : CommonOptions {
  std::string hidden;
  std::string output;
};

void Print(const Array& ids, const std::vector<float>& logits, bool json) {
  const int64_t* values = ids.values<int64_t>();
  if (json) {
    const std::vector<int64_t> list(values, values + ids.size());
    return PrintJson({{"shape", ids.shape}, {"ids", list}, {"logits", logits}});
  }
  Table table({{"token", Table::Align::kRight}, {"id", Table::Align::kRight}, {"logit", Table::Align::kRight}});
  for (size_t i = 0; i < logits.size(); ++i) {
    table.AddRow({std::to_string(i), std::to_string(values[i]), LogitText(static_cast<double>(logits[i]))});
  }
  table.Print(std::cout);
}

void Argmax(const Options& options) {
  const Model model = Model::Open(options.model);
  const Array hidden = ReadHidden(options.hidden, model.HeadTable());
  const std::unique_ptr<OutputFile> file = OpenOutput(options.output, options.json);

  std::vector<int64_t> shape = hidden.shape;
  shape.pop_back();
  Array ids = MakeArray(TIED_INT64, shape);
  std::vector<float> logits(ids.size());
  Session session(model, options.session);
  session.Argmax({hidden.values<float>(), hidden.size()}, {ids.values<int64_t>(), ids.size()}, logits);
  if (file != nullptr) {
    WriteNpy(ids, file.get());
    file->Commit();
  }
  if (options.json || file == nullptr) Print(ids, logits, options.json);
}

}  // namespace

void AddArgmax(CLI::App& program) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("argmax", "Find the best token id and its logit for each hidden state");
  AddModel(command, options.get());
  command->add_option("--hidden", options->hidden, "float32 [..., cols] (.npy; - for standard input)")
      ->required()
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "Write the ids, int64 [...] (.npy; - for standard output)")
      ->type_name("FILE");
  AddThreads(command, options.get());
  AddDeterministic(command, options.get());
  AddJson(command, options.get());
  command->callback([options] { Argmax(*options); });
}

}  // namespace tied::cli
