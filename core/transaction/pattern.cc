#include "core/transaction/pattern.h"

#include <array>
#include <set>

namespace klamm::transaction {

namespace {

using Ends = std::set<std::size_t>;
constexpr int repeats_max = 100;
constexpr int depth_max = 50;
constexpr std::size_t work_max = 1'000'000;  // places tried; nested repetitions multiply

/// Walks the pattern, and carries the set of places in the text that what stands before can end at.
class Matcher {
  public:
    Matcher(std::string_view pattern, std::string_view text) : pattern_(pattern), text_(text) {}

    Result<bool> run() {
        const Ends ends = alternatives({0}, 0);
        if (bad_ || at_ != pattern_.size()) return Error{Failure::invalid, "no such pattern"};
        return ends.contains(text_.size());
    }

  private:
    [[nodiscard]] bool more() const { return !bad_ && at_ < pattern_.size(); }
    [[nodiscard]] char next() const { return pattern_[at_]; }
    bool take(char wanted) {
        if (!more() || next() != wanted) return false;
        ++at_;
        return true;
    }
    Ends fail() {
        bad_ = true;
        return {};
    }

    Ends alternatives(const Ends& from, int depth) {
        if (depth > depth_max) return fail();
        Ends ends = sequence(from, depth);
        while (take('|')) ends.merge(sequence(from, depth));
        return ends;
    }

    Ends sequence(Ends ends, int depth) {
        while (more() && next() != '|' && next() != ')') ends = repeated(ends, depth);
        return ends;
    }

    /// An atom as often as what follows it says. It is walked again for each time.
    Ends repeated(const Ends& from, int depth) {
        const std::size_t begins = at_;
        Ends once = atom(from, depth);
        const std::size_t after = at_;
        int least = 1;
        int most = 1;
        if (take('*')) {
            least = 0;
            most = -1;
        } else if (take('+')) {
            most = -1;
        } else if (take('?')) {
            least = 0;
        } else if (more() && next() == '{') {
            if (!bounds(least, most)) return fail();
        } else {
            return once;
        }
        static_cast<void>(take('?'));  // lazy: the same ids match
        if (more() && (next() == '*' || next() == '+' || next() == '?')) return fail();
        const std::size_t ends_at = at_;
        Ends all = least == 0 ? from : Ends{};
        Ends now = from;
        for (int times = 1; most < 0 || times <= most; ++times) {
            at_ = begins;
            now = times == 1 ? once : atom(now, depth);
            if (bad_ || now.empty()) break;
            KLAMM_ASSERT(times == 1 || at_ == after);
            if (times < least) continue;
            const std::size_t before = all.size();
            all.insert(now.begin(), now.end());
            if (most < 0 && all.size() == before) break;
        }
        at_ = ends_at;
        return all;
    }

    bool bounds(int& least, int& most) {
        const auto number = [&](int& value) {
            const std::size_t from = at_;
            value = 0;
            while (more() && next() >= '0' && next() <= '9' && value <= repeats_max)
                value = value * 10 + (pattern_[at_++] - '0');
            return at_ > from && value <= repeats_max;
        };
        ++at_;
        if (!number(least)) return false;
        most = least;
        if (take(',')) {
            most = -1;
            if (more() && next() != '}' && (!number(most) || most < least)) return false;
        }
        return take('}');
    }

    Ends atom(const Ends& from, int depth) {
        if (!more()) return fail();
        if (take('(')) {
            if (take('?') && !take(':')) return fail();
            Ends ends = alternatives(from, depth + 1);
            return take(')') ? ends : fail();
        }
        std::array<bool, 256> set{};
        const char c = pattern_[at_++];
        if (c == '.') {
            set.fill(true);
            set['\n'] = false;
        } else if (c == '[') {
            if (!char_class(set)) return fail();
        } else if (c == '\\') {
            if (!escape(set)) return fail();
        } else if (std::string_view("*+?{}])^$").find(c) != std::string_view::npos) {
            return fail();
        } else {
            set[static_cast<std::uint8_t>(c)] = true;
        }
        work_ += 1 + from.size();
        if (work_ > work_max) return fail();
        Ends ends;
        for (const std::size_t at : from)
            if (at < text_.size() && set[static_cast<std::uint8_t>(text_[at])]) ends.insert(at + 1);
        return ends;
    }

    /// What follows a backslash.
    bool escape(std::array<bool, 256>& set) {
        if (!more()) return false;
        const char c = pattern_[at_++];
        const char kind = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        if (kind != 'd' && kind != 'w' && kind != 's') {
            const bool letter = (kind >= 'a' && kind <= 'z') || (c >= '0' && c <= '9');
            if (!letter) set[static_cast<std::uint8_t>(c)] = true;
            return !letter;
        }
        for (int i = 0; i < 128; ++i) {
            const bool digit = i >= '0' && i <= '9';
            const bool word = digit || i == '_' || (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
            const bool space = i == ' ' || (i >= '\t' && i <= '\r' && i != '\v');
            const bool is = kind == 'd' ? digit : kind == 'w' ? word : space;
            if (is == (c == kind)) set[static_cast<std::size_t>(i)] = true;
        }
        return true;
    }

    bool char_class(std::array<bool, 256>& set) {
        const bool inverted = take('^');
        for (bool first = true; !take(']') || first; first = false) {
            if (first && at_ > 0 && pattern_[at_ - 1] == ']') {
                set[']'] = true;  // the first one stands for itself
                continue;
            }
            if (!more()) return false;
            if (take('\\')) {
                if (!escape(set)) return false;
                continue;
            }
            if (next() == '[') return false;
            const auto low = static_cast<std::uint8_t>(pattern_[at_++]);
            std::uint8_t high = low;
            if (at_ + 1 < pattern_.size() && next() == '-' && pattern_[at_ + 1] != ']') {
                ++at_;
                if (next() == '\\' || next() == '[') return false;
                high = static_cast<std::uint8_t>(pattern_[at_++]);
                if (high < low) return false;
            }
            for (std::size_t i = low; i <= high; ++i) set[i] = true;
        }
        if (inverted)
            for (bool& one : set) one = !one;
        return true;
    }

    std::string_view pattern_;
    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t work_ = 0;
    bool bad_ = false;
};

}  // namespace

Result<bool> matches(std::string_view pattern, std::string_view text) {
    return Matcher(pattern, text).run();
}

}  // namespace klamm::transaction
