// Holds a file's tree against the tables, and says what is wrong in one sentence.

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "core/base/plants.h"
#include "sim/scenario/read_words.h"
#include "sim/scenario/spec.h"

namespace klamm::sim {

namespace {

std::string quoted_list(std::span<const std::string_view> words) {
    std::string text;
    for (const std::string_view word : words)
        text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", word);
    return text;
}

std::vector<std::string_view> bug_codes() {
    std::vector<std::string_view> codes;
    for (const BugEntry& entry : bug_catalogue()) codes.push_back(entry.code);
    return codes;
}

std::string found(const Located& value) {
    if (value.kind == Located::Kind::text) return fmt::format("found \"{}\"", value.text);
    if (value.kind == Located::Kind::integer) return fmt::format("found {}", value.integer);
    return fmt::format("found {}", to_string(value.kind));
}

/// Letters to change, insert, drop or swap to get from one word to the other.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::vector<std::size_t> next(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        next[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = row[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            next[j] = std::min({change, row[j] + 1, next[j - 1] + 1});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                next[j] = std::min(next[j], before[j - 2] + 1);
        }
        before = std::exchange(row, next);
    }
    return row[b.size()];
}

bool wrong(TextError& error, std::size_t line, std::string sentence) {
    error = {line, std::move(sentence)};
    return false;
}

bool conforms_to_key(const Located& value, const KeySpec& key, TextError& error);

bool is_scalar(const Located& value) {
    return value.kind == Located::Kind::text || value.kind == Located::Kind::integer ||
           value.kind == Located::Kind::boolean;
}

/// Whether the value has the form of the key; objects below it are looked at apart.
bool has_form(const Located& value, const KeySpec& key) {
    using Kind = Located::Kind;
    const auto word_of = [&](std::span<const std::string_view> words) {
        return value.kind == Kind::text &&
               std::find(words.begin(), words.end(), value.text) != words.end();
    };
    switch (key.form) {
        case Form::text: return value.kind == Kind::text && !value.text.empty();
        case Form::flag: return value.kind == Kind::boolean;
        case Form::integer:
            return value.kind == Kind::integer && value.integer >= key.low &&
                   value.integer <= key.high;
        case Form::duration: return value.kind == Kind::text && read_duration(value.text);
        case Form::who: return value.kind == Kind::text && !value.text.empty();
        case Form::whos:
            return (value.kind == Kind::text && !value.text.empty()) ||
                   (value.kind == Kind::list && !value.items.empty() &&
                    std::all_of(value.items.begin(), value.items.end(), [](const Located& item) {
                        return item.kind == Kind::text && !item.text.empty();
                    }));
        case Form::choice: return word_of(key.choices);
        case Form::bug: return word_of(bug_codes());
        case Form::object: return value.kind == Kind::object;
        case Form::objects:
            return value.kind == Kind::list &&
                   std::all_of(value.items.begin(), value.items.end(),
                               [](const Located& item) { return item.kind == Kind::object; });
        case Form::options:
            return value.kind == Kind::object &&
                   std::all_of(value.members.begin(), value.members.end(),
                               [](const LocatedMember& one) { return is_scalar(one.value); });
        case Form::names:
            return value.kind == Kind::object && !value.members.empty() &&
                   std::all_of(value.members.begin(), value.members.end(),
                               [](const LocatedMember& one) {
                                   return one.value.kind == Kind::text && !one.value.text.empty();
                               });
        case Form::bounds: return value.kind == Kind::object;
    }
    return false;
}

constexpr std::array bound_keys{
    KeySpec{"at_least", Form::integer, "so often or more"},
    KeySpec{"at_most", Form::integer, "so often or less"},
};
constexpr ObjectSpec bound_spec{"the bounds of a count", "One of them, or both.", bound_keys};

bool conforms_to_key(const Located& value, const KeySpec& key, TextError& error) {
    if (!has_form(value, key)) {
        std::string sentence =
            fmt::format("\"{}\": expected {}, {}", key.key, expectation(key), found(value));
        if (value.kind == Located::Kind::text) {
            const auto codes = bug_codes();
            const auto known =
                key.form == Form::bug ? std::span<const std::string_view>(codes) : key.choices;
            if (const auto near = near_miss(value.text, known); !near.empty())
                sentence += fmt::format("; did you mean \"{}\"?", near);
        }
        return wrong(error, value.line, std::move(sentence));
    }
    if (key.form == Form::object) return conforms(value, *key.object, error);
    if (key.form == Form::objects)
        return std::all_of(value.items.begin(), value.items.end(),
                           [&](const Located& item) { return conforms(item, *key.object, error); });
    if (key.form == Form::bounds)
        return std::all_of(value.members.begin(), value.members.end(),
                           [&](const LocatedMember& one) {
                               if (one.value.kind != Located::Kind::object)
                                   return wrong(error, one.line,
                                                fmt::format("\"{}\": expected {}, {}", one.key,
                                                            expectation(key), found(one.value)));
                               return conforms(one.value, bound_spec, error);
                           });
    return true;
}

}  // namespace

std::string expectation(const KeySpec& key) {
    switch (key.form) {
        case Form::text: return "text";
        case Form::flag: return "true or false";
        case Form::integer: return fmt::format("a whole number from {} to {}", key.low, key.high);
        case Form::duration: return "a duration such as \"1500ms\" or \"2s\"";
        case Form::who: return "whom, such as \"leader\" or \"broker-2\"";
        case Form::whos: return "whom, such as \"leader\", or a list of them";
        case Form::choice: return "one of " + quoted_list(key.choices);
        case Form::bug: return "the code of a planted bug, such as \"R2\"";
        case Form::object: return fmt::format("an object, {}", key.object->name);
        case Form::objects: return fmt::format("a list of objects, each {}", key.object->name);
        case Form::options: return "an object of Kafka's option names and their values";
        case Form::names: return "an object of new names, each with whom it means";
        case Form::bounds:
            return "an object of counts, each with {\"at_least\": n} or {\"at_most\": n}";
    }
    return "?";
}

std::string_view near_miss(std::string_view word, std::span<const std::string_view> known) {
    std::string_view best;
    if (word.size() > 40) return best;
    std::size_t least = word.size() <= 4 ? 2 : 3;  // nearer than this
    for (const std::string_view one : known) {
        const std::size_t far = distance(word, one);
        if (far >= least) continue;
        least = far;
        best = one;
    }
    return best;
}

bool conforms(const Located& value, const ObjectSpec& spec, TextError& error) {
    if (value.kind != Located::Kind::object)
        return wrong(error, value.line,
                     fmt::format("expected an object, {}; {}", spec.name, found(value)));
    for (const LocatedMember& member : value.members) {
        const KeySpec* key = spec.find(member.key);
        if (key == nullptr) {
            std::vector<std::string_view> known;
            for (const KeySpec& one : spec.keys) known.push_back(one.key);
            const std::string_view near = near_miss(member.key, known);
            return wrong(error, member.line,
                         fmt::format("\"{}\" is no key of {}; {}", member.key, spec.name,
                                     near.empty() ? "expected one of " + quoted_list(known)
                                                  : fmt::format("did you mean \"{}\"?", near)));
        }
        if (!conforms_to_key(member.value, *key, error)) return false;
    }
    for (const KeySpec& key : spec.keys)
        if (key.required && value.find(key.key) == nullptr)
            return wrong(error, value.line,
                         fmt::format("\"{}\" is missing from {}: expected {}", key.key, spec.name,
                                     expectation(key)));
    return true;
}

}  // namespace klamm::sim
