#include "core/base/ids.h"

namespace klamm {

namespace {
constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
}

std::string to_string(const Uuid& uuid) {
    std::string text;
    text.reserve(22);
    std::uint32_t window = 0;
    int bits = 0;
    for (const std::uint8_t byte : uuid.bytes) {
        window = (window << 8) | byte;
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            text += alphabet[(window >> bits) & 63];
        }
    }
    text += alphabet[(window << (6 - bits)) & 63];
    return text;
}

Uuid uuid_from_string(std::string_view text) {
    if (text.size() != 22) return {};
    Uuid uuid;
    std::uint32_t window = 0;
    int bits = 0;
    std::size_t at = 0;
    for (const char c : text) {
        const std::size_t digit = alphabet.find(c);
        if (digit == std::string_view::npos) return {};
        window = (window << 6) | static_cast<std::uint32_t>(digit);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            uuid.bytes[at++] = static_cast<std::uint8_t>(window >> bits);
        }
    }
    return uuid;
}

Uuid uuid_from_halves(std::uint64_t high, std::uint64_t low) {
    Uuid uuid;
    for (int i = 0; i < 8; ++i) {
        uuid.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
        uuid.bytes[static_cast<std::size_t>(8 + i)] =
            static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    return uuid;
}

}  // namespace klamm
