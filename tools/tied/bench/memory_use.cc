#include "tools/tied/bench/memory_use.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace tied::cli {

namespace {

constexpr char kRollup[] = "/proc/self/smaps_rollup";

// The number in a line "Name:   123 kB", in bytes.
bool FindKilobytes(const std::string& line, const std::string& name, uint64_t* bytes) {
  if (line.compare(0, name.size(), name) != 0) return false;
  std::istringstream rest(line.substr(name.size()));
  uint64_t kilobytes = 0;
  if (!(rest >> kilobytes)) return false;
  *bytes = kilobytes * 1024;
  return true;
}

std::ifstream Open(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(std::string(path) + ": cannot be read; memory figures need Linux 4.14 or newer");
  return file;
}

}  // namespace

bool CanReadMemoryUse() { return std::ifstream(kRollup).good(); }

MemoryUse ReadMemoryUse() {
  std::ifstream file = Open(kRollup);
  MemoryUse use;
  for (std::string line; std::getline(file, line);) {
    FindKilobytes(line, "Rss:", &use.rss);
    FindKilobytes(line, "Pss:", &use.pss);
    FindKilobytes(line, "Private_Dirty:", &use.private_dirty);
  }
  return use;
}

uint64_t ReadPeakRss() {
  std::ifstream file = Open("/proc/self/status");
  uint64_t peak = 0;
  for (std::string line; std::getline(file, line);) FindKilobytes(line, "VmHWM:", &peak);
  return peak;
}

std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, 10, "model name") != 0) continue;
    const size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "unknown";
}

}  // namespace tied::cli
