// Reading of the variable-length parts. Lengths and counts are signed on the wire: a negative one,
// or a compact zero, is null.
#include "core/protocol/reader.h"

#include "core/base/varint.h"

namespace klamm::protocol {

namespace {
constexpr std::int64_t string_size_max = 0x7fff;
}

Status Reader::status() const {
    if (!ok_) return Error{what_ == too_short_ ? Failure::truncated : Failure::invalid, what_};
    return {};
}

Status Reader::finish() const {
    if (ok_ && remaining() > 0) return Error{Failure::invalid, "bytes follow the message"};
    return status();
}

Uuid Reader::uuid() {
    Uuid value;
    if (const std::uint8_t* from = take(value.bytes.size()); from != nullptr)
        std::memcpy(value.bytes.data(), from, value.bytes.size());
    return value;
}

std::uint32_t Reader::unsigned_varint() {
    std::uint64_t value = 0;
    const std::size_t taken = load_unsigned_varint({at_, remaining()}, 32, value);
    if (taken == 0) {
        fail(remaining() < varint_bytes_max ? too_short_ : "a varint is too long");
        return 0;
    }
    at_ += taken;
    return static_cast<std::uint32_t>(value);
}

std::int32_t Reader::varint() { return zigzag_decode32(unsigned_varint()); }

ByteView Reader::bytes(std::size_t size) {
    const std::uint8_t* from = take(size);
    return from == nullptr ? ByteView{} : ByteView{from, size};
}

std::int64_t Reader::size_of_field(bool compact, bool is_string) {
    if (compact) return static_cast<std::int64_t>(unsigned_varint()) - 1;
    const std::int64_t size = is_string ? integer<std::int16_t>() : integer<std::int32_t>();
    return size < 0 ? -1 : size;
}

std::string_view Reader::string(bool compact) {
    const NullableString value = nullable_string(compact);
    if (!value.has_value()) fail("a string is null that may not be");
    return value.value_or(std::string_view());
}

NullableString Reader::nullable_string(bool compact) {
    const std::int64_t size = size_of_field(compact, true);
    if (!ok_ || size < 0) return std::nullopt;
    if (size > string_size_max) {
        fail("a string is too long");
        return std::nullopt;
    }
    return as_text(bytes(static_cast<std::size_t>(size)));
}

std::optional<Blob> Reader::nullable_blob(bool compact) {
    const std::int64_t size = size_of_field(compact, false);
    if (!ok_ || size < 0) return std::nullopt;
    return Blob{bytes(static_cast<std::size_t>(size))};
}

Blob Reader::blob(bool compact) {
    const std::optional<Blob> value = nullable_blob(compact);
    if (!value.has_value()) fail("bytes are null that may not be");
    return value.value_or(Blob{});
}

Records Reader::records(bool compact, bool nullable) {
    const std::int64_t size = size_of_field(compact, false);
    if (size < 0) {
        if (!nullable) fail("records are null that may not be");
        return Records::none();
    }
    return Records::of(bytes(static_cast<std::size_t>(size)));
}

std::int64_t Reader::nullable_array_size(bool compact, std::size_t element_size_min) {
    const std::int64_t count = size_of_field(compact, false);
    if (count > 0 && static_cast<std::uint64_t>(count) > remaining() / element_size_min) {
        fail(too_short_);
        return 0;
    }
    return count;
}

std::size_t Reader::array_size(bool compact, std::size_t element_size_min) {
    const std::int64_t count = nullable_array_size(compact, element_size_min);
    if (count >= 0) return static_cast<std::size_t>(count);
    fail("an array is null that may not be");
    return 0;
}

Reader Reader::tagged_field(std::uint32_t& tag) {
    tag = unsigned_varint();
    return Reader(bytes(unsigned_varint()));
}

void Reader::join(const Reader& part) {
    if (!part.ok_) fail(part.what_);
    if (part.remaining() > 0) fail("a tagged field is longer than its content");
}

void Reader::skip_tagged_fields() {
    for (std::uint32_t left = unsigned_varint(); left > 0 && ok_; --left) {
        std::uint32_t tag = 0;
        tagged_field(tag);
    }
}

}  // namespace klamm::protocol
