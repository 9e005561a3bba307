#pragma once
// Any message with drawn values, as bytes, from the schema as data (core/protocol/shape.h): the
// same for the same seed. It knows no codec, so that codecs can be held against it.

#include <map>
#include <string>

#include "core/base/draws.h"
#include "core/protocol/shape.h"

namespace klamm::protocol::test {

/// The bytes of one message.
class Drawer {
  public:
    Drawer(int version, bool compact, std::uint64_t seed)
        : version_(version), compact_(compact), draws_(seed) {}

    void structure(const Shape& shape, Writer& w, bool drawn = true) {
        std::map<int, Bytes> tagged;
        for (const FieldShape& field : shape.fields) {
            if (!field.in(version_)) continue;
            if (field.tag < 0) {
                value(field, w, drawn);
                continue;
            }
            // Absent is the default, so the default is not written.
            if (!drawn || below(2) == 0) continue;
            Writer given;
            value(field, given, true);
            Writer unset;
            value(field, unset, false);
            Bytes bytes = given.take().bytes;
            if (bytes != unset.take().bytes) tagged[field.tag] = std::move(bytes);
        }
        if (!compact_) return;
        w.unsigned_varint(tagged.size());
        for (const auto& [tag, bytes] : tagged) {
            w.unsigned_varint(static_cast<std::uint64_t>(tag));
            w.unsigned_varint(bytes.size());
            w.bytes(bytes);
        }
    }

  private:
    void value(const FieldShape& field, Writer& w, bool drawn) {
        const bool nullable = version_ >= field.nullable_from;
        const bool null = nullable && (drawn ? below(3) == 0 : field.null_by_default);
        if (field.array) {
            if (null) return w.null_array(compact_);
            const std::uint64_t count = drawn ? below(4) : 0;
            w.array_size(count, compact_);
            for (std::uint64_t i = 0; i < count; ++i) element(field, w, true, false);
            return;
        }
        if (field.wire == Wire::structure && nullable)
            w.integer(static_cast<std::int8_t>(null ? -1 : 1));
        if (field.wire != Wire::structure || !null) element(field, w, drawn, null);
    }

    void element(const FieldShape& field, Writer& w, bool drawn, bool null) {
        const std::int64_t number = drawn ? drawn_number() : field.number_by_default;
        switch (field.wire) {
            case Wire::int8: return w.integer(static_cast<std::int8_t>(number));
            case Wire::int16: return w.integer(static_cast<std::int16_t>(number));
            case Wire::uint16: return w.integer(static_cast<std::uint16_t>(number));
            case Wire::int32: return w.integer(static_cast<std::int32_t>(number));
            case Wire::int64:
            case Wire::float64: return w.integer(number);
            case Wire::boolean: return w.boolean((number & 1) != 0);
            case Wire::uuid: return w.uuid(drawn ? uuid_from_halves(word(), word()) : Uuid{});
            case Wire::structure: return structure(*field.shape, w, drawn);
            case Wire::string: {
                const std::string text = drawn ? drawn_text() : std::string();
                return w.nullable_string(null ? NullableString() : NullableString(text), compact_);
            }
            case Wire::bytes:
            case Wire::records: {
                const std::string text = drawn ? drawn_text() : std::string();
                return w.records(null ? Records::none() : Records::of(as_bytes(text)), compact_);
            }
        }
    }

    std::uint64_t below(std::uint64_t bound) {
        return draws_.below(bound, draw_domain("test.shape"), 0, ++count_);
    }
    std::uint64_t word() { return draws_.word(draw_domain("test.shape"), 1, ++count_); }
    std::int64_t drawn_number() {
        const std::uint64_t bits = word();
        const std::uint64_t kind = below(4);
        return static_cast<std::int64_t>(kind == 0 ? bits & 0x7f : kind == 1 ? ~(bits & 1) : bits);
    }
    std::string drawn_text() {
        std::string text(below(8) == 0 ? 100 + below(100) : below(10), 'a');
        for (char& letter : text) letter = static_cast<char>('a' + below(26));
        return text;
    }

    int version_;
    bool compact_;
    Draws draws_;
    std::uint64_t count_ = 0;
};

/// The body of a message of this version, every field with a drawn value, tagged fields and null
/// now and then.
inline Bytes drawn_bytes(const MessageInfo& info, int version, std::uint64_t seed) {
    Writer writer;
    Drawer(version, version >= info.flexible_from, seed).structure(*info.shape, writer);
    return writer.take().bytes;
}

}  // namespace klamm::protocol::test
