#include "runtime/file/header.h"

#include <cinttypes>
#include <cstring>
#include <new>
#include <utility>

#include "runtime/file/weigh.h"
#include "schema/limits.h"
#include "schema/preamble.h"
#include "tied_generated.h"

namespace tied::runtime {

namespace {

Status ReadPreamble(const unsigned char* data, size_t size, const char* name, format::Preamble* preamble) {
  switch (format::ReadPreamble(data, size, preamble)) {
    case format::PreambleFault::kNone:
      return Status();
    case format::PreambleFault::kTooShort:
      return Status::Error(TIED_CORRUPT, "%s: has %zu bytes, too few for a .tied file", name, size);
    case format::PreambleFault::kMagic:
      return Status::Error(TIED_CORRUPT, "%s: is not a .tied file (wrong magic in the first 8 bytes)", name);
    case format::PreambleFault::kVersion:
      return Status::Error(TIED_UNSUPPORTED,
                           "%s: has format version %" PRIu32 "; this library reads version %" PRIu32 "%s", name,
                           preamble->format_version, format::kFormatVersion,
                           preamble->format_version < format::kFormatVersion ? ". Convert the model again" : "");
    case format::PreambleFault::kFileLength:
      return Status::Error(TIED_CORRUPT, "%s: has %zu bytes, but its header says %" PRIu64, name, size,
                           preamble->file_length);
    default:
      return Status::Error(TIED_CORRUPT, "%s: the header cannot have %" PRIu32 " bytes", name, preamble->header_length);
  }
}

}  // namespace

Status Header::Read(const unsigned char* data, size_t size, const char* name, Header* header) {
  format::Preamble preamble;
  TIED_RETURN_IF_ERROR(ReadPreamble(data, size, name, &preamble));
  Header read;
  read.format_version_ = preamble.format_version;
  read.bytes_.reset(new (std::nothrow) uint64_t[preamble.header_length / sizeof(uint64_t) + 1]);
  if (read.bytes_ == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for the header", name);
  const auto* bytes = reinterpret_cast<const uint8_t*>(read.bytes_.get());
  std::memcpy(read.bytes_.get(), data + sizeof preamble, preamble.header_length);
  if (!format::HasValidHash(preamble, bytes)) {
    return Status::Error(TIED_CORRUPT, "%s: the header does not match its hash", name);
  }
  flatbuffers::Verifier verifier(bytes, preamble.header_length, /*max_depth=*/16, format::kMaxFlatbufferTables);
  if (!format::VerifyHeaderBuffer(verifier)) {
    return Status::Error(TIED_CORRUPT, "%s: the header is not a valid flatbuffer with identifier TIED", name);
  }
  read.root_ = format::GetHeader(bytes);
  TIED_RETURN_IF_ERROR(CheckWeight(*read, preamble.header_length, name));
  TIED_RETURN_IF_ERROR(ValidateHeader(*read, sizeof preamble + preamble.header_length, size, name));
  *header = std::move(read);
  return Status();
}

}  // namespace tied::runtime
