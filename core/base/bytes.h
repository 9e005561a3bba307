#pragma once
// Bytes: views that own nothing, and reference-counted buffers that may be shared between shards
// because they are immutable. A MutableBuffer has one writer until freeze() turns it into a Buffer.

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/assert.h"

namespace klamm {

using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An immutable slice of shared bytes. Copying it copies a reference.
class Buffer {
  public:
    Buffer() = default;
    Buffer(std::shared_ptr<const std::uint8_t[]> owner, const std::uint8_t* data, std::size_t size)
        : owner_(std::move(owner)), data_(data), size_(size) {}

    /// A buffer with its own copy of `bytes`.
    static Buffer copy_of(ByteView bytes);
    /// A buffer that takes `bytes` over without copying.
    static Buffer from(Bytes bytes);

    [[nodiscard]] const std::uint8_t* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] ByteView view() const { return {data_, size_}; }
    operator ByteView() const { return view(); }  // NOLINT: a buffer is readable wherever bytes are

    /// The `size` bytes from `offset` on, sharing the same owner.
    [[nodiscard]] Buffer slice(std::size_t offset, std::size_t size) const {
        KLAMM_ASSERT(offset <= size_);
        KLAMM_ASSERT(size <= size_ - offset);
        return {owner_, data_ + offset, size};
    }
    /// The part of this buffer that `part` views; `part` must lie inside it.
    [[nodiscard]] Buffer slice_of(ByteView part) const {
        if (part.empty()) return {};
        KLAMM_ASSERT(part.data() >= data_);
        return slice(static_cast<std::size_t>(part.data() - data_), part.size());
    }

  private:
    std::shared_ptr<const std::uint8_t[]> owner_;
    const std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Bytes being filled. Copies share the storage: who lends one to the world keeps a copy and does
/// not touch the lent part until it comes back.
class MutableBuffer {
  public:
    MutableBuffer() = default;
    /// `size` bytes; their content is unspecified.
    explicit MutableBuffer(std::size_t size)
        : owner_(new std::uint8_t[size > 0 ? size : 1]), data_(owner_.get()), size_(size) {}

    [[nodiscard]] std::uint8_t* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] MutableByteView span() const { return {data_, size_}; }
    [[nodiscard]] MutableBuffer slice(std::size_t offset, std::size_t size) const {
        KLAMM_ASSERT(offset <= size_);
        KLAMM_ASSERT(size <= size_ - offset);
        MutableBuffer part = *this;
        part.data_ += offset;
        part.size_ = size;
        return part;
    }
    /// The first `size` bytes as an immutable buffer; nobody may write to this storage afterwards.
    [[nodiscard]] Buffer freeze(std::size_t size) const {
        KLAMM_ASSERT(size <= size_);
        return {owner_, data_, size};
    }
    [[nodiscard]] Buffer freeze() const { return freeze(size_); }

  private:
    std::shared_ptr<std::uint8_t[]> owner_;
    std::uint8_t* data_ = nullptr;
    std::size_t size_ = 0;
};

inline Buffer Buffer::copy_of(ByteView bytes) {
    MutableBuffer copy(bytes.size());
    if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
    return copy.freeze();
}

inline Buffer Buffer::from(Bytes bytes) {
    auto holder = std::make_shared<Bytes>(std::move(bytes));
    const std::uint8_t* data = holder->data();
    const std::size_t size = holder->size();
    return {std::shared_ptr<const std::uint8_t[]>(std::move(holder), data), data, size};
}

// Big-endian integers, as Kafka's formats have them. The caller has checked the bounds.
template <class T>
inline T load_big_endian(const std::uint8_t* from) {
    static_assert(std::is_integral_v<T>);
    std::make_unsigned_t<T> value = 0;
    std::memcpy(&value, from, sizeof value);
    if constexpr (sizeof value == 2) value = __builtin_bswap16(value);
    if constexpr (sizeof value == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof value == 8) value = __builtin_bswap64(value);
    return static_cast<T>(value);
}

template <class T>
inline void store_big_endian(std::uint8_t* to, T signed_value) {
    static_assert(std::is_integral_v<T>);
    auto value = static_cast<std::make_unsigned_t<T>>(signed_value);
    if constexpr (sizeof value == 2) value = __builtin_bswap16(value);
    if constexpr (sizeof value == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof value == 8) value = __builtin_bswap64(value);
    std::memcpy(to, &value, sizeof value);
}

}  // namespace klamm
