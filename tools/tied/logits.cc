#include <memory>

#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/summary.h"

namespace tied::cli {

namespace {

struct Options : CommonOptions {
  std::string hidden;
  std::string output;
};

void Logits(const Options& options) {
  const Model model = Model::Open(options.model);
  const tied_table_info table = model.HeadTable();
  const Array hidden = ReadHidden(options.hidden, table);
  const std::unique_ptr<OutputFile> file = OpenOutput(options.output, options.json);

  Array logits = MakeArray(TIED_FLOAT32, WithLastDim(hidden.shape, table.vocabulary));
  Session session(model, options.session);
  session.Logits({hidden.values<float>(), hidden.size()}, {logits.values<float>(), logits.size()});
  Deliver("logits", logits, file.get(), options.json);
}

}  // namespace

void AddLogits(CLI::App& program) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      program.add_subcommand("logits", "Run the lm_head: hidden [..., cols] to logits [..., vocabulary]");
  AddModel(command, options.get());
  command->add_option("--hidden", options->hidden, "float32 hidden states (.npy; - for standard input)")
      ->required()
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "Write the logits (.npy; - for standard output)")
      ->type_name("FILE");
  AddThreads(command, options.get());
  AddDeterministic(command, options.get());
  AddXnnpackMinTokens(command, options.get());
  AddJson(command, options.get());
  command->callback([options] { Logits(*options); });
}

}  // namespace tied::cli
