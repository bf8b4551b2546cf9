// The first bytes of a .tied file, before the flatbuffer: read and written here and nowhere else (FORMAT.md).
#ifndef TIED_SCHEMA_PREAMBLE_H_
#define TIED_SCHEMA_PREAMBLE_H_

#include <cstddef>
#include <cstdint>

namespace tied::format {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint32_t kMaxHeaderLength = 16u << 20;

// Planes begin at multiples of it: of every page size in use.
inline constexpr uint64_t kPlaneAlignment = 65536;

// As it is in the file; the flatbuffer follows.
struct Preamble {
  unsigned char magic[8];
  uint32_t format_version;
  uint32_t header_length;
  uint64_t file_length;
  uint64_t header_hash;
};
static_assert(sizeof(Preamble) == 32, "FORMAT.md");

// The first offset from `offset` on at which a plane may begin.
inline uint64_t AlignPlane(uint64_t offset) {
  return (offset + kPlaneAlignment - 1) / kPlaneAlignment * kPlaneAlignment;
}

// The preamble of a file of this version with that flatbuffer.
Preamble MakePreamble(const void* header, uint32_t header_length, uint64_t file_length);

enum class PreambleFault {
  kNone,
  kTooShort,
  kMagic,
  kVersion,       // one that this code does not know
  kFileLength,    // it is not `size`
  kHeaderLength,  // above the largest, or beyond the end of the file
};

// Copies the preamble of a file of `size` bytes and checks all but its hash. *preamble is set unless it is too short.
PreambleFault ReadPreamble(const void* data, size_t size, Preamble* preamble);

// header: the header_length bytes behind the preamble.
bool HasValidHash(const Preamble& preamble, const void* header);

}  // namespace tied::format

#endif  // TIED_SCHEMA_PREAMBLE_H_
