// A completion repeats its actions with what they gave; one without actions leaves those asked.
#include "checkers/transaction_history.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "checkers/edn.h"

namespace klamm::checkers {

std::uint32_t TransactionHistory::intern(std::string_view text) {
    const auto found = ids_.find(text);
    if (found != ids_.end()) return found->second;
    const auto id = static_cast<std::uint32_t>(texts.size());
    texts.emplace_back(text);
    ids_.emplace(text, id);
    return id;
}

namespace {

/// Puts events together, whatever the notation.
class ListHistoryBuilder {
  public:
    void begin_actions() { pending_.clear(); }
    void append(std::uint32_t key, std::uint32_t element, std::int64_t offset) {
        ListAction one;
        one.key = key;
        one.element = element;
        one.offset = offset;
        pending_.push_back(one);
    }
    ListAction& read(std::uint32_t key) {
        ListAction one;
        one.kind = ListAction::Kind::read;
        one.key = key;
        one.begin = static_cast<std::uint32_t>(history.elements.size());
        pending_.push_back(one);
        return pending_.back();
    }
    /// An expectation that is not met, or null.
    const char* invoke(std::int64_t process, std::uint64_t operation, std::uint32_t line) {
        const auto at = static_cast<std::uint32_t>(history.transactions.size());
        if (!open_.emplace(std::pair(process, operation), at).second) {
            return "the completion of the process's last operation";
        }
        ListTransaction one;
        one.process = process;
        one.call = next_++;
        one.line = line;
        history.transactions.push_back(one);
        asked_.push_back(pending_);
        for (const ListAction& action : pending_) {
            if (action.kind != ListAction::Kind::append) continue;
            const auto id = (std::uint64_t{action.key} << 32) | action.element;
            if (!appended_.insert(id).second) return "an element that was not appended before";
        }
        return nullptr;
    }
    const char* complete(std::int64_t process, std::uint64_t operation, Outcome outcome,
                         std::uint32_t line, bool with_actions) {
        const auto open = open_.find(std::pair(process, operation));
        if (open == open_.end()) return "an operation that was invoked";
        ListTransaction& one = history.transactions[open->second];
        std::vector<ListAction>& actions = asked_[open->second];
        open_.erase(open);
        one.ret = next_++;
        one.line = line;
        one.outcome = outcome;
        if (!with_actions) return nullptr;
        if (actions.size() != pending_.size()) return "the actions that were asked";
        for (std::size_t i = 0; i < actions.size(); ++i) {
            const ListAction& told = pending_[i];
            const bool same = actions[i].kind == told.kind && actions[i].key == told.key &&
                              actions[i].element == told.element;
            if (!same) return "the actions that were asked";
            actions[i] = told;
            // Of what did not succeed Jepsen repeats the question: it read nothing that is known.
            if (outcome != Outcome::ok) actions[i].told = false;
            if (outcome == Outcome::ok) actions[i].told = told.kind == ListAction::Kind::read;
        }
        return nullptr;
    }
    TransactionHistory take() {
        for (std::size_t i = 0; i < asked_.size(); ++i) {
            ListTransaction& one = history.transactions[i];
            one.begin = static_cast<std::uint32_t>(history.actions.size());
            one.count = static_cast<std::uint32_t>(asked_[i].size());
            history.actions.insert(history.actions.end(), asked_[i].begin(), asked_[i].end());
        }
        return std::move(history);
    }

    TransactionHistory history;

  private:
    std::vector<ListAction> pending_;
    std::vector<std::vector<ListAction>> asked_;  // by transaction
    std::unordered_set<std::uint64_t> appended_;  // key and element
    std::map<std::pair<std::int64_t, std::uint64_t>, std::uint32_t> open_;
    std::int64_t next_ = 0;
};

Error expected_there(std::size_t line, std::string_view expected, const std::string& found) {
    return {Failure::invalid,
            fmt::format("line {}: expected {}, found {}", line, expected, found.substr(0, 60))};
}

class ListEdnReader {
  public:
    Status event(std::size_t line, const Edn& event) {
        const Edn* process = event.at("process");
        const Edn* type = event.at("type");
        const Edn* value = event.at("value");
        if (type == nullptr)
            return expected_there(line, "an operation with :type", event.written());
        const bool numbered = process != nullptr && process->is(Edn::Type::integer);
        if (process != nullptr && !numbered) return {};  // the nemesis
        const bool acts = value != nullptr && value->is(Edn::Type::list);
        builder_.begin_actions();
        if (acts) {
            for (const Edn& each : value->items) KLAMM_TRY(action(line, each));
        }
        const std::int64_t who = numbered ? process->integer : 0;
        const auto at = static_cast<std::uint32_t>(line);
        const char* expected = nullptr;
        if (type->keyword("invoke")) {
            expected = builder_.invoke(who, 0, at);
        } else if (type->keyword("ok")) {
            expected = builder_.complete(who, 0, Outcome::ok, at, acts);
        } else if (type->keyword("fail")) {
            expected = builder_.complete(who, 0, Outcome::failed, at, acts);
        } else if (type->keyword("info")) {
            expected = builder_.complete(who, 0, Outcome::unknown, at, acts);
        } else {
            expected = ":invoke, :ok, :fail or :info";
        }
        if (expected != nullptr) return expected_there(line, expected, event.written());
        return {};
    }
    TransactionHistory take() { return builder_.take(); }

  private:
    Status action(std::size_t line, const Edn& one) {
        constexpr const char* form = "[:append key element] or [:r key [element ...]]";
        if (!one.is(Edn::Type::list) || one.items.size() < 2 || one.items.size() > 3) {
            return expected_there(line, form, one.written());
        }
        const std::uint32_t key = intern(one.items[1]);
        const Edn* value = one.items.size() == 3 ? &one.items[2] : nullptr;
        if (one.items[0].keyword("append") && value != nullptr) {
            // As Jepsen's sends are told: [offset element].
            const bool placed = value->is(Edn::Type::list) && value->items.size() == 2 &&
                                value->items[0].is(Edn::Type::integer);
            builder_.append(key, intern(placed ? value->items[1] : *value),
                            placed ? value->items[0].integer : -1);
            return {};
        }
        if (!one.items[0].keyword("r") && !one.items[0].keyword("read")) {
            return expected_there(line, form, one.written());
        }
        ListAction& read = builder_.read(key);
        if (value == nullptr || value->is(Edn::Type::null)) return {};
        if (!value->is(Edn::Type::list)) return expected_there(line, form, one.written());
        for (const Edn& each : value->items) builder_.history.elements.push_back(intern(each));
        read.count = static_cast<std::uint32_t>(value->items.size());
        return {};
    }
    std::uint32_t intern(const Edn& value) {
        if (value.is(Edn::Type::integer)) {
            return builder_.history.intern(fmt::format_int(value.integer).c_str());
        }
        return builder_.history.intern(value.written());
    }

    ListHistoryBuilder builder_;
};

/// A line exactly as FORMAT.md spells it; any other is for the parser of JSON.
class SpeltTransaction {
  public:
    SpeltTransaction(std::string_view line, ListHistoryBuilder& builder)
        : at_(line.data()), end_(at_ + line.size()), builder_(builder) {}

    std::int64_t client = 0;
    std::uint64_t operation = 0;
    bool invoked = false;
    bool with_actions = false;
    Outcome outcome = Outcome::unknown;

    bool read() {
        std::string_view skipped;
        if (!(literal(R"({"time":)") && integer(skipped) && literal(R"(,"client":)") &&
              number(client) && literal(R"(,"operation":)") && number(operation) &&
              literal(R"(,"kind":"transaction_)"))) {
            return false;
        }
        invoked = literal(R"(invoked")");
        if (!invoked && !(literal(R"(returned","outcome":")") && outcomes())) return false;
        builder_.begin_actions();
        with_actions = literal(R"(,"actions":[)");
        if (with_actions && !literal("]")) {
            do {
                if (!action()) return false;
            } while (literal(","));
            if (!literal("]")) return false;
        }
        return literal("}") && at_ == end_ && (with_actions || outcome != Outcome::ok);
    }

  private:
    bool literal(std::string_view text) {
        if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(text)) {
            return false;
        }
        at_ += text.size();
        return true;
    }
    bool outcomes() {
        if (literal(R"(ok")"))
            outcome = Outcome::ok;
        else if (literal(R"(failed")"))
            outcome = Outcome::failed;
        else
            return literal(R"(unknown")");
        return true;
    }
    /// An integer that is written in one way only, of so few digits that it fits.
    bool integer(std::string_view& text) {
        const char* const begin = at_;
        if (at_ != end_ && *at_ == '-') ++at_;
        const char* const digits = at_;
        while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
        text = {begin, static_cast<std::size_t>(at_ - begin)};
        const bool zero = digits != end_ && *digits == '0';
        return at_ != digits && at_ - digits <= 18 && (!zero || text == "0");
    }
    template <class T>
    bool number(T& out) {
        std::string_view text;
        if (!integer(text)) return false;
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
        return parsed.ec == std::errc{} && parsed.ptr == at_;
    }
    /// A name or an element: an integer, or plain letters in quotes.
    bool scalar(std::uint32_t& id) {
        const char* const begin = at_;
        if (literal("\"")) {
            while (at_ != end_ && *at_ != '"' && *at_ != '\\' && *at_ >= ' ') ++at_;
            if (!literal("\"")) return false;
            id = builder_.history.intern({begin, static_cast<std::size_t>(at_ - begin)});
            return true;
        }
        std::string_view text;
        if (!integer(text)) return false;
        id = builder_.history.intern(text);
        return true;
    }
    bool action() {
        std::uint32_t key = 0;
        if (literal(R"(["append",)")) {
            std::uint32_t element = 0;
            std::int64_t offset = -1;
            if (!scalar(key) || !literal(",") || !scalar(element)) return false;
            if (literal(",") && !number(offset)) return false;
            builder_.append(key, element, offset);
            return literal("]");
        }
        if (!literal(R"(["read",)") || !scalar(key)) return false;
        ListAction& read = builder_.read(key);
        if (literal("]") || literal(",null]")) return true;
        if (!literal(",[")) return false;
        if (literal("]]")) return true;
        do {
            std::uint32_t element = 0;
            if (!scalar(element)) return false;
            builder_.history.elements.push_back(element);
            ++read.count;
        } while (literal(","));
        return literal("]]");
    }

    const char* at_;
    const char* end_;
    ListHistoryBuilder& builder_;
};

class ListJsonReader {
  public:
    Status event(std::size_t line, std::string_view text) {
        using nlohmann::json;
        SpeltTransaction spelt(text, builder_);
        const std::size_t elements = builder_.history.elements.size();
        if (spelt.read()) {
            const auto at = static_cast<std::uint32_t>(line);
            const char* wrong = spelt.invoked
                                    ? builder_.invoke(spelt.client, spelt.operation, at)
                                    : builder_.complete(spelt.client, spelt.operation,
                                                        spelt.outcome, at, spelt.with_actions);
            if (wrong != nullptr) return expected_there(line, wrong, std::string(text));
            return {};
        }
        builder_.history.elements.resize(elements);
        const json object = json::parse(text.begin(), text.end(), nullptr, false);
        if (!object.is_object()) return expected_there(line, "a JSON object", std::string(text));
        const auto at = [&](const char* key) -> const json& {
            static const json nothing;
            const auto found = object.find(key);
            return found == object.end() ? nothing : *found;
        };
        const json& client = at("client");
        const json& operation = at("operation");
        if (!client.is_number_integer() || !operation.is_number_unsigned()) {
            return expected_there(line, "integers \"client\" and \"operation\"", std::string(text));
        }
        const json& actions = at("actions");
        builder_.begin_actions();
        if (!actions.is_null() && !actions.is_array()) {
            return expected_there(line, "a list of \"actions\"", actions.dump());
        }
        for (const json& each : actions) KLAMM_TRY(action(line, each));
        const json& kind = at("kind");
        const json& outcome = at("outcome");
        const auto who = client.get<std::int64_t>();
        const auto which = operation.get<std::uint64_t>();
        const auto number = static_cast<std::uint32_t>(line);
        const char* expected = nullptr;
        if (kind == "transaction_invoked") {
            expected = builder_.invoke(who, which, number);
        } else if (kind != "transaction_returned") {
            expected = "transaction_invoked or transaction_returned";
        } else if (outcome == "ok" && actions.is_array()) {
            expected = builder_.complete(who, which, Outcome::ok, number, true);
        } else if (outcome == "failed" || outcome == "unknown") {
            expected = builder_.complete(who, which,
                                         outcome == "failed" ? Outcome::failed : Outcome::unknown,
                                         number, actions.is_array());
        } else {
            expected = "outcome ok with its actions, failed or unknown";
        }
        if (expected != nullptr) return expected_there(line, expected, std::string(text));
        return {};
    }
    TransactionHistory take() { return builder_.take(); }

  private:
    Status action(std::size_t line, const nlohmann::json& one) {
        constexpr const char* form =
            "[\"append\", key, element] (and its offset), or [\"read\", key, [element, ...]]";
        const bool listed = one.is_array() && one.size() >= 2 && one.size() <= 4;
        if (!listed) return expected_there(line, form, one.dump());
        const std::uint32_t key = intern(one[1]);
        if (one[0] == "append" && one.size() >= 3 && !one[2].is_structured()) {
            std::int64_t offset = -1;
            if (one.size() == 4) {
                if (!one[3].is_number_integer()) return expected_there(line, form, one.dump());
                offset = one[3].get<std::int64_t>();
            }
            builder_.append(key, intern(one[2]), offset);
            return {};
        }
        if (one[0] != "read" || one.size() > 3) return expected_there(line, form, one.dump());
        ListAction& read = builder_.read(key);
        if (one.size() == 2 || one[2].is_null()) return {};
        if (!one[2].is_array()) return expected_there(line, form, one.dump());
        for (const nlohmann::json& each : one[2]) {
            builder_.history.elements.push_back(intern(each));
        }
        read.count = static_cast<std::uint32_t>(one[2].size());
        return {};
    }
    std::uint32_t intern(const nlohmann::json& value) {
        if (value.is_number_integer()) {
            return builder_.history.intern(fmt::format_int(value.get<std::int64_t>()).c_str());
        }
        return builder_.history.intern(value.dump());
    }

    ListHistoryBuilder builder_;
};

bool written_as_json(std::string_view text) {
    const std::size_t brace = text.find_first_not_of(" \t\r\n");
    if (brace == std::string_view::npos || text[brace] != '{') return false;
    const std::size_t key = text.find_first_not_of(" \t\r\n", brace + 1);
    return key != std::string_view::npos && text[key] == '"';
}

}  // namespace

Result<TransactionHistory> read_transactions(std::string_view text) {
    if (written_as_json(text)) {
        ListJsonReader reader;
        std::size_t number = 0;
        while (!text.empty()) {
            ++number;
            const std::size_t end = text.find('\n');
            const std::string_view line = text.substr(0, end);
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
            if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
            KLAMM_TRY(reader.event(number, line));
        }
        return reader.take();
    }
    ListEdnReader reader;
    KLAMM_TRY(read_events(text, reader));
    return reader.take();
}

bool tells_transactions(std::string_view text) {
    if (written_as_json(text)) {
        const std::string_view line = text.substr(0, text.find('\n', text.find('{')));
        return line.find("\"transaction_invoked\"") != std::string_view::npos;
    }
    EdnReader source(text);
    const auto says = [](const Edn& event) {  // 1 yes, 0 no, -1 nothing
        const Edn* value = event.at("value");
        if (value == nullptr || value->items.empty() || value->items[0].items.empty()) return -1;
        const Edn& word = value->items[0].items[0];
        const bool listed = word.keyword("append") || word.keyword("r");
        return value->items[0].is(Edn::Type::list) && listed ? 1 : 0;
    };
    while (source.more()) {
        const Result<Edn> one = source.next();
        if (!one.ok()) return false;
        int said = -1;
        if (one->is(Edn::Type::list)) {
            for (const Edn& each : one->items) {
                if (said < 0) said = says(each);
            }
        } else {
            said = says(*one);
        }
        if (said >= 0) return said == 1;
    }
    return false;
}

}  // namespace klamm::checkers
