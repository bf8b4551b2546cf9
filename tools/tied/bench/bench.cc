#include <memory>

#include "tools/tied/bench/cases.h"
#include "tools/tied/bench/memory.h"
#include "tools/tied/bench/report.h"
#include "tools/tied/bench/tune.h"
#include "tools/tied/commands.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

std::string SelectedIsa(const Json& kernels) {
  for (const Json& kernel : kernels) {
    if (kernel["selected"]) return kernel["isa"];
  }
  return "none";
}

Json Measure(const BenchOptions& options) {
  // Memory first: the children that measure it inherit the memory of this process, and must be forked before it starts
  // threads.
  Json memory, processes;
  if (CanReadMemoryUse()) memory = MemoryJson(MeasureMemory(options));
  if (options.processes > 0) processes = ProcessesJson(MeasureProcesses(options, options.processes));

  Bench bench(options);
  bench.Run();
  const tied_table_info& table = bench.table();
  const Json kernels = KernelsJson();
  return {{"model", options.model},
          {"table", table.name},
          {"rows", table.rows},
          {"cols", table.cols},
          {"vocabulary", table.vocabulary},
          {"type", TypeText(table.type)},
          {"table_bytes", bench.table_bytes()},
          {"file_bytes", bench.model().Info().file_bytes},
          {"cpu", CpuName()},
          {"cpus", std::thread::hardware_concurrency()},
          {"threads", bench.threads()},
          {"isa", SelectedIsa(kernels)},
          {"tied_version", tied_version()},
          {"repeat", options.repeat},
          {"seed", kBenchSeed},
          {"read_loop", bench.read_loop()},
          {"kernels", kernels},
          {"cases", CasesJson(bench.cases())},
          {"memory", memory},
          {"processes", processes}};
}

void RunBench(BenchOptions options, bool repeat_given, bool tokens_given) {
  if (options.kernels) {
    const Json kernels = KernelsJson();
    return options.json ? PrintJson({{"kernels", kernels}}) : PrintKernels(kernels);
  }
  if (options.model.empty()) throw UsageError("model is required");
  if (options.quick && !repeat_given) options.repeat = 3;
  if (options.quick && !tokens_given) options.tokens = {1, 4};
  if (options.tune) {
    const Json tuning = Tune(options);
    return options.json ? PrintJson(tuning) : PrintTuning(tuning);
  }
  const Json report = Measure(options);
  options.json ? PrintJson(report) : PrintReport(report);
}

}  // namespace

void AddBench(CLI::App& program) {
  const auto options = std::make_shared<BenchOptions>();
  CLI::App* command = program.add_subcommand("bench", "Measure speed and memory of a model on this machine");
  AddModel(command, options.get())->required(false);
  CLI::Option* tokens = command->add_option("--tokens", options->tokens, "Batch sizes of the head, in tokens")
                            ->capture_default_str()
                            ->delimiter(',')
                            ->allow_extra_args(false)
                            ->check(CLI::Range(1, 65536));
  CLI::Option* repeat = command->add_option("--repeat", options->repeat, "Number of measurements of each case")
                            ->capture_default_str()
                            ->check(CLI::Range(1, 100000));
  command->add_flag("--quick", options->quick, "--repeat 3 --tokens 1,4, unless given");
  command->add_option("--processes", options->processes, "Also measure the memory of this many processes together")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--kernels", options->kernels, "Show the kernels in this build and which one this CPU uses");
  command->add_flag("--tune", options->tune,
                    "Find the fastest number of threads, and the number of tokens from which XNNPACK is faster; print "
                    "both as options");
  AddThreads(command, options.get());
  AddJson(command, options.get());
  command->callback([options, repeat, tokens] { RunBench(*options, repeat->count() > 0, tokens->count() > 0); });
}

}  // namespace tied::cli
