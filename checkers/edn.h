#pragma once
// EDN, the data notation of Clojure, as far as histories use it: nil, booleans, integers, strings,
// keywords, symbols, lists, vectors, sets, maps; tags are skipped, and so are comments. Numbers
// that are no integers, and characters, are kept as symbols. (github.com/edn-format/edn)

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace klamm::checkers {

struct Edn {
    enum class Type : std::uint8_t { null, boolean, integer, string, keyword, symbol, list, map };

    Type type = Type::null;
    bool boolean = false;
    std::int64_t integer = 0;
    std::string text;        // of strings as meant, of keywords without the colon
    std::vector<Edn> items;  // of lists, vectors, sets; of maps key, value, key, value

    /// What a map holds under the keyword `key`; null when nothing, or when this is no map.
    [[nodiscard]] const Edn* at(std::string_view key) const;
    [[nodiscard]] bool is(Type one) const { return type == one; }
    [[nodiscard]] bool keyword(std::string_view name) const {
        return type == Type::keyword && text == name;
    }
    /// As it would be written again; a string with its quotes.
    [[nodiscard]] std::string written() const;
};

/// Reads value after value from a text; positions in errors are lines and columns from 1.
class EdnReader {
  public:
    explicit EdnReader(std::string_view text) : text_(text) {}

    /// Skips space, commas, comments and discarded forms. False at the end of the text.
    bool more();
    /// The next value; only after `more`.
    Result<Edn> next();
    /// The line where the next value begins.
    [[nodiscard]] std::size_t line() const;

  private:
    static constexpr int depth_max = 64;

    Result<Edn> value(int depth);
    Result<Edn> string();
    Result<Edn> word();
    Status items(char end, int depth, std::vector<Edn>& out);
    [[nodiscard]] Error error(std::string_view expected) const;

    std::string_view text_;
    std::size_t at_ = 0;
    mutable std::size_t counted_to_ = 0;  // lines are counted once
    mutable std::size_t lines_ = 1;
};

/// Hands the events of a history, one after the other or in lists, to `reader.event(line, event)`,
/// until one is refused.
template <class Reader>
[[nodiscard]] Status read_events(std::string_view text, Reader& reader) {
    EdnReader source(text);
    while (source.more()) {
        const std::size_t line = source.line();
        Result<Edn> one = source.next();
        if (!one.ok()) return one.error();
        if (!one->is(Edn::Type::list)) {
            KLAMM_TRY(reader.event(line, *one));
            continue;
        }
        for (const Edn& each : one->items) KLAMM_TRY(reader.event(line, each));
    }
    return {};
}

}  // namespace klamm::checkers
