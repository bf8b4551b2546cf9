#include <charconv>
#include <memory>

#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/summary.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

// Checks an id, because CLI11 would read 010 as 8 and an empty word as 0.
std::string CheckId(const std::string& text) {
  int64_t id = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, id);
  const bool octal = text.size() > 1 && text[0] == '0';
  return error == std::errc() && stop == end && !octal ? "" : "'" + text + "' is not a token id";
}

struct Options : CommonOptions {
  std::vector<int64_t> ids;
  std::string ids_file;
  std::string output;
};

// The token ids as int64, from the command line or a file of either width.
Array ReadIds(const Options& options) {
  Array given;
  if (options.ids_file.empty()) {
    given = MakeArray(TIED_INT64, {static_cast<int64_t>(options.ids.size())});
    std::copy(options.ids.begin(), options.ids.end(), given.values<int64_t>());
    return given;
  }
  given = ReadNpy(options.ids_file);
  if (given.type == TIED_INT64) return given;
  if (given.type != TIED_INT32) {
    throw std::runtime_error(options.ids_file + ": has type " + TypeText(given.type) + "; expected int64 or int32 ids");
  }
  Array ids = MakeArray(TIED_INT64, given.shape);
  std::copy_n(given.values<int32_t>(), given.size(), ids.values<int64_t>());
  return ids;
}

void Embed(const Options& options) {
  const Model model = Model::Open(options.model);
  const Array ids = ReadIds(options);
  const std::unique_ptr<OutputFile> file = OpenOutput(options.output, options.json);

  std::vector<int64_t> shape = ids.shape;
  shape.push_back(static_cast<int64_t>(model.Embedding().cols));
  Array embeddings = MakeArray(TIED_FLOAT32, shape);
  Session session(model, options.session);
  session.Embed({ids.values<int64_t>(), ids.size()}, {embeddings.values<float>(), embeddings.size()});
  Deliver("embeddings", embeddings, file.get(), options.json);
}

}  // namespace

void AddEmbed(CLI::App& program) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("embed", "Embed token ids: float32 [ids, cols]");
  AddModel(command, options.get());
  CLI::Option_group* source = command->add_option_group("token ids");
  source->add_option("--ids", options->ids, "Token ids, such as 2,256047,17 or 2 256047 17")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("ID")
      ->check(CLI::Validator(CheckId, ""));
  source->add_option("--ids-file", options->ids_file, "int64 or int32 ids of any shape (.npy; - for standard input)")
      ->type_name("FILE");
  source->require_option(1);
  command->add_option("-o,--output", options->output, "Write the embeddings (.npy; - for standard output)")
      ->type_name("FILE");
  AddThreads(command, options.get());
  AddDeterministic(command, options.get());
  AddJson(command, options.get());
  command->callback([options] { Embed(*options); });
}

}  // namespace tied::cli
