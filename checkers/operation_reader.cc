// Three notations, one assembly: each event is turned into a Half, and halves are joined by client
// and operation.
#include "checkers/operation_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "checkers/edn.h"

namespace klamm::checkers {

namespace {

using nlohmann::json;

enum class HalfKind : std::uint8_t { invoked, ok, failed, unknown };

/// A value of either notation.
struct Given {
    bool present = false;
    std::string text = "nil";  // as it is interned
    bool is_list = false;
    std::vector<std::string> list;
};

struct Half {
    HalfKind kind = HalfKind::invoked;
    std::int64_t client = 0;
    std::optional<std::uint64_t> operation;  // Jepsen's clients do one at a time
    std::string function;
    std::string key = "nil";
    Given value;
    std::int64_t time = -1;
};

struct FunctionName {
    std::string_view name;
    Function function;
};
constexpr std::array<FunctionName, 11> function_names{{{"read", Function::read},
                                                       {"get", Function::read},
                                                       {"write", Function::write},
                                                       {"put", Function::write},
                                                       {"cas", Function::cas},
                                                       {"append", Function::append},
                                                       {"enqueue", Function::enqueue},
                                                       {"dequeue", Function::dequeue},
                                                       {"add", Function::add},
                                                       {"remove", Function::remove},
                                                       {"contains", Function::contains}}};

/// Joins halves to operations.
class Assembly {
  public:
    Status take(std::size_t line, const Half& half) {
        line_ = line;
        return half.kind == HalfKind::invoked ? invoke(half) : complete(half);
    }
    Result<OperationHistory> finish() {
        std::erase_if(history_.operations,
                      [](const Operation& one) { return one.outcome == Outcome::failed; });
        return std::move(history_);
    }

  private:
    using OpenKey = std::pair<std::int64_t, std::uint64_t>;

    [[nodiscard]] Error error(const std::string& sentence) const {
        return {Failure::invalid, fmt::format("line {}: {}", line_, sentence)};
    }
    Status invoke(const Half& half) {
        Operation one;
        if (half.client < INT32_MIN || half.client > INT32_MAX) {
            return error(fmt::format("client {} is out of range", half.client));
        }
        one.client = static_cast<std::int32_t>(half.client);
        const auto name =
            std::find_if(function_names.begin(), function_names.end(),
                         [&](const FunctionName& each) { return each.name == half.function; });
        if (name == function_names.end()) {
            std::string known;
            for (const FunctionName& each : function_names) known += fmt::format(" {}", each.name);
            return error(
                fmt::format("expected a function, one of{}; found \"{}\"", known, half.function));
        }
        one.function = name->function;
        one.key = history_.intern(half.key);
        one.call = next_++;
        one.call_time = half.time;
        switch (one.function) {
            case Function::read:
            case Function::dequeue: break;
            case Function::cas:
                if (!half.value.is_list || half.value.list.size() != 2) {
                    return error("expected [old new] for cas");
                }
                one.expected = history_.intern(half.value.list[0]);
                one.input = history_.intern(half.value.list[1]);
                break;
            default:
                if (half.value.is_list) {
                    return error(fmt::format("expected one value for {}", half.function));
                }
                one.input = history_.intern(half.value.text);
                if (one.function != Function::write && one.input == nil) {
                    return error(fmt::format("expected a value for {}", half.function));
                }
        }
        const OpenKey key{half.client, half.operation.value_or(0)};
        if (!open_.emplace(key, history_.operations.size()).second) {
            return error(fmt::format("client {} invokes \"{}\" before its last operation returned",
                                     half.client, half.function));
        }
        history_.operations.push_back(one);
        return {};
    }
    Status complete(const Half& half) {
        const auto found = open_.find({half.client, half.operation.value_or(0)});
        if (found == open_.end()) {
            return error(fmt::format("client {} returns from an operation that it has not invoked",
                                     half.client));
        }
        Operation& one = history_.operations[found->second];
        open_.erase(found);
        one.return_time = half.time;
        const std::int64_t at = next_++;
        if (half.kind == HalfKind::unknown) return {};
        const bool refused = half.kind == HalfKind::failed && one.function == Function::cas;
        if (half.kind == HalfKind::failed && !refused) {
            one.outcome = Outcome::failed;
            return {};
        }
        one.outcome = Outcome::ok;
        one.ret = at;
        switch (one.function) {
            case Function::cas: one.swapped = !refused && half.value.text != "false"; return {};
            case Function::contains:
                if (half.value.text != "true" && half.value.text != "false") {
                    return error("expected true or false from contains");
                }
                one.output = history_.intern(half.value.text);
                return {};
            case Function::dequeue: one.output = history_.intern(half.value.text); return {};
            case Function::read: break;
            default: return {};
        }
        if (!half.value.is_list) {
            one.output = history_.intern(half.value.text);
            return {};
        }
        std::vector<TextId> list;
        for (const std::string& each : half.value.list) list.push_back(history_.intern(each));
        std::sort(list.begin(), list.end());
        one.list = static_cast<std::uint32_t>(history_.lists.size());
        history_.lists.push_back(std::move(list));
        return {};
    }

    OperationHistory history_;
    std::map<OpenKey, std::size_t> open_;
    std::int64_t next_ = 0;
    std::size_t line_ = 0;
};

// JSON lines.

Given given(const json& value) {
    Given out;
    out.present = true;
    const auto text = [](const json& one) {
        return one.is_null() ? std::string("nil") : one.dump();
    };
    out.is_list = value.is_array();
    if (out.is_list) {
        for (const json& each : value) out.list.push_back(text(each));
    } else {
        out.text = text(value);
    }
    return out;
}

Result<Half> json_half(std::size_t number, std::string_view text) {
    const auto error = [&](std::string_view key, std::string_view expected) {
        return Error{Failure::invalid,
                     fmt::format("line {}, key \"{}\": expected {}", number, key, expected)};
    };
    const json object = json::parse(text.begin(), text.end(), nullptr, false);
    if (!object.is_object()) {
        return Error{Failure::invalid, fmt::format("line {}: expected a JSON object", number)};
    }
    Half half;
    for (const auto& [key, value] : object.items()) {
        if (key == "time") {
            if (!value.is_number_integer()) return error(key, "an integer, nanoseconds");
            half.time = value.get<std::int64_t>();
        } else if (key == "client") {
            if (!value.is_number_integer()) return error(key, "an integer");
            half.client = value.get<std::int64_t>();
        } else if (key == "operation") {
            if (!value.is_number_unsigned()) return error(key, "an integer from 0");
            half.operation = value.get<std::uint64_t>();
        } else if (key == "function") {
            if (!value.is_string()) return error(key, "a name");
            half.function = value.get<std::string>();
        } else if (key == "key") {
            half.key = given(value).text;
        } else if (key == "input" || key == "output") {
            half.value = given(value);
        } else if (key != "kind" && key != "outcome") {
            return error(key, "no such key in an operation");
        }
    }
    const std::string kind = object.value("kind", std::string());
    if (kind == "operation_invoked") return half;
    if (kind != "operation_returned") {
        return error("kind", "operation_invoked or operation_returned");
    }
    const std::string outcome = object.value("outcome", std::string());
    if (outcome != "ok" && outcome != "failed" && outcome != "unknown") {
        return error("outcome", "ok, failed or unknown");
    }
    half.kind = outcome == "ok"       ? HalfKind::ok
                : outcome == "failed" ? HalfKind::failed
                                      : HalfKind::unknown;
    return half;
}

// EDN.

Given given(const Edn& value) {
    Given out;
    out.present = true;
    out.is_list = value.is(Edn::Type::list);
    if (out.is_list) {
        for (const Edn& each : value.items) out.list.push_back(each.written());
    } else {
        out.text = value.written();
    }
    return out;
}

Result<HalfKind> kind_of(std::size_t line, const Edn* type) {
    if (type != nullptr && type->keyword("invoke")) return HalfKind::invoked;
    if (type != nullptr && type->keyword("ok")) return HalfKind::ok;
    if (type != nullptr && type->keyword("fail")) return HalfKind::failed;
    if (type != nullptr && type->keyword("info")) return HalfKind::unknown;
    return Error{Failure::invalid,
                 fmt::format("line {}: expected :type :invoke, :ok, :fail or :info, found {}", line,
                             type == nullptr ? "nothing" : type->written())};
}

/// False when the event is no client's, e.g. the nemesis's.
Result<bool> edn_half(std::size_t line, const Edn& event, Half& half) {
    const Edn* process = event.at("process");
    if (process == nullptr || !process->is(Edn::Type::integer)) {
        if (process != nullptr && process->is(Edn::Type::keyword)) return false;
        return Error{Failure::invalid, fmt::format("line {}: expected :process, a number", line)};
    }
    Result<HalfKind> kind = kind_of(line, event.at("type"));
    if (!kind.ok()) return kind.error();
    half.kind = *kind;
    half.client = process->integer;
    if (const Edn* f = event.at("f"); f != nullptr) half.function = f->text;
    if (const Edn* key = event.at("key"); key != nullptr) half.key = key->written();
    if (const Edn* value = event.at("value"); value != nullptr) half.value = given(*value);
    const Edn* time = event.at("time");
    if (time != nullptr && time->is(Edn::Type::integer)) half.time = time->integer;
    return true;
}

Result<OperationHistory> read_edn(std::string_view text) {
    Assembly assembly;
    EdnReader reader(text);
    const auto take = [&](std::size_t line, const Edn& event) -> Status {
        Half half;
        const Result<bool> is_client = edn_half(line, event, half);
        if (!is_client.ok()) return is_client.error();
        return *is_client ? assembly.take(line, half) : Status();
    };
    while (reader.more()) {
        const std::size_t line = reader.line();
        Result<Edn> one = reader.next();
        if (!one.ok()) return one.error();
        if (!one->is(Edn::Type::list)) {
            KLAMM_TRY(take(line, *one));
            continue;
        }
        for (const Edn& each : one->items) KLAMM_TRY(take(line, each));
    }
    return assembly.finish();
}

// Log lines: `INFO  jepsen.util - 4 :invoke :cas [1 2]`; the words before the process may be
// absent.

Status read_log_line(std::size_t number, std::string_view line, Assembly& assembly) {
    constexpr std::string_view marker = "jepsen.util - ";
    const std::size_t at = line.find(marker);
    if (at != std::string_view::npos) line.remove_prefix(at + marker.size());
    EdnReader reader(line);
    std::vector<Edn> words;
    while (reader.more()) {
        Result<Edn> one = reader.next();
        if (!one.ok()) {
            return Error{Failure::invalid, fmt::format("line {}: {}", number, one.error().text)};
        }
        words.push_back(std::move(*one));
    }
    if (words.size() != 4 || !words[0].is(Edn::Type::integer) || !words[2].is(Edn::Type::keyword)) {
        return Error{Failure::invalid,
                     fmt::format("line {}: expected PROCESS :TYPE :FUNCTION VALUE", number)};
    }
    Result<HalfKind> kind = kind_of(number, &words[1]);
    if (!kind.ok()) return kind.error();
    Half half;
    half.kind = *kind;
    half.client = words[0].integer;
    half.function = words[2].text;
    half.value = given(words[3]);
    return assembly.take(number, half);
}

template <class Take>
Result<OperationHistory> read_lines(std::string_view text, Take take) {
    Assembly assembly;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        KLAMM_TRY(take(number, line, assembly));
    }
    return assembly.finish();
}

}  // namespace

Result<OperationHistory> read_operations(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return OperationHistory{};
    const std::string_view begin = text.substr(first);
    const std::size_t second = begin.find_first_not_of(" \t\r\n", 1);
    const bool map = begin[0] == '{';
    if (map && second != std::string_view::npos && begin[second] == '"') {
        return read_lines(text, [](std::size_t number, std::string_view line, Assembly& to) {
            Result<Half> half = json_half(number, line);
            return half.ok() ? to.take(number, *half) : Status(half.error());
        });
    }
    if (map || begin[0] == '[' || begin[0] == '(' || begin[0] == '#' || begin[0] == ';') {
        return read_edn(text);
    }
    return read_lines(text, [](std::size_t number, std::string_view line, Assembly& to) {
        return read_log_line(number, line, to);
    });
}

}  // namespace klamm::checkers
