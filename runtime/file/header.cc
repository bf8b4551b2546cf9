#include "runtime/file/header.h"

#include <cinttypes>
#include <cstring>
#include <new>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::runtime {

namespace {

constexpr unsigned char kMagic[8] = {0x89, 'T', 'I', 'E', 'D', 0x0D, 0x0A, 0x1A};
constexpr uint32_t kMaxHeaderLength = 16u << 20;

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "planes are computed on as they lie in the file, which is little-endian"
#endif

struct Preamble {
  unsigned char magic[8];
  uint32_t format_version;
  uint32_t header_length;
  uint64_t file_length;
  uint64_t header_hash;
};
static_assert(sizeof(Preamble) == 32, "FORMAT.md");

uint64_t HeaderHash(const Preamble& preamble, const void* header) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, &preamble, offsetof(Preamble, header_hash));
  XXH3_64bits_update(&state, header, preamble.header_length);
  return XXH3_64bits_digest(&state);
}

Status ReadPreamble(const unsigned char* data, size_t size, const char* name, Preamble* preamble) {
  if (size < sizeof *preamble) {
    return Status::Error(TIED_CORRUPT, "%s: %zu bytes are too few for a .tied file", name, size);
  }
  std::memcpy(preamble, data, sizeof *preamble);
  if (std::memcmp(preamble->magic, kMagic, sizeof kMagic) != 0) {
    return Status::Error(TIED_CORRUPT, "%s: is not a .tied file (its first bytes are not the magic)", name);
  }
  if (preamble->format_version != kFormatVersion) {
    return Status::Error(TIED_UNSUPPORTED, "%s: has format version %" PRIu32 ", this library reads version %" PRIu32,
                         name, preamble->format_version, kFormatVersion);
  }
  if (preamble->file_length != size) {
    return Status::Error(TIED_CORRUPT, "%s: holds %zu bytes, its header says %" PRIu64, name, size,
                         preamble->file_length);
  }
  if (preamble->header_length > kMaxHeaderLength || preamble->header_length > size - sizeof *preamble) {
    return Status::Error(TIED_CORRUPT, "%s: header length %" PRIu32 " does not fit", name, preamble->header_length);
  }
  return Status();
}

}  // namespace

Status Header::Read(const unsigned char* data, size_t size, const char* name, Header* header) {
  Preamble preamble;
  TIED_RETURN_IF_ERROR(ReadPreamble(data, size, name, &preamble));
  Header read;
  read.format_version_ = preamble.format_version;
  read.bytes_.reset(new (std::nothrow) uint64_t[preamble.header_length / sizeof(uint64_t) + 1]);
  if (read.bytes_ == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for the header", name);
  const auto* bytes = reinterpret_cast<const uint8_t*>(read.bytes_.get());
  std::memcpy(read.bytes_.get(), data + sizeof preamble, preamble.header_length);
  if (HeaderHash(preamble, bytes) != preamble.header_hash) {
    return Status::Error(TIED_CORRUPT, "%s: the header does not match its hash", name);
  }
  flatbuffers::Verifier verifier(bytes, preamble.header_length, /*max_depth=*/16, /*max_tables=*/100000);
  if (!format::VerifyHeaderBuffer(verifier)) {
    return Status::Error(TIED_CORRUPT, "%s: the header is not a valid flatbuffer with identifier TIED", name);
  }
  read.root_ = format::GetHeader(bytes);
  TIED_RETURN_IF_ERROR(ValidateHeader(*read, sizeof preamble + preamble.header_length, size, name));
  *header = std::move(read);
  return Status();
}

}  // namespace tied::runtime
