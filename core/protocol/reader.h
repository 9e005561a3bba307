#pragma once
// Takes a message apart. Every read is checked against the bytes that are left; after the first
// failure every read gives zero or empty and the failure stays, so that generated code asks once at
// the end. Nothing throws. An array's count is checked against the bytes left before anything is
// reserved, so what decoding allocates is proportional to the frame. All views lie in the input.

#include <cstdint>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/protocol/types.h"

namespace klamm::protocol {

class Reader {
  public:
    explicit Reader(ByteView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    [[nodiscard]] bool ok() const { return ok_; }
    [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
    /// What went wrong first, as an error that names it; Ok if nothing did.
    [[nodiscard]] Status status() const;
    /// The same, and an error too when bytes are left over.
    [[nodiscard]] Status finish() const;

    /// A big-endian integer.
    template <class T>
    T integer() {
        const std::uint8_t* from = take(sizeof(T));
        return from == nullptr ? T{} : load_big_endian<T>(from);
    }
    bool boolean() { return integer<std::uint8_t>() != 0; }
    Uuid uuid();
    std::uint32_t unsigned_varint();
    /// Zigzag, of 32 bits.
    std::int32_t varint();
    ByteView bytes(std::size_t size);
    std::string_view string(bool compact);
    NullableString nullable_string(bool compact);
    Blob blob(bool compact);
    std::optional<Blob> nullable_blob(bool compact);
    Float64 float64() { return {std::bit_cast<double>(integer<std::uint64_t>())}; }
    Records records(bool compact, bool nullable);

    /// The count of an array whose elements take `element_size_min` bytes each at least; null is a
    /// failure.
    std::size_t array_size(bool compact, std::size_t element_size_min);
    /// The same, -1 for null.
    std::int64_t nullable_array_size(bool compact, std::size_t element_size_min);

    /// Passes over a section of tagged fields of which none is known.
    void skip_tagged_fields();
    /// The body of one tagged field, as a reader of its own; `tag` is set.
    Reader tagged_field(std::uint32_t& tag);
    /// Makes the failure of a tagged field's reader this reader's own; its bytes must be used up.
    void join(const Reader& part);

    void fail(const char* what) {
        if (ok_) what_ = what;
        ok_ = false;
        at_ = end_;
    }

  private:
    const std::uint8_t* take(std::size_t size) {
        if (size > remaining()) [[unlikely]] {
            fail(too_short_);
            return nullptr;
        }
        const std::uint8_t* from = at_;
        at_ += size;
        return from;
    }
    std::int64_t size_of_field(bool compact, bool is_string);

    static constexpr const char* too_short_ = "the message ends too early";

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    const char* what_ = nullptr;
    bool ok_ = true;
};

}  // namespace klamm::protocol
