#pragma once
// The values that messages are made of, beside numbers and ids. Strings and records are views: of
// the frame after decoding, of whatever the caller keeps alive until encoding is done. A nullable
// field is an std::optional; null and empty are different things on the wire.

#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/protocol/error_code.h"

namespace klamm::protocol {

using NullableString = std::optional<std::string_view>;

template <class T>
using NullableArray = std::optional<std::vector<T>>;

/// A field of type bytes: a view, with equality by content.
struct Blob {
    ByteView bytes;
    [[nodiscard]] bool empty() const { return bytes.empty(); }
    friend bool operator==(const Blob& a, const Blob& b) {
        return as_text(a.bytes) == as_text(b.bytes);
    }
};

/// A field of type float64, equal when its bits are: what was read is written again as it was, a
/// NaN too.
struct Float64 {
    double value = 0;
    friend bool operator==(Float64 a, Float64 b) {
        return std::bit_cast<std::uint64_t>(a.value) == std::bit_cast<std::uint64_t>(b.value);
    }
};

/// A field of type records: batches as they lie in the log. Decoding gives a view of the frame.
/// Encoding copies `bytes`, or, when `external`, writes the length only and leaves a splice at
/// which the sender puts `external_size` bytes that it has elsewhere (a file range, a shared
/// buffer).
struct Records {
    bool null = false;
    ByteView bytes;
    bool external = false;
    std::uint64_t external_size = 0;

    static Records of(ByteView bytes) { return {false, bytes, false, 0}; }
    static Records none() { return {true, {}, false, 0}; }
    static Records elsewhere(std::uint64_t size) { return {false, {}, true, size}; }

    /// The length as it is on the wire; 0 for null.
    [[nodiscard]] std::uint64_t size() const { return external ? external_size : bytes.size(); }

    friend bool operator==(const Records& a, const Records& b) {
        return a.null == b.null && a.external == b.external && a.external_size == b.external_size &&
               as_text(a.bytes) == as_text(b.bytes);
    }
};

/// A place in encoded bytes before which `size` external bytes belong. Splices are in the order in
/// which external Records were encoded, one each, empty ones too: the n-th splice is the n-th
/// external Records of the message.
struct Splice {
    std::size_t position;
    std::uint64_t size;
    friend bool operator==(const Splice&, const Splice&) = default;
};

/// An encoded message or frame: `bytes`, with the external bytes to be put in at `splices`.
struct Encoded {
    Bytes bytes;
    std::vector<Splice> splices;

    /// With what the splices add.
    [[nodiscard]] std::uint64_t total_size() const {
        std::uint64_t total = bytes.size();
        for (const Splice& splice : splices) total += splice.size;
        return total;
    }
};

}  // namespace klamm::protocol
