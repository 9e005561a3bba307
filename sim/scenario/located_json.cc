#include "sim/scenario/located_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace klamm::sim {

namespace {

using nlohmann::json;

/// How far the parser has read.
struct Place {
    std::size_t line = 1;
    char last = ' ';
};

/// Walks over the text and counts the lines that the parser has taken.
class CountingIterator {
  public:
    using difference_type = std::ptrdiff_t;
    using value_type = char;
    using pointer = const char*;
    using reference = const char&;
    using iterator_category = std::input_iterator_tag;

    CountingIterator(const char* at, Place* place) : at_(at), place_(place) {}
    reference operator*() const { return *at_; }
    CountingIterator& operator++() {
        place_->last = *at_++;
        if (place_->last == '\n') ++place_->line;
        return *this;
    }
    friend bool operator==(const CountingIterator& a, const CountingIterator& b) {
        return a.at_ == b.at_;
    }

  private:
    const char* at_;
    Place* place_;
};

/// Builds the tree from the parser's events.
class Builder {
  public:
    Builder(Located& root, TextError& error, const Place* place)
        : root_(root), error_(error), place_(place) {}

    bool null() {
        add(Located::Kind::null);
        return true;
    }
    bool boolean(bool value) {
        add(Located::Kind::boolean).boolean = value;
        return true;
    }
    bool number_integer(json::number_integer_t value) { return number(value); }
    bool number_unsigned(json::number_unsigned_t value) {
        if (value > static_cast<json::number_unsigned_t>(INT64_MAX))
            return wrong("a number is too large");
        return number(static_cast<std::int64_t>(value));
    }
    bool number_float(json::number_float_t, const std::string& written) {
        Located& made = add(Located::Kind::real);
        made.line = line_of_number();
        made.text = written;
        return true;
    }
    bool string(std::string& value) {
        add(Located::Kind::text).text = std::move(value);
        return true;
    }
    bool binary(json::binary_t&) { return wrong("binary values are no JSON text"); }
    bool start_object(std::size_t) { return open(Located::Kind::object); }
    bool key(std::string& value) {
        Located& object = *open_.back();
        if (object.find(value) != nullptr)
            return wrong(fmt::format("the key \"{}\" is given twice in one object", value));
        object.members.push_back({std::move(value), place_->line, {}});
        return true;
    }
    bool end_object() { return close(); }
    bool start_array(std::size_t) { return open(Located::Kind::list); }
    bool end_array() { return close(); }
    bool parse_error(std::size_t, const std::string& token, const json::exception& why) {
        const std::string_view shown = std::string_view(token).substr(0, 40);
        if (std::string_view(why.what()).find("unexpected end of input") != std::string_view::npos)
            return wrong("the text ends before the JSON value does");
        std::string printable;
        for (const char c : shown) printable += c >= ' ' && c < 127 ? c : '?';
        return wrong(fmt::format("no JSON can go on with '{}'", printable));
    }

  private:
    bool wrong(std::string sentence) {
        if (error_.sentence.empty()) error_ = {place_->line, std::move(sentence)};
        return false;
    }
    bool number(std::int64_t value) {
        Located& made = add(Located::Kind::integer);
        made.line = line_of_number();
        made.integer = value;
        return true;
    }
    /// A number's end is known by the character after it, which has been read.
    [[nodiscard]] std::size_t line_of_number() const {
        return place_->line - (place_->last == '\n' ? 1 : 0);
    }
    Located& add(Located::Kind kind) {
        Located* place = &root_;
        if (!open_.empty()) {
            Located& parent = *open_.back();
            place = parent.kind == Located::Kind::object ? &parent.members.back().value
                                                         : &parent.items.emplace_back();
        }
        place->kind = kind;
        place->line = place_->line;
        return *place;
    }
    bool open(Located::Kind kind) {
        if (open_.size() >= json_depth_max)
            return wrong(fmt::format("more than {} levels deep", json_depth_max));
        open_.push_back(&add(kind));
        return true;
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    Located& root_;
    TextError& error_;
    const Place* place_;
    std::vector<Located*> open_;  // a parent's storage does not move while its last child grows
};

}  // namespace

const Located* Located::find(std::string_view key) const {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const LocatedMember& member) { return member.key == key; });
    return found == members.end() ? nullptr : &found->value;
}

const char* to_string(Located::Kind kind) {
    switch (kind) {
        case Located::Kind::null: return "null";
        case Located::Kind::boolean: return "true or false";
        case Located::Kind::integer: return "a number";
        case Located::Kind::real: return "a number with a fraction";
        case Located::Kind::text: return "text";
        case Located::Kind::list: return "a list";
        case Located::Kind::object: return "an object";
    }
    return "?";
}

bool read_json(std::string_view text, Located& root, TextError& error) {
    error = {};
    root = {};
    if (text.size() > json_bytes_max) {
        error = {1, fmt::format("longer than {} bytes", json_bytes_max)};
        return false;
    }
    Place place;
    Builder builder(root, error, &place);
    const CountingIterator begin(text.data(), &place);
    const CountingIterator end(text.data() + text.size(), &place);
    return json::sax_parse(begin, end, &builder) && error.sentence.empty();
}

}  // namespace klamm::sim
