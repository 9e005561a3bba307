#pragma once
// The configuration table: one row an option, from which parsing, documentation and the simulator's
// choices all come.
// What always holds: each default and each hostile value lies in its row's range; a name is unique
// within its scope; the default text of a row is what a default-constructed options struct holds.
// A row knows nothing of other rows; relations are `check` in options.h.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "core/config/options.h"

namespace klamm::config {

/// Without the blanks at both ends, which a line of a properties file may have.
std::string_view trimmed(std::string_view text);

/// Whose option it is.
enum class Scope : std::uint8_t { broker, topic, feature, client, producer, consumer };

/// Kafka's types; `choice` is a string out of a few, `ratio` a double from 0 to 1, held in
/// millionths.
enum class Type : std::uint8_t { boolean, int16, int32, int64, choice, text, list, ratio };

struct Choice {
    std::string_view name;
    std::int64_t number;  // what the option struct holds, as an integer
};

constexpr std::size_t row_list_size_max = 8;

/// A few values of one kind, by value, so that rows need no other storage.
template <class T>
struct RowList {
    std::array<T, row_list_size_max> items{};
    std::size_t size = 0;

    constexpr RowList() = default;
    constexpr RowList(std::initializer_list<T> list) {
        for (const T& item : list) items[size++] = item;
    }
    [[nodiscard]] constexpr std::span<const T> span() const { return {items.data(), size}; }
};

/// Both ends included.
struct Range {
    std::int64_t low = std::numeric_limits<std::int64_t>::min();
    std::int64_t high = std::numeric_limits<std::int64_t>::max();

    [[nodiscard]] constexpr bool holds(std::int64_t n) const { return low <= n && n <= high; }
};

/// What one option holds: booleans, numbers and choices as `number`, the others as `text`.
struct Value {
    std::int64_t number = 0;
    std::string text;

    friend bool operator==(const Value&, const Value&) = default;
};

/// The structs at hand; a row reads and writes the one that it belongs to.
struct Owners {
    BrokerOptions* broker = nullptr;
    TopicOptions* topic = nullptr;
    FeatureOptions* features = nullptr;
    ClientOptions* client = nullptr;
    ProducerOptions* producer = nullptr;
    ConsumerOptions* consumer = nullptr;
};

struct Row {
    std::string_view name;
    std::string_view broker_spelling;  // a second name, in a broker's file; may be empty
    Scope scope;
    Type type;
    std::string_view default_text;  // as a file would spell it
    Range range;                    // of numbers
    RowList<Choice> choices;        // of choices
    RowList<std::int64_t> hostile;  // empty: never drawn, worlds decide it. Repeats weigh.
    std::string_view sentence;
    void (*store)(const Owners&, const Value&);
    Value (*load)(const Owners&);
};

/// All rows, by scope and then in the order of the structs' members.
std::span<const Row> table();

/// The row that a file of this scope means by `key`: a broker's file may also use a row's broker
/// spelling, a producer's or consumer's the rows of every client. nullptr when there is none.
const Row* find_row(Scope scope, std::string_view key);

/// The value that `text` spells for `row`; `invalid` when it is not of its type or range.
Result<Value> parse_value(const Row& row, std::string_view text);

/// The reverse of parse_value, as a file would spell it.
std::string print_value(const Row& row, const Value& value);

const char* to_string(Scope scope);
const char* to_string(Type type);

/// "an integer from 1 to 5", "one of all, -1, 0, 1", "true or false": what a row expects.
std::string expectation(const Row& row);

/// The whole table in Markdown, a section a scope.
std::string document();

}  // namespace klamm::config
