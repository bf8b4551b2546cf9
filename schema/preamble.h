// The first bytes of a .tied file, before the flatbuffer (FORMAT.md). Only this file reads and writes them.
#ifndef TIED_SCHEMA_PREAMBLE_H_
#define TIED_SCHEMA_PREAMBLE_H_

#include <cstddef>
#include <cstdint>

namespace tied::format {

inline constexpr uint32_t kFormatVersion = 2;
inline constexpr uint32_t kMaxHeaderLength = 16u << 20;

// Planes start at multiples of this, which is a multiple of every page size in use.
inline constexpr uint64_t kPlaneAlignment = 65536;

// The layout in the file; the flatbuffer follows.
struct Preamble {
  unsigned char magic[8];
  uint32_t format_version;
  uint32_t header_length;
  uint64_t file_length;
  uint64_t header_hash;
};
static_assert(sizeof(Preamble) == 32, "FORMAT.md");

// The first offset at or after `offset` where a plane may start.
inline uint64_t AlignPlane(uint64_t offset) {
  return (offset + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

// The preamble of a file of the current version. header: the flatbuffer.
Preamble MakePreamble(const void* header, uint32_t header_length, uint64_t file_length);

enum class PreambleFault {
  kNone,
  kTooShort,
  kMagic,
  kVersion,       // not the version that this code supports
  kFileLength,    // differs from `size`
  kHeaderLength,  // above the maximum, or past the end of the file
};

// Copies the preamble of a file of `size` bytes and checks everything except its hash. Sets *preamble unless the file
// is too short.
PreambleFault ReadPreamble(const void* data, size_t size, Preamble* preamble);

// header: the header_length bytes after the preamble.
bool HasValidHash(const Preamble& preamble, const void* header);

}  // namespace tied::format

#endif  // TIED_SCHEMA_PREAMBLE_H_
