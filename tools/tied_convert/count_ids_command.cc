#include "tools/tied_convert/count_ids_command.h"

#include <algorithm>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>

#include "base/output_file.h"
#include "converter/output/id_list.h"
#include "tools/tied_convert/count_ids.h"

namespace tied::converter {

namespace {

struct Options {
  std::vector<std::string> files;
  std::string output;
  std::string always;
  uint64_t min_count = 0;
  double coverage = 0.9999;
};

std::vector<uint32_t> AlwaysKept(const std::string& ranges) {
  std::vector<uint32_t> ids;
  for (const IdRange& range : ParseIds(ranges, "--always")) {
    for (uint32_t id = range.first; id <= range.last; ++id) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::string Summary(const IdCounts& counts, const std::vector<uint32_t>& ids) {
  std::ostringstream text;
  const uint64_t tokens = counts.TokensOf(ids);
  text << ids.size() << " ids cover " << tokens << " of " << counts.total() << " tokens, "
       << 100.0 * static_cast<double>(tokens) / static_cast<double>(std::max<uint64_t>(1, counts.total())) << " %; "
       << counts.distinct() << " distinct ids occur";
  return text.str();
}

void CountIds(const Options& options) {
  RefuseInputs(options.output, {options.files.begin(), options.files.end()});
  IdCounts counts;
  for (const std::string& path : options.files) counts.AddFile(path);
  const std::vector<uint32_t> chosen =
      options.min_count > 0 ? counts.AtLeast(options.min_count) : counts.MostFrequent(options.coverage);
  const std::vector<uint32_t> always = AlwaysKept(options.always);
  std::vector<uint32_t> ids;
  std::set_union(chosen.begin(), chosen.end(), always.begin(), always.end(), std::back_inserter(ids));
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  const std::string summary = Summary(counts, ids);
  const std::string list = "# " + summary + "\n" + FormatIds(ids);
  if (options.output.empty() || options.output == "-") {
    std::cout << list;
    return;
  }
  OutputFile file(options.output);
  file.WriteAt(0, list.data(), list.size());
  file.Commit();
  std::cout << options.output << ": " << summary << '\n';
}

}  // namespace

CLI::App* AddCountIds(CLI::App* app) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand("count-ids", "Count token ids in text, and propose a list for --keep-ids");
  command->add_option("files", options->files, "Token ids separated by white space; - for standard input")
      ->required()
      ->type_name("FILE");
  command->add_option("-o,--output", options->output, "The list; default: standard output")->type_name("FILE");
  CLI::Option* min_count =
      command->add_option("--min-count", options->min_count, "Keep all ids that occur at least this often")
          ->check(CLI::PositiveNumber);
  command->add_option("--coverage", options->coverage, "Keep the most frequent ids that cover this share of all tokens")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0))
      ->excludes(min_count);
  command->add_option("--always", options->always, "Also keep these ids, such as special tokens: 0-3,256000-256205")
      ->type_name("IDS");
  command->callback([options] { CountIds(*options); });
  return command;
}

}  // namespace tied::converter
