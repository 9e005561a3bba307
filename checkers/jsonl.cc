// The writer spells each line by hand (it is hot in exports); the reader is strict: each kind has
// exactly the keys of FORMAT.md, no more and no fewer. A line as the writer spells it is read in
// one go; any other is parsed as JSON, which takes other orders and spaces, and knows the errors.
#include "checkers/jsonl.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

namespace klamm::checkers {

namespace {

using nlohmann::json;

enum class Key : std::uint8_t {
    partition,
    outcome,
    value,
    acks,
    offset,
    epoch,
    log_start,
    high_watermark,
    records,
    // By other names in the kinds that services have.
    group,       // value
    generation,  // epoch
    node,        // value
    within,      // offset
    ordered,     // acks
    resource,    // value
    amount,      // offset
    key,         // offset
    deletes,     // acks
};

constexpr std::array<const char*, 18> key_names{
    "partition", "outcome",        "value",    "acks",   "offset",     "epoch",
    "log_start", "high_watermark", "records",  "group",  "generation", "node",
    "within",    "ordered",        "resource", "amount", "key",        "deletes"};

constexpr std::array<Kind, 17> kinds{
    Kind::send_invoked,       Kind::send_returned,   Kind::poll_invoked,
    Kind::poll_returned,      Kind::latest_invoked,  Kind::latest_returned,
    Kind::reset_told,         Kind::final_reads,     Kind::owner_told,
    Kind::commit_invoked,     Kind::commit_returned, Kind::committed_invoked,
    Kind::committed_returned, Kind::leader_told,     Kind::sends_promised,
    Kind::resource_told,      Kind::key_told};

/// The keys of a kind, beyond time, client, operation and kind, in the order of writing.
std::span<const Key> keys_of(Kind kind) {
    static constexpr std::array send_invoked{Key::partition, Key::value, Key::acks};
    static constexpr std::array send_returned{Key::outcome, Key::offset};
    static constexpr std::array poll_invoked{Key::partition, Key::offset};
    static constexpr std::array poll_returned{Key::outcome, Key::log_start, Key::high_watermark,
                                              Key::records};
    static constexpr std::array latest_invoked{Key::partition};
    static constexpr std::array latest_returned{Key::outcome, Key::epoch, Key::offset};
    static constexpr std::array owner_told{Key::partition, Key::group, Key::generation};
    static constexpr std::array commit_invoked{Key::partition, Key::group, Key::generation,
                                               Key::offset};
    static constexpr std::array commit_returned{Key::outcome};
    static constexpr std::array committed_invoked{Key::partition, Key::group};
    static constexpr std::array leader_told{Key::partition, Key::node, Key::epoch};
    static constexpr std::array sends_promised{Key::within, Key::ordered};
    static constexpr std::array resource_told{Key::resource, Key::amount};
    static constexpr std::array key_told{Key::partition, Key::value, Key::key, Key::deletes};
    switch (kind) {
        case Kind::send_invoked: return send_invoked;
        case Kind::send_returned: return send_returned;
        case Kind::poll_invoked: return poll_invoked;
        case Kind::poll_returned: return poll_returned;
        case Kind::latest_invoked: return latest_invoked;
        case Kind::latest_returned: return latest_returned;
        case Kind::reset_told: return poll_invoked;
        case Kind::final_reads: return {};
        case Kind::owner_told: return owner_told;
        case Kind::commit_invoked: return commit_invoked;
        case Kind::commit_returned: return commit_returned;
        case Kind::committed_invoked: return committed_invoked;
        case Kind::committed_returned: return send_returned;
        case Kind::leader_told: return leader_told;
        case Kind::sends_promised: return sends_promised;
        case Kind::resource_told: return resource_told;
        case Kind::key_told: return key_told;
    }
    KLAMM_UNREACHABLE();
}

/// The member of an event that a key names, as "what(member)"; of outcome and records none.
template <class What>
auto with_member(Key key, What what) {
    switch (key) {
        case Key::partition: return what(&Event::partition);
        case Key::value:
        case Key::group:
        case Key::node:
        case Key::resource: return what(&Event::value);
        case Key::acks:
        case Key::ordered:
        case Key::deletes: return what(&Event::acks);
        case Key::offset:
        case Key::within:
        case Key::amount:
        case Key::key: return what(&Event::offset);
        case Key::epoch:
        case Key::generation: return what(&Event::epoch);
        case Key::log_start: return what(&Event::log_start);
        case Key::high_watermark: return what(&Event::high_watermark);
        case Key::outcome:
        case Key::records: break;
    }
    KLAMM_UNREACHABLE();
}

void write_key(std::string& out, Key key, const Event& event) {
    auto to = std::back_inserter(out);
    if (key == Key::outcome) {
        fmt::format_to(to, R"(,"outcome":"{}")", to_string(event.outcome));
        return;
    }
    if (key == Key::records) {
        out += R"(,"records":[)";
        for (std::size_t i = 0; i < event.records.size(); ++i) {
            fmt::format_to(to, "{}[{},{}]", i == 0 ? "" : ",", event.records[i].offset,
                           event.records[i].value);
        }
        out += ']';
        return;
    }
    with_member(key, [&](auto member) {
        fmt::format_to(to, R"(,"{}":{})", key_names[static_cast<std::size_t>(key)], event.*member);
    });
}

/// One line being read; errors name the line and the key.
class Line {
  public:
    Line(std::size_t number, const json& object) : number_(number), object_(object) {}

    [[nodiscard]] Error error(const char* key, const std::string& expected,
                              const std::string& found) const {
        return {Failure::invalid, fmt::format("line {}, key \"{}\": expected {}, found {}", number_,
                                              key, expected, found)};
    }

    template <class T>
    Status integer(const char* key, T& out) {
        const auto at = object_.find(key);
        if (at == object_.end()) return error(key, expected_of<T>(), "nothing");
        ++taken_;
        return integer_of<T>(key, *at, out);
    }

    template <class T, std::size_t N>
    Status name(const char* key, const std::array<T, N>& all, T& out) {
        std::string expected = "one of";
        for (const T one : all) expected += fmt::format(" {}", to_string(one));
        const auto at = object_.find(key);
        if (at == object_.end()) return error(key, expected, "nothing");
        ++taken_;
        if (at->is_string()) {
            for (const T one : all) {
                if (at->get_ref<const std::string&>() != to_string(one)) continue;
                out = one;
                return {};
            }
        }
        return error(key, expected, at->dump());
    }

    Status records(std::vector<Record>& out) {
        const auto at = object_.find("records");
        if (at == object_.end()) return error("records", records_expected, "nothing");
        ++taken_;
        if (!at->is_array()) return error("records", records_expected, at->dump());
        for (const json& pair : *at) {
            if (!pair.is_array() || pair.size() != 2) {
                return error("records", records_expected, pair.dump());
            }
            Record record;
            KLAMM_TRY(integer_of("records", pair[0], record.offset));
            KLAMM_TRY(integer_of("records", pair[1], record.value));
            out.push_back(record);
        }
        return {};
    }

    /// An error if the line has a key that nobody took.
    Status all_taken(Kind kind) {
        if (taken_ == object_.size()) return {};
        for (const auto& [key, value] : object_.items()) {
            if (key == "time" || key == "client" || key == "operation" || key == "kind") continue;
            bool known = false;
            for (const Key one : keys_of(kind)) {
                known = known || key == key_names[static_cast<std::size_t>(one)];
            }
            if (!known) {
                return error(key.c_str(), fmt::format("no such key in {}", to_string(kind)),
                             value.dump());
            }
        }
        return {};
    }

  private:
    static constexpr const char* records_expected = "a list of [offset, value]";

    template <class T>
    static std::string expected_of() {
        return fmt::format("an integer from {} to {}", std::numeric_limits<T>::min(),
                           std::numeric_limits<T>::max());
    }

    template <class T>
    Status integer_of(const char* key, const json& from, T& out) const {
        bool fits = false;
        if (from.is_number_unsigned()) {
            const auto number = from.get<std::uint64_t>();
            fits = number <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
            if (fits) out = static_cast<T>(number);
        } else if (from.is_number_integer()) {
            const auto number = from.get<std::int64_t>();  // negative
            if constexpr (std::is_signed_v<T>) fits = number >= std::numeric_limits<T>::min();
            if (fits) out = static_cast<T>(number);
        }
        if (!fits) return error(key, expected_of<T>(), from.dump());
        return {};
    }

    std::size_t number_;
    const json& object_;
    std::size_t taken_ = 0;
};

Status read_key(Line& line, Key key, Event& event) {
    constexpr std::array outcomes{Outcome::ok, Outcome::failed, Outcome::unknown};
    const char* name = key_names[static_cast<std::size_t>(key)];
    if (key == Key::outcome) return line.name(name, outcomes, event.outcome);
    if (key == Key::records) return line.records(event.records);
    return with_member(key, [&](auto member) { return line.integer(name, event.*member); });
}

/// A line exactly as write_event spells it.
class Spelt {
  public:
    explicit Spelt(std::string_view line) : at_(line.data()), end_(at_ + line.size()) {}

    bool read(Event& event) {
        if (!(literal(R"({"time":)") && number(event.time) && literal(R"(,"client":)") &&
              number(event.client) && literal(R"(,"operation":)") && number(event.operation) &&
              literal(R"(,"kind":")") && name(kinds, event.kind))) {
            return false;
        }
        for (const Key key : keys_of(event.kind)) {
            if (!literal(",\"") || !literal(key_names[static_cast<std::size_t>(key)]) ||
                !literal("\":") || !value(key, event)) {
                return false;
            }
        }
        return literal("}") && at_ == end_;
    }

  private:
    bool literal(std::string_view text) {
        if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(text)) {
            return false;
        }
        at_ += text.size();
        return true;
    }
    template <class T>
    bool number(T& out) {
        const auto parsed = std::from_chars(at_, end_, out);
        // What JSON does not allow is for the other reader to name.
        const bool odd = at_ < end_ && (*at_ == '0' || *at_ == '-') && parsed.ptr - at_ > 1 &&
                         (*at_ == '0' || at_[1] == '0');
        at_ = parsed.ptr;
        return parsed.ec == std::errc{} && !odd;
    }
    template <class T, std::size_t N>
    bool name(const std::array<T, N>& all, T& out) {
        for (const T one : all) {
            const char* const before = at_;
            if (literal(to_string(one)) && literal("\"")) {
                out = one;
                return true;
            }
            at_ = before;
        }
        return false;
    }
    bool value(Key key, Event& event) {
        constexpr std::array outcomes{Outcome::ok, Outcome::failed, Outcome::unknown};
        if (key == Key::outcome) return literal("\"") && name(outcomes, event.outcome);
        if (key != Key::records) {
            return with_member(key, [&](auto member) { return number(event.*member); });
        }
        if (literal("[]")) return true;
        if (!literal("[")) return false;
        do {
            Record record;
            if (!literal("[") || !number(record.offset) || !literal(",") || !number(record.value) ||
                !literal("]")) {
                return false;
            }
            event.records.push_back(record);
        } while (literal(","));
        return literal("]");
    }

    const char* at_;
    const char* end_;
};

void clear_event(Event& event) {
    std::vector<Record> records = std::move(event.records);
    records.clear();
    event = Event{};
    event.records = std::move(records);
}

Status read_event(std::size_t number, std::string_view text, Event& event) {
    clear_event(event);
    if (Spelt(text).read(event)) return {};
    clear_event(event);
    const json object = json::parse(text.begin(), text.end(), nullptr, false);
    if (!object.is_object()) {
        return Error{Failure::invalid, fmt::format("line {}: expected a JSON object", number)};
    }
    Line line(number, object);
    KLAMM_TRY(line.integer("time", event.time));
    KLAMM_TRY(line.integer("client", event.client));
    KLAMM_TRY(line.integer("operation", event.operation));
    KLAMM_TRY(line.name("kind", kinds, event.kind));
    for (const Key key : keys_of(event.kind)) KLAMM_TRY(read_key(line, key, event));
    return line.all_taken(event.kind);
}

}  // namespace

std::string write_event(const Event& event) {
    std::string out = fmt::format(R"({{"time":{},"client":{},"operation":{},"kind":"{}")",
                                  event.time, event.client, event.operation, to_string(event.kind));
    for (const Key key : keys_of(event.kind)) write_key(out, key, event);
    out += "}\n";
    return out;
}

std::string write_history(const History& history) {
    std::string out;
    for (const Event& event : history) out += write_event(event);
    return out;
}

Status read_events(std::string_view text, const std::function<void(const Event&)>& take) {
    Event event;
    std::size_t number = 0;
    std::int64_t time = INT64_MIN;
    while (!text.empty()) {
        ++number;
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        KLAMM_TRY(read_event(number, line, event));
        if (event.time < time) {
            return Error{Failure::invalid,
                         fmt::format("line {}, key \"time\": expected at least {}, found {}",
                                     number, time, event.time)};
        }
        time = event.time;
        take(event);
    }
    return {};
}

Result<History> read_history(std::string_view text) {
    History history;
    KLAMM_TRY(read_events(text, [&](const Event& event) { history.push_back(event); }));
    return history;
}

}  // namespace klamm::checkers
