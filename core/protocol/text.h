#pragma once
// Any message as one line for traces and failures: fields that are not at their defaults, by name;
// strings quoted as they are, records as their size. Not a format: nothing parses it. Needs the
// generated *_fields.h of the message; instantiates a good deal of code, so include it where text
// is made, not in headers.
//
//   to_text(request)  →  {max_wait_ms=500 topics=[{topic_id=… partitions=[{fetch_offset=41}]}]}

#include <string>
#include <type_traits>

#include "core/protocol/fields.h"
#include "core/protocol/types.h"

namespace klamm::protocol {

inline void append_text(std::string& out, bool value) { out += value ? "true" : "false"; }
inline void append_text(std::string& out, std::string_view value) {
    out += '"';
    out += value;
    out += '"';
}
inline void append_text(std::string& out, const Uuid& value) { out += to_string(value); }
inline void append_text(std::string& out, ErrorCode value) { out += to_string(value); }
inline void append_text(std::string& out, const Blob& value) {
    out += std::to_string(value.bytes.size()) + "B";
}
inline void append_text(std::string& out, Float64 value) { out += std::to_string(value.value); }
inline void append_text(std::string& out, const Records& value) {
    out += value.null ? "null" : std::to_string(value.size()) + "B";
}
template <class Tag, class Rep>
void append_text(std::string& out, Id<Tag, Rep> value) {
    out += std::to_string(value.value);
}
template <class T>
void append_text(std::string& out, const std::vector<T>& value);
template <class T>
void append_text(std::string& out, const std::optional<T>& value);
template <class T>
void append_text(std::string& out, const T& value);

template <class T>
void append_text(std::string& out, const std::vector<T>& value) {
    out += '[';
    for (const auto& element : value) {
        if (out.back() != '[') out += ' ';
        append_text(out, element);
    }
    out += ']';
}

template <class T>
void append_text(std::string& out, const std::optional<T>& value) {
    if (value.has_value())
        append_text(out, *value);
    else
        out += "null";
}

template <class T>
void append_text(std::string& out, const T& value) {
    if constexpr (std::is_integral_v<T>) {
        out += std::to_string(value);
    } else if constexpr (std::is_enum_v<T>) {
        out += std::to_string(static_cast<std::underlying_type_t<T>>(value));
    } else {
        out += '{';
        visit_fields(value, T{}, [&](const Field& field, const auto& member, const auto& unset) {
            if (member == unset) return;
            if (out.back() != '{') out += ' ';
            out += field.name;
            out += '=';
            append_text(out, member);
        });
        out += '}';
    }
}

/// The message on one line.
template <class Message>
std::string to_text(const Message& message) {
    std::string out;
    append_text(out, message);
    return out;
}

}  // namespace klamm::protocol
