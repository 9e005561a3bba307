// Recursive descent, with a bound on depth.
#include "checkers/edn.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace klamm::checkers {

namespace {

bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ','; }
bool ends_word(char c) {
    return space(c) || c == '(' || c == ')' || c == '[' || c == ']' || c == '{' || c == '}' ||
           c == '"' || c == ';';
}

}  // namespace

const Edn* Edn::at(std::string_view key) const {
    if (type != Type::map) return nullptr;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
        if (items[i].keyword(key)) return &items[i + 1];
    }
    return nullptr;
}

std::string Edn::written() const {
    switch (type) {
        case Type::null: return "nil";
        case Type::boolean: return boolean ? "true" : "false";
        case Type::integer: return std::to_string(integer);
        case Type::string: return "\"" + text + "\"";
        case Type::keyword: return ":" + text;
        case Type::symbol: return text;
        case Type::list:
        case Type::map: break;
    }
    std::string out(1, type == Type::map ? '{' : '[');
    for (std::size_t i = 0; i < items.size(); ++i) {
        out += (i == 0 ? "" : " ") + items[i].written();
    }
    return out + (type == Type::map ? '}' : ']');
}

std::size_t EdnReader::line() const {
    for (; counted_to_ < at_; ++counted_to_) lines_ += text_[counted_to_] == '\n';
    return lines_;
}

Error EdnReader::error(std::string_view expected) const {
    const std::size_t before = at_ == 0 ? std::string_view::npos : text_.rfind('\n', at_ - 1);
    const std::size_t column = at_ - (before == std::string_view::npos ? 0 : before + 1) + 1;
    const std::string found =
        at_ < text_.size() ? fmt::format("\"{}\"", text_.substr(at_, 12)) : "the end of the file";
    return {Failure::invalid, fmt::format("line {}, column {}: expected {}, found {}", line(),
                                          column, expected, found.substr(0, found.find('\n')))};
}

bool EdnReader::more() {
    while (at_ < text_.size()) {
        if (space(text_[at_])) {
            ++at_;
        } else if (text_[at_] == ';') {
            at_ = std::min(text_.find('\n', at_), text_.size());
        } else if (text_.substr(at_, 2) == "#_") {
            at_ += 2;
            if (!more() || !value(0).ok()) return at_ < text_.size();
        } else {
            return true;
        }
    }
    return false;
}

Result<Edn> EdnReader::next() { return value(0); }

Status EdnReader::items(char end, int depth, std::vector<Edn>& out) {
    for (;;) {
        if (!more()) return error(fmt::format("\"{}\"", end));
        if (text_[at_] == end) {
            ++at_;
            return {};
        }
        Result<Edn> one = value(depth + 1);
        if (!one.ok()) return one.error();
        out.push_back(std::move(*one));
    }
}

Result<Edn> EdnReader::value(int depth) {
    if (depth > depth_max) return error("no deeper nesting");
    Edn out;
    const char c = text_[at_];
    if (c == '"') return string();
    if (c == '[' || c == '(') {
        ++at_;
        out.type = Edn::Type::list;
        KLAMM_TRY(items(c == '[' ? ']' : ')', depth, out.items));
        return out;
    }
    if (c == '{') {
        ++at_;
        out.type = Edn::Type::map;
        KLAMM_TRY(items('}', depth, out.items));
        if (out.items.size() % 2 != 0) return error("a map with a value for each key");
        return out;
    }
    if (c == '#') {
        ++at_;
        if (at_ < text_.size() && text_[at_] == '{') {
            ++at_;
            out.type = Edn::Type::list;
            KLAMM_TRY(items('}', depth, out.items));
            return out;
        }
        while (at_ < text_.size() && !ends_word(text_[at_])) ++at_;  // a tag
        if (!more()) return error("a value after a tag");
        return value(depth + 1);
    }
    if (c == '^') return error("a value (metadata is not read)");
    if (ends_word(c)) return error("a value");
    return word();
}

Result<Edn> EdnReader::string() {
    Edn out;
    out.type = Edn::Type::string;
    const std::size_t begin = at_++;
    for (; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        char c = text_[at_];
        if (c == '\\' && at_ + 1 < text_.size()) {
            c = text_[++at_];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        out.text += c;
    }
    if (at_ >= text_.size()) {
        at_ = begin;
        return error("a string that ends");
    }
    ++at_;
    return out;
}

Result<Edn> EdnReader::word() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && !ends_word(text_[at_])) ++at_;
    const std::string_view word = text_.substr(begin, at_ - begin);
    Edn out;
    if (word == "nil") return out;
    if (word == "true" || word == "false") {
        out.type = Edn::Type::boolean;
        out.boolean = word == "true";
        return out;
    }
    if (word.front() == ':') {
        out.type = Edn::Type::keyword;
        out.text = word.substr(1);
        return out;
    }
    std::string_view digits = word;
    if (digits.front() == '+') digits.remove_prefix(1);
    if (!digits.empty() && digits.back() == 'N') digits.remove_suffix(1);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out.integer);
    if (!digits.empty() && parsed.ec == std::errc{} &&
        parsed.ptr == digits.data() + digits.size()) {
        out.type = Edn::Type::integer;
        return out;
    }
    out.integer = 0;
    out.type = Edn::Type::symbol;
    out.text = word;
    return out;
}

}  // namespace klamm::checkers
