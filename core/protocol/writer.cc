// Writing of the variable-length parts. A compact length is one more than the length, and 0 is
// null.
#include "core/protocol/writer.h"

#include <utility>

namespace klamm::protocol {

Status Writer::status() const {
    if (unsupported_ != nullptr)
        return Error{Failure::unsupported,
                     std::string(unsupported_) + " is set, but the version lacks it"};
    return {};
}

Encoded Writer::take() {
    KLAMM_ASSERT(unsupported_ == nullptr);
    external_size_ = 0;
    return {std::exchange(bytes_, {}), std::exchange(splices_, {})};
}

void Writer::uuid(const Uuid& value) {
    std::memcpy(grow(value.bytes.size()), value.bytes.data(), value.bytes.size());
}

void Writer::unsigned_varint(std::uint64_t value) {
    store_unsigned_varint(grow(unsigned_varint_size(value)), value);
}

void Writer::varint(std::int32_t value) { unsigned_varint(zigzag_encode32(value)); }

void Writer::bytes(ByteView value) {
    if (!value.empty()) std::memcpy(grow(value.size()), value.data(), value.size());
}

void Writer::string(std::string_view value, bool compact) {
    KLAMM_ASSERT(value.size() <= 0x7fff);
    if (compact)
        unsigned_varint(value.size() + 1);
    else
        integer(static_cast<std::int16_t>(value.size()));
    bytes(as_bytes(value));
}

void Writer::nullable_string(const NullableString& value, bool compact) {
    if (value.has_value())
        string(*value, compact);
    else if (compact)
        unsigned_varint(0);
    else
        integer(std::int16_t{-1});
}

void Writer::blob(const Blob& value, bool compact) {
    array_size(value.bytes.size(), compact);
    bytes(value.bytes);
}

void Writer::nullable_blob(const std::optional<Blob>& value, bool compact) {
    if (value.has_value())
        blob(*value, compact);
    else
        null_array(compact);
}

void Writer::records(const Records& value, bool compact) {
    if (value.null) {
        KLAMM_ASSERT(!value.external);
        null_array(compact);
        return;
    }
    KLAMM_ASSERT(value.size() <= 0x7fffffff);
    array_size(value.size(), compact);
    if (!value.external) {
        bytes(value.bytes);
        return;
    }
    splices_.push_back({bytes_.size(), value.external_size});
    external_size_ += value.external_size;
}

void Writer::array_size(std::size_t count, bool compact) {
    KLAMM_ASSERT(count <= 0x7fffffff);
    if (compact)
        unsigned_varint(count + 1);
    else
        integer(static_cast<std::int32_t>(count));
}

void Writer::null_array(bool compact) {
    if (compact)
        unsigned_varint(0);
    else
        integer(std::int32_t{-1});
}

void Writer::insert_size(std::size_t from) {
    KLAMM_ASSERT(from <= bytes_.size());
    if (!splices_.empty()) KLAMM_ASSERT(splices_.back().position <= from);
    std::uint8_t size[varlong_bytes_max];
    const std::size_t length = store_unsigned_varint(size, bytes_.size() - from);
    bytes_.insert(bytes_.begin() + static_cast<std::ptrdiff_t>(from), size, size + length);
}

void Writer::put_int32(std::size_t position, std::int32_t value) {
    KLAMM_ASSERT(position + sizeof value <= bytes_.size());
    store_big_endian(bytes_.data() + position, value);
}

}  // namespace klamm::protocol
