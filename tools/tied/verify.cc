#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "base/input_file.h"
#include "base/printable.h"
#include "tools/tied/commands.h"
#include "tools/tied/options.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

// A mapping answers a bad block with SIGBUS; pread() says where it is. Pages that were read stay cached for the
// mapping.
void ReadWhole(const std::string& path) {
  const InputFile file(path);
  std::vector<char> bytes(size_t{1} << 16);
  for (uint64_t offset = 0; offset < file.size(); offset += bytes.size()) {
    file.ReadAt(offset, bytes.data(), static_cast<size_t>(std::min<uint64_t>(bytes.size(), file.size() - offset)));
  }
}

void Verify(const CommonOptions& options) {
  ReadWhole(options.model);
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
