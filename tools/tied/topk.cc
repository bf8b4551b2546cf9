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
  std::string rows;
  std::string allowed;
  size_t k = 10;
  double log_z_tolerance = 0;
  bool log_z = false;
  bool no_screen = false;
};

Json ToJson(const TopkResult& result, size_t k) {
  Json tokens = Json::array();
  for (size_t t = 0; t < result.survivors.size(); ++t) {
    const auto first = static_cast<std::ptrdiff_t>(t * k), end = static_cast<std::ptrdiff_t>(t * k + k);
    Json token = {{"ids", std::vector<int64_t>(result.ids.begin() + first, result.ids.begin() + end)},
                  {"logits", std::vector<float>(result.logits.begin() + first, result.logits.begin() + end)},
                  {"survivors", result.survivors[t]}};
    if (!result.log_z.empty()) token["log_z"] = result.log_z[t];
    if (!result.log_z.empty()) token["log_z_bound"] = result.log_z_bound[t];
    tokens.push_back(token);
  }
  return {{"tokens", tokens}, {"bytes_read", result.bytes_read}};
}

void Print(const TopkResult& result, size_t k) {
  constexpr Table::Align kRight = Table::Align::kRight;
  Table table({{"token", kRight}, {"rank", kRight}, {"id", kRight}, {"logit", kRight}});
  for (size_t i = 0; i < result.ids.size(); ++i) {
    table.AddRow({std::to_string(i / k), std::to_string(i % k + 1), std::to_string(result.ids[i]),
                  LogitText(static_cast<double>(result.logits[i]))});
  }
  table.Print(std::cout);
  for (size_t t = 0; t < result.survivors.size(); ++t) {
    std::cout << "  token " << t << ": " << result.survivors[t] << " rows computed from the table";
    if (!result.log_z.empty()) {
      std::cout << ", log_z " << LogitText(result.log_z[t]) << " +- " << LogitText(result.log_z_bound[t]);
    }
    std::cout << '\n';
  }
  std::cout << "  " << BytesText(result.bytes_read) << " read\n";
}

[[noreturn]] void Refuse(const std::string& path, const Array& array, const std::string& expected) {
  throw std::runtime_error(path + ": has type " + TypeText(array.type) + " and shape " + ShapeText(array.shape) +
                           "; expected " + expected);
}

// Reads row ids; none for "".
Array ReadRows(const std::string& path) {
  if (path.empty()) return MakeArray(TIED_INT64, {0});
  Array rows = ReadNpy(path);
  if (rows.type != TIED_INT64 || rows.size() == 0) Refuse(path, rows, "some int64 row ids");
  return rows;
}

// Reads one bit per token id; none for "".
std::vector<uint8_t> ReadAllowed(const std::string& path, uint64_t vocabulary) {
  if (path.empty()) return {};
  const Array allowed = ReadNpy(path);
  if (allowed.type != TIED_BOOL || allowed.size() != vocabulary) {
    Refuse(path, allowed, "one bool for each of " + std::to_string(vocabulary) + " ids");
  }
  std::vector<uint8_t> bits((allowed.size() + 7) / 8);
  for (size_t id = 0; id < allowed.size(); ++id) {
    if (allowed.bytes[id] != 0) bits[id / 8] = static_cast<uint8_t>(bits[id / 8] | 1u << id % 8);
  }
  return bits;
}

void Topk(const Options& options) {
  const Model model = Model::Open(options.model);
  const Array hidden = ReadHidden(options.hidden, model.HeadTable());
  TopkOptions topk;
  topk.use_screen = !options.no_screen;
  topk.log_z = options.log_z;
  topk.log_z_tolerance = options.log_z_tolerance;
  const Array rows = ReadRows(options.rows);
  topk.row_ids = {rows.values<int64_t>(), rows.size()};
  const std::vector<uint8_t> allowed = ReadAllowed(options.allowed, model.Head().vocabulary);
  topk.allowed = {allowed.data(), allowed.size()};
  Session session(model, options.session);
  const TopkResult result = session.Topk({hidden.values<float>(), hidden.size()}, options.k, topk);
  options.json ? PrintJson(ToJson(result, options.k)) : Print(result, options.k);
}

}  // namespace

void AddTopk(CLI::App& program) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand(
      "topk",
      "Find the k best token ids and their logits for each hidden state; exact, uses the screen if there is one");
  AddModel(command, options.get());
  command->add_option("--hidden", options->hidden, "float32 [..., cols] (.npy; - for standard input)")
      ->required()
      ->type_name("FILE");
  command->add_option("-k", options->k, "Number of ids per hidden state")
      ->capture_default_str()
      ->check(CLI::Range(1, TIED_MAX_K));
  command->add_option("--rows", options->rows, "Allow only these ids, int64 (.npy)")->type_name("FILE");
  command
      ->add_option("--allowed", options->allowed,
                   "Allow only ids that are true, bool [vocabulary] (.npy); rows of others are not read")
      ->type_name("FILE");
  CLI::Option* log_z = command->add_option("--log-z", options->log_z_tolerance,
                                           "Also compute log_z with at most this error; 0: exact, with a pass over the "
                                           "table");
  log_z->check(CLI::NonNegativeNumber);
  command->add_flag("--no-screen", options->no_screen, "Do not use the screen");
  AddThreads(command, options.get());
  AddJson(command, options.get());
  command->callback([options, log_z] {
    options->log_z = log_z->count() > 0;
    Topk(*options);
  });
}

}  // namespace tied::cli
