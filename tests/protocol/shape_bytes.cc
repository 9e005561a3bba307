#include "tests/protocol/shape_bytes.h"

#include <cstdio>
#include <map>

namespace klamm::protocol::test {

namespace {

std::string base64(ByteView bytes) {
    const char* alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t group = 0;
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (i + k < bytes.size() ? bytes[i + k] : 0U);
        for (std::size_t k = 0; k < 4; ++k)
            text += i + k <= bytes.size() ? alphabet[group >> (18 - 6 * k) & 63] : '=';
    }
    return text;
}

/// The values of one message.
class Teller {
  public:
    Teller(int version, bool compact) : version_(version), compact_(compact) {}

    std::string structure(const Shape& shape, Reader& r) {
        std::map<std::string, std::string> values;
        for (const FieldShape& field : shape.fields)
            if (field.tag < 0 && field.in(version_))
                values[plain_name(field.name)] = value(field, r);
        if (compact_) {
            for (std::uint32_t left = r.unsigned_varint(); left > 0 && r.ok(); --left) {
                std::uint32_t tag = 0;
                Reader part = r.tagged_field(tag);
                for (const FieldShape& field : shape.fields)
                    if (field.in(version_) && field.tag >= 0 &&
                        static_cast<std::uint32_t>(field.tag) == tag) {
                        values[plain_name(field.name)] = value(field, part);
                        r.join(part);
                    }
            }
        }
        std::string text = "{";
        for (const auto& [name, given] : values) text += name + ":" + given + " ";
        return text + "}";
    }

  private:
    std::string value(const FieldShape& field, Reader& r) {
        const bool nullable = version_ >= field.nullable_from;
        if (field.array) {
            const std::int64_t count = r.nullable_array_size(compact_, 1);
            if (count < 0) {
                if (!nullable) r.fail("null");
                return "null";
            }
            std::string text = "[";
            for (std::int64_t i = 0; i < count && r.ok(); ++i)
                text += element(field, r, false) + " ";
            return text + "]";
        }
        if (field.wire == Wire::structure && nullable && r.integer<std::int8_t>() < 0)
            return "null";
        return element(field, r, nullable);
    }

    std::string element(const FieldShape& field, Reader& r, bool nullable) {
        switch (field.wire) {
            case Wire::int8: return std::to_string(r.integer<std::int8_t>());
            case Wire::int16: return std::to_string(r.integer<std::int16_t>());
            case Wire::uint16: return std::to_string(r.integer<std::uint16_t>());
            case Wire::int32: return std::to_string(r.integer<std::int32_t>());
            case Wire::int64: return std::to_string(r.integer<std::int64_t>());
            case Wire::float64: return float_text(r.float64().value);
            case Wire::boolean: return r.boolean() ? "true" : "false";
            case Wire::uuid: return '"' + to_string(r.uuid()) + '"';
            case Wire::structure: return structure(*field.shape, r);
            case Wire::string: {
                const NullableString text = r.nullable_string(compact_);
                if (!text.has_value() && !nullable) r.fail("null");
                return text.has_value() ? '"' + std::string(*text) + '"' : "null";
            }
            case Wire::bytes:
            case Wire::records: {
                const Records bytes = r.records(compact_, nullable);
                return bytes.null ? "null" : '"' + base64(bytes.bytes) + '"';
            }
        }
        return {};
    }

    int version_;
    bool compact_;
};

}  // namespace

std::optional<std::string> text_of(const MessageInfo& info, ByteView bytes, int version) {
    Reader reader(bytes);
    std::string text =
        Teller(version, version >= info.flexible_from).structure(*info.shape, reader);
    if (!reader.finish().ok()) return std::nullopt;
    return text;
}

std::string plain_name(std::string_view name) {
    std::string plain;
    for (const char letter : name)
        if (letter != '_') plain += static_cast<char>(std::tolower(letter));
    return plain;
}

std::string float_text(double value) {
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value);
    return text;
}

}  // namespace klamm::protocol::test
