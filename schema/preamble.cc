#include "schema/preamble.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::format {

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tied copies little-endian files to memory unchanged; this machine is not little-endian"
#endif

namespace {

constexpr unsigned char kMagic[8] = {0x89, 'T', 'I', 'E', 'D', 0x0D, 0x0A, 0x1A};

uint64_t HashOf(const Preamble& preamble, const void* header) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, &preamble, offsetof(Preamble, header_hash));
  XXH3_64bits_update(&state, header, preamble.header_length);
  return XXH3_64bits_digest(&state);
}

}  // namespace

Preamble MakePreamble(const void* header, uint32_t header_length, uint64_t file_length) {
  Preamble preamble = {{}, kFormatVersion, header_length, file_length, 0};
  std::memcpy(preamble.magic, kMagic, sizeof kMagic);
  preamble.header_hash = HashOf(preamble, header);
  return preamble;
}

PreambleFault ReadPreamble(const void* data, size_t size, Preamble* preamble) {
  if (size < sizeof *preamble) return PreambleFault::kTooShort;
  std::memcpy(preamble, data, sizeof *preamble);
  if (std::memcmp(preamble->magic, kMagic, sizeof kMagic) != 0) return PreambleFault::kMagic;
  if (preamble->format_version != kFormatVersion) return PreambleFault::kVersion;
  if (preamble->file_length != size) return PreambleFault::kFileLength;
  const bool fits = preamble->header_length <= kMaxHeaderLength && preamble->header_length <= size - sizeof *preamble;
  return fits ? PreambleFault::kNone : PreambleFault::kHeaderLength;
}

bool HasValidHash(const Preamble& preamble, const void* header) {
  return HashOf(preamble, header) == preamble.header_hash;
}

}  // namespace tied::format
