#include <iostream>
#include <memory>

#include "base/printable.h"
#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

void Verify(const CommonOptions& options) {
  const Model model = Model::Open(options.model, {/*verify_planes=*/true, /*copy=*/false});
  const uint64_t bytes = model.Info().file_bytes;
  if (options.json) return PrintJson({{"model", options.model}, {"file_bytes", bytes}, {"ok", true}});
  std::cout << Printable(options.model) << ": " << BytesText(bytes)
            << ", the hashes of the header and every plane match\n";
}

}  // namespace

void AddVerify(CLI::App& program) {
  const auto options = std::make_shared<CommonOptions>();
  CLI::App* command = program.add_subcommand("verify", "Check hashes, scales and zero points of the whole file");
  AddModel(command, options.get());
  AddJson(command, options.get());
  command->callback([options] { Verify(*options); });
}

}  // namespace tied::cli
