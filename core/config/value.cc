// One row and one text: finding, parsing, printing, and the sentences of what went wrong. Numbers
// are plain decimals; Kafka's booleans ignore case, its choices do not.

#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "core/base/assert.h"
#include "core/config/table.h"

namespace klamm::config {
std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\f";
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

namespace {

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const char folded = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (folded != lower[i]) return false;
    }
    return true;
}

bool served_by(const Row& row, Scope scope) {
    if (row.scope == scope) return true;
    return row.scope == Scope::client && (scope == Scope::producer || scope == Scope::consumer);
}

bool is_number(Type type) {
    return type == Type::int16 || type == Type::int32 || type == Type::int64;
}

constexpr std::int64_t million = 1'000'000;

/// Of digits with at most one point among them; what is below a millionth is cut off.
std::optional<std::int64_t> millionths_of(std::string_view text) {
    std::int64_t parts = 0;
    std::int64_t unit = million;
    bool behind = false;
    bool digits = false;
    for (const char c : text) {
        if (c == '.' && !behind) {
            behind = true;
            continue;
        }
        if (c < '0' || c > '9') return std::nullopt;
        digits = true;
        if (behind) {
            unit /= 10;
            parts += (c - '0') * unit;
        } else {
            parts = parts * 10 + (c - '0') * million;
            if (parts > 100 * million) return std::nullopt;
        }
    }
    return digits ? std::optional(parts) : std::nullopt;
}

Error refused(const Row& row, std::string_view text) {
    return {Failure::invalid,
            fmt::format("{}={} is not valid: expected {}", row.name, text, expectation(row))};
}

}  // namespace

const char* to_string(Scope scope) {
    switch (scope) {
        case Scope::broker: return "broker";
        case Scope::topic: return "topic";
        case Scope::feature: return "feature";
        case Scope::client: return "client";
        case Scope::producer: return "producer";
        case Scope::consumer: return "consumer";
    }
    KLAMM_UNREACHABLE();
}

const char* to_string(Type type) {
    switch (type) {
        case Type::boolean: return "boolean";
        case Type::int16: return "short";
        case Type::int32: return "int";
        case Type::int64: return "long";
        case Type::choice: return "string";
        case Type::text: return "string";
        case Type::list: return "list";
        case Type::ratio: return "double";
    }
    KLAMM_UNREACHABLE();
}

const Row* find_row(Scope scope, std::string_view key) {
    for (const Row& row : table())
        if (served_by(row, scope) && row.name == key) return &row;
    if (scope != Scope::broker) return nullptr;
    for (const Row& row : table())
        if (!row.broker_spelling.empty() && row.broker_spelling == key) return &row;
    return nullptr;
}

std::string expectation(const Row& row) {
    if (row.type == Type::boolean) return "true or false";
    if (row.type == Type::text) return "a text";
    if (row.type == Type::list) return "a list separated by commas";
    if (row.type == Type::ratio) return "a number from 0 to 1";
    if (row.type == Type::choice) {
        std::string names;
        for (const Choice& choice : row.choices.span())
            names += fmt::format("{}{}", names.empty() ? "" : ", ", choice.name);
        return "one of " + names;
    }
    if (row.range.low == std::numeric_limits<std::int64_t>::min() && row.range.high == never)
        return "an integer";
    if (row.range.high == never) return fmt::format("an integer from {} up", row.range.low);
    return fmt::format("an integer from {} to {}", row.range.low, row.range.high);
}

Result<Value> parse_value(const Row& row, std::string_view raw) {
    const std::string_view text = trimmed(raw);
    if (row.type == Type::text || row.type == Type::list) return Value{0, std::string(text)};
    if (row.type == Type::boolean) {
        if (equal_ignoring_case(text, "true")) return Value{1, {}};
        if (equal_ignoring_case(text, "false")) return Value{0, {}};
        return refused(row, text);
    }
    if (row.type == Type::choice) {
        for (const Choice& choice : row.choices.span())
            if (choice.name == text) return Value{choice.number, {}};
        return refused(row, text);
    }
    if (row.type == Type::ratio) {
        const std::optional<std::int64_t> parts = millionths_of(text);
        if (!parts || !row.range.holds(*parts)) return refused(row, text);
        return Value{*parts, {}};
    }
    KLAMM_ASSERT(is_number(row.type));
    Value value;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value.number);
    if (parsed.ec != std::errc{} || parsed.ptr != end) return refused(row, text);
    if (!row.range.holds(value.number)) return refused(row, text);
    return value;
}

std::string print_value(const Row& row, const Value& value) {
    if (row.type == Type::text || row.type == Type::list) return value.text;
    if (row.type == Type::boolean) return value.number != 0 ? "true" : "false";
    if (is_number(row.type)) return fmt::format("{}", value.number);
    if (row.type == Type::ratio) {
        // As Java prints a double: at least one digit behind the point, no zeros at the end.
        std::string text = fmt::format("{}.{:06}", value.number / million, value.number % million);
        while (text.ends_with('0') && !text.ends_with(".0")) text.pop_back();
        return text;
    }
    for (const Choice& choice : row.choices.span())
        if (choice.number == value.number) return std::string(choice.name);
    KLAMM_UNREACHABLE();
}

}  // namespace klamm::config
