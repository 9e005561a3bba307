#pragma once
// Puts a message together. Appends to one growing buffer; external records leave splices (types.h).
// A field that is set though the version lacks it, and that Kafka does not declare ignorable,
// cannot be left out silently: the writer remembers it and status() tells. take() asserts that
// there was none: who encodes for a version that a peer chose sets only what that version has, or
// asks status() first.

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/varint.h"
#include "core/protocol/types.h"

namespace klamm::protocol {

class Writer {
  public:
    [[nodiscard]] std::size_t position() const { return bytes_.size(); }
    /// unsupported, naming the first field that the version lacks; Ok if there is none.
    [[nodiscard]] Status status() const;
    /// What was written. The status must be Ok.
    [[nodiscard]] Encoded take();

    template <class T>
    void integer(T value) {
        store_big_endian<T>(grow(sizeof(T)), value);
    }
    void boolean(bool value) { *grow(1) = value ? 1 : 0; }
    void uuid(const Uuid& value);
    void unsigned_varint(std::uint64_t value);
    void varint(std::int32_t value);
    void bytes(ByteView value);
    void string(std::string_view value, bool compact);
    void nullable_string(const NullableString& value, bool compact);
    void blob(const Blob& value, bool compact);
    void nullable_blob(const std::optional<Blob>& value, bool compact);
    void float64(Float64 value) { integer(std::bit_cast<std::uint64_t>(value.value)); }
    void records(const Records& value, bool compact);
    void array_size(std::size_t count, bool compact);
    void null_array(bool compact);

    /// Puts the number of bytes written since `from` in front of them, as an unsigned varint.
    void insert_size(std::size_t from);
    /// Opens a frame or goes back to one: overwrites four bytes at `position`.
    void put_int32(std::size_t position, std::int32_t value);
    /// Bytes that splices will add to what was written so far.
    [[nodiscard]] std::uint64_t external_size() const { return external_size_; }

    /// `field` is set, but this version lacks it and it may not be ignored.
    void unsupported(const char* field) {
        if (unsupported_ == nullptr) unsupported_ = field;
    }

  private:
    std::uint8_t* grow(std::size_t size) {
        const std::size_t at = bytes_.size();
        bytes_.resize(at + size);
        return bytes_.data() + at;
    }

    Bytes bytes_;
    std::vector<Splice> splices_;
    std::uint64_t external_size_ = 0;
    const char* unsupported_ = nullptr;
};

}  // namespace klamm::protocol
