#include "tools/tied/bench/report.h"

#include <algorithm>
#include <iostream>

#include "base/printable.h"
#include "tools/tied/bench/timing.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

constexpr Table::Align kRight = Table::Align::kRight;

template <typename Matches>
const Case* Find(const std::vector<Case>& cases, const Matches& matches) {
  const auto found = std::find_if(cases.begin(), cases.end(), matches);
  return found == cases.end() ? nullptr : &*found;
}

// Median over all repeats of this case's time divided by the other's.
Json TimeRatio(const Case& each, const Case* other) {
  if (other == nullptr) return nullptr;
  std::vector<double> ratios;
  for (size_t i = 0; i < each.seconds.size(); ++i) ratios.push_back(each.seconds[i] / other->seconds[i]);
  return Median(ratios);
}

Json ShareOfRead(const std::vector<Case>& cases, const Case& each) {
  if (each.name != "head" && each.name != "topk") return nullptr;
  const Case* read = Find(cases, [&](const Case& c) { return c.name == "read" && c.threads == each.threads; });
  return read == nullptr ? Json() : TimeRatio(*read, &each);
}

Json RatioToOneToken(const std::vector<Case>& cases, const Case& each) {
  if (each.name != "head" && each.name != "topk") return nullptr;
  return TimeRatio(each, Find(cases, [&](const Case& c) {
                     return c.name == each.name && c.tokens == size_t{1} && c.threads == each.threads &&
                            c.deterministic == each.deterministic && c.k == each.k && c.screen == each.screen;
                   }));
}

Json RatioToMemcpy(const std::vector<Case>& cases, const Case& each) {
  if (each.name != "embed") return nullptr;
  return TimeRatio(each, Find(cases, [](const Case& c) { return c.name == "memcpy"; }));
}

template <typename T>
Json OrNull(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json UseJson(const MemoryUse& use) {
  return {{"rss_bytes", use.rss}, {"pss_bytes", use.pss}, {"private_dirty_bytes", use.private_dirty}};
}

std::string Text(const Json& value, int digits) {
  if (value.is_null()) return "-";
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_number_float()) return Fixed(value.get<double>(), digits);
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string Megabytes(const Json& bytes) { return Fixed(bytes.get<double>() / 1e6, 2); }

void PrintCases(const Json& cases) {
  Table table({{"case"},
               {"tokens", kRight},
               {"threads", kRight},
               {"deterministic"},
               {"k", kRight},
               {"screen"},
               {"ms", kRight},
               {"GB/s", kRight},
               {"of read", kRight},
               {"x 1 token", kRight},
               {"x memcpy", kRight},
               {"GFLOP/s", kRight}});
  for (const Json& each : cases) {
    const int digits = each["ms"] < 1.0 ? 4 : 2;
    table.AddRow({Text(each["case"], 0), Text(each["tokens"], 0), Text(each["threads"], 0),
                  Text(each["deterministic"], 0), Text(each["k"], 0), Text(each["screen"], 0), Text(each["ms"], digits),
                  Text(each["gb_per_s"], 1), Text(each["share_of_read"], 2), Text(each["ratio_to_one_token"], 2),
                  Text(each["ratio_to_memcpy"], 2), Text(each["gflop_per_s"], 1)});
  }
  std::cout << '\n';
  table.Print(std::cout);
  std::cout << "\n  " << kEmbedIds
            << " ids: new random ids in each call; memcpy gathers as many rows from the table on one thread\n";
}

void PrintMemory(const Json& memory) {
  Table table({{"memory, MB"}, {"resident", kRight}, {"proportional", kRight}, {"private dirty", kRight}});
  for (const Json& row : memory["stages"]) {
    table.AddRow({Text(row["stage"], 0), Megabytes(row["rss_bytes"]), Megabytes(row["pss_bytes"]),
                  Megabytes(row["private_dirty_bytes"])});
  }
  table.AddRow({"peak", Megabytes(memory["peak_rss_bytes"])});
  std::cout << '\n';
  table.Print(std::cout);
}

void PrintProcesses(const Json& processes) {
  Table table({{"process, MB"}, {"resident", kRight}, {"proportional", kRight}, {"private dirty", kRight}});
  size_t number = 0;
  for (const Json& row : processes["each"]) {
    table.AddRow({std::to_string(++number), Megabytes(row["rss_bytes"]), Megabytes(row["pss_bytes"]),
                  Megabytes(row["private_dirty_bytes"])});
  }
  table.AddRow({"sum", Megabytes(processes["sum_rss_bytes"]), Megabytes(processes["sum_pss_bytes"]),
                Megabytes(processes["sum_private_dirty_bytes"])});
  std::cout << '\n';
  table.Print(std::cout);
}

}  // namespace

Json CasesJson(const std::vector<Case>& cases) {
  Json list = Json::array();
  for (const Case& each : cases) {
    const double seconds = Median(each.seconds);
    Json milliseconds = Json::array();
    for (const double sample : each.seconds) milliseconds.push_back(sample * 1e3);
    list.push_back({{"case", each.name},
                    {"tokens", OrNull(each.tokens)},
                    {"threads", OrNull(each.threads)},
                    {"deterministic", OrNull(each.deterministic)},
                    {"k", OrNull(each.k)},
                    {"screen", OrNull(each.screen)},
                    {"ms", seconds * 1e3},
                    {"gb_per_s", each.bytes ? Json(*each.bytes / seconds / 1e9) : Json()},
                    {"share_of_read", ShareOfRead(cases, each)},
                    {"ratio_to_one_token", RatioToOneToken(cases, each)},
                    {"ratio_to_memcpy", RatioToMemcpy(cases, each)},
                    {"gflop_per_s", each.flops ? Json(*each.flops / seconds / 1e9) : Json()},
                    {"samples_ms", milliseconds}});
  }
  return list;
}

Json MemoryJson(const MemoryStages& stages) {
  const std::pair<const char*, const MemoryUse*> named[] = {
      {"before open", &stages.before_open},     {"after open", &stages.after_open},
      {"after session", &stages.after_session}, {"after embed", &stages.after_embed},
      {"after ten heads", &stages.after_heads}, {"after trim", &stages.after_trim},
      {"after ten top-10", &stages.after_topks}};
  Json list = Json::array();
  for (const auto& [name, use] : named) {
    Json row = {{"stage", name}};
    row.update(UseJson(*use));
    list.push_back(row);
  }
  return {{"stages", list}, {"peak_rss_bytes", stages.peak_rss}};
}

Json ProcessesJson(const std::vector<MemoryUse>& uses) {
  MemoryUse sum;
  Json list = Json::array();
  for (const MemoryUse& use : uses) {
    sum.rss += use.rss;
    sum.pss += use.pss;
    sum.private_dirty += use.private_dirty;
    list.push_back(UseJson(use));
  }
  return {{"count", uses.size()},
          {"sum_rss_bytes", sum.rss},
          {"sum_pss_bytes", sum.pss},
          {"sum_private_dirty_bytes", sum.private_dirty},
          {"each", list}};
}

Json KernelsJson() {
  Json list = Json::array();
  for (const tied_kernel_info& kernel : Kernels()) {
    list.push_back({{"isa", kernel.isa}, {"available", kernel.available != 0}, {"selected", kernel.selected != 0}});
  }
  return list;
}

void PrintReport(const Json& report) {
  std::cout << Printable(Text(report["model"], 0)) << ": " << Printable(Text(report["table"], 0)) << " ["
            << report["rows"] << ", " << report["cols"] << "] " << Text(report["type"], 0) << ", "
            << BytesText(report["table_bytes"].get<uint64_t>()) << '\n'
            << Text(report["cpu"], 0) << ", " << report["threads"] << " threads, kernels " << Text(report["isa"], 0)
            << ", median of " << report["repeat"] << '\n';
  if (!report["processes"].is_null()) PrintProcesses(report["processes"]);
  if (!report["memory"].is_null()) PrintMemory(report["memory"]);
  PrintCases(report["cases"]);
}

void PrintKernels(const Json& kernels) {
  Table table({{"kernels"}, {"available"}, {"selected"}});
  for (const Json& kernel : kernels) {
    table.AddRow({Text(kernel["isa"], 0), Text(kernel["available"], 0), Text(kernel["selected"], 0)});
  }
  table.Print(std::cout);
}

}  // namespace tied::cli
