#pragma once
// Rows of golden bytes (tests/golden/README.md) and the comparison of a decoded message with the
// values that Kafka printed: every field that the version has, by name, nothing left over.

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/protocol/fields.h"
#include "core/protocol/types.h"

namespace klamm::protocol {

struct GoldenRow {
    int version;
    Bytes header;
    Bytes bytes;
    nlohmann::json values;
    nlohmann::json newest;  // null where the newest version cannot have all of it
};

inline Bytes from_hex(const std::string& text) {
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

inline std::vector<GoldenRow> golden_rows(const std::string& path) {
    std::ifstream file(std::string(KLAMM_SOURCE_DIR) + "/tests/golden/protocol/" + path);
    std::vector<GoldenRow> rows;
    for (std::string line; std::getline(file, line);) {
        const auto row = nlohmann::json::parse(line);
        rows.push_back({row["version"], from_hex(row.value("header", "")), from_hex(row["bytes"]),
                        row["values"], row.value("newest", nlohmann::json())});
    }
    return rows;
}

/// "topicId" and "topic_id" are the same name.
inline std::string plain_name(const std::string& name) {
    std::string plain;
    for (const char letter : name)
        if (letter != '_') plain += static_cast<char>(std::tolower(letter));
    return plain;
}

inline std::string base64(ByteView bytes) {
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

inline nlohmann::json to_json(bool value, int) { return value; }
inline nlohmann::json to_json(std::string_view value, int) { return std::string(value); }
inline nlohmann::json to_json(const Uuid& value, int) { return to_string(value); }
inline nlohmann::json to_json(const Blob& value, int) { return base64(value.bytes); }
inline nlohmann::json to_json(Float64 value, int) { return value.value; }
inline nlohmann::json to_json(const Records& value, int) {
    return value.null ? nlohmann::json() : nlohmann::json(base64(value.bytes));
}
template <class Tag, class Rep>
nlohmann::json to_json(Id<Tag, Rep> value, int) {
    return value.value;
}
template <class T>
nlohmann::json to_json(const std::vector<T>& value, int version);
template <class T>
nlohmann::json to_json(const std::optional<T>& value, int version);
template <class T>
nlohmann::json to_json(const T& value, int version) {
    if constexpr (std::is_integral_v<T>) {
        return value;
    } else if constexpr (std::is_enum_v<T>) {
        return static_cast<std::underlying_type_t<T>>(value);
    } else {
        nlohmann::json object = nlohmann::json::object();
        visit_fields(value, T{}, [&](const Field& field, const auto& member, const auto& unset) {
            // Kafka prints a tagged field only if it is not at its default.
            if (!field.in(version) || (field.tagged && member == unset)) return;
            object[plain_name(field.name)] = to_json(member, version);
        });
        return object;
    }
}
template <class T>
nlohmann::json to_json(const std::vector<T>& value, int version) {
    nlohmann::json array = nlohmann::json::array();
    for (const auto& element : value) array.push_back(to_json(element, version));
    return array;
}
template <class T>
nlohmann::json to_json(const std::optional<T>& value, int version) {
    return value.has_value() ? to_json(*value, version) : nlohmann::json();
}

/// Kafka's values with plain names, all the way down.
inline nlohmann::json with_plain_names(const nlohmann::json& value) {
    if (value.is_array()) {
        nlohmann::json array = nlohmann::json::array();
        for (const auto& element : value) array.push_back(with_plain_names(element));
        return array;
    }
    if (!value.is_object()) return value;
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [name, element] : value.items())
        object[plain_name(name)] = with_plain_names(element);
    return object;
}

}  // namespace klamm::protocol
