#pragma once
// Fills any message, field by field, from draws: for a version, only with what it can carry, so
// that what is encoded must come back. Strings and records point into the Filler, which must
// outlive the message. Needs the generated *_fields.h of the message.

#include <deque>
#include <string>
#include <type_traits>

#include "core/base/draws.h"
#include "core/protocol/fields.h"
#include "core/protocol/types.h"

namespace klamm::protocol {

class Filler {
  public:
    Filler(std::uint64_t seed, int version) : draws_(seed), version_(version) {}

    template <class Message>
    void fill(Message& message) {
        visit_fields(message, [&](const Field& field, auto& value) {
            if (!field.in(version_)) return;
            if (field.tagged && below(2) == 0) return;
            set(value, version_ >= field.nullable_from);
        });
    }

  private:
    std::uint64_t below(std::uint64_t bound) {
        return draws_.below(bound, draw_domain("test.filler"), 0, ++count_);
    }
    std::uint64_t word() { return draws_.word(draw_domain("test.filler"), 1, ++count_); }

    template <class T>
    T number() {
        const std::uint64_t bits = word();
        switch (below(4)) {
            case 0: return static_cast<T>(bits & 0x7f);
            case 1: return static_cast<T>(~(bits & 1));  // -1 or -2
            default: return static_cast<T>(bits);
        }
    }

    std::string_view text() {
        std::string text(below(8) == 0 ? 100 + below(100) : below(10), 'a');
        for (char& letter : text) letter = static_cast<char>('a' + below(26));
        texts_.push_back(std::move(text));
        return texts_.back();
    }

    template <class T>
    void set(T& value, bool nullable) {
        if constexpr (std::is_same_v<T, bool>)
            value = below(2) == 0;
        else if constexpr (std::is_integral_v<T>)
            value = number<T>();
        else if constexpr (std::is_enum_v<T>)
            value = static_cast<T>(number<std::underlying_type_t<T>>());
        else
            fill(value);
        (void)nullable;
    }
    template <class Tag, class Rep>
    void set(Id<Tag, Rep>& value, bool) {
        value = Id<Tag, Rep>(number<Rep>());
    }
    void set(Uuid& value, bool) { value = uuid_from_halves(word(), word()); }
    void set(std::string_view& value, bool) { value = text(); }
    void set(Blob& value, bool) { value.bytes = as_bytes(text()); }
    void set(Float64& value, bool) { value.value = std::bit_cast<double>(word()); }
    void set(Records& value, bool nullable) {
        value = nullable && below(4) == 0 ? Records::none() : Records::of(as_bytes(text()));
    }
    template <class T>
    void set(std::vector<T>& value, bool) {
        value.resize(below(4));
        for (auto& element : value) set(element, false);
    }
    template <class T>
    void set(std::optional<T>& value, bool nullable) {
        value.reset();
        if (!nullable || below(3) != 0) set(value.emplace(), false);
    }

    Draws draws_;
    int version_;
    std::uint64_t count_ = 0;
    std::deque<std::string> texts_;
};

}  // namespace klamm::protocol
