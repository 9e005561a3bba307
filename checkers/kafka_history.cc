// An event is a map; an operation's completion repeats its actions with what they gave.
#include "checkers/kafka_history.h"

#include <fmt/format.h>

#include "checkers/edn.h"

namespace klamm::checkers {

std::uint32_t KafkaHistory::intern(std::string_view text) {
    const auto found = text_ids.find(text);
    if (found != text_ids.end()) return found->second;
    const auto id = static_cast<std::uint32_t>(texts.size());
    texts.emplace_back(text);
    text_ids.emplace(text, id);
    return id;
}

namespace {

KafkaFunction function_of(const Edn* f) {
    if (f == nullptr) return KafkaFunction::other;
    if (f->keyword("send")) return KafkaFunction::send;
    if (f->keyword("poll")) return KafkaFunction::poll;
    if (f->keyword("txn")) return KafkaFunction::txn;
    if (f->keyword("assign")) return KafkaFunction::assign;
    if (f->keyword("subscribe")) return KafkaFunction::subscribe;
    if (f->keyword("crash")) return KafkaFunction::crash;
    return KafkaFunction::other;
}

class Reader {
  public:
    Status event(std::size_t line, const Edn& event) {
        line_ = line;
        const Edn* process = event.at("process");
        const Edn* type = event.at("type");
        if (process == nullptr || type == nullptr) {
            return error("an operation with :process and :type", event);
        }
        if (!process->is(Edn::Type::integer)) return {};  // the nemesis
        if (type->keyword("invoke")) return invoke(process->integer, event);
        const auto open = open_.find(process->integer);
        if (open == open_.end()) return error("an operation that was invoked", event);
        KafkaOperation& one = history_.operations[open->second];
        open_.erase(open);
        one.ret = next_++;
        one.line = line;
        if (const Edn* time = event.at("time"); time != nullptr && time->is(Edn::Type::integer)) {
            one.time = time->integer;
        }
        if (type->keyword("ok")) {
            one.outcome = Outcome::ok;
        } else if (type->keyword("fail")) {
            one.outcome = Outcome::failed;
        } else if (!type->keyword("info")) {
            return error(":invoke, :ok, :fail or :info", *type);
        }
        // A completion without actions (an error in their place) leaves those that were asked.
        if (const Edn* value = event.at("value"); value != nullptr && acts(one, *value)) {
            one.sends.clear();
            one.reads.clear();
            KLAMM_TRY(actions(*value, one));
        }
        return rebalances(event, one);
    }
    KafkaHistory take() { return std::move(history_); }

  private:
    [[nodiscard]] Error error(std::string_view expected, const Edn& found) const {
        return {Failure::invalid, fmt::format("line {}: expected {}, found {}", line_, expected,
                                              found.written().substr(0, 60))};
    }
    static bool acts(const KafkaOperation& one, const Edn& value) {
        return value.is(Edn::Type::list) &&
               (one.function == KafkaFunction::send || one.function == KafkaFunction::poll ||
                one.function == KafkaFunction::txn);
    }
    Status invoke(std::int64_t process, const Edn& event) {
        KafkaOperation one;
        one.process = process;
        one.function = function_of(event.at("f"));
        one.call = next_++;
        one.line = line_;
        const Edn* value = event.at("value");
        if (value != nullptr && acts(one, *value)) KLAMM_TRY(actions(*value, one));
        if (value != nullptr && value->is(Edn::Type::list) &&
            (one.function == KafkaFunction::assign || one.function == KafkaFunction::subscribe)) {
            for (const Edn& key : value->items) one.keys.push_back(history_.intern(key.written()));
        }
        if (!open_.emplace(process, history_.operations.size()).second) {
            return error("the completion of the process's last operation", event);
        }
        history_.operations.push_back(std::move(one));
        return {};
    }
    Status actions(const Edn& value, KafkaOperation& one) {
        for (const Edn& action : value.items) {
            if (!action.is(Edn::Type::list) || action.items.empty()) {
                return error("[:send key value] or [:poll ...]", action);
            }
            if (action.items[0].keyword("send")) {
                KLAMM_TRY(send(action, one));
            } else if (action.items[0].keyword("poll")) {
                if (action.items.size() > 1) KLAMM_TRY(poll(action.items[1], one));
            } else {
                return error(":send or :poll", action.items[0]);
            }
        }
        return {};
    }
    Status send(const Edn& action, KafkaOperation& one) {
        if (action.items.size() != 3) return error("[:send key value]", action);
        KafkaRecord record;
        record.key = history_.intern(action.items[1].written());
        const Edn& value = action.items[2];
        if (value.is(Edn::Type::list) && value.items.size() == 2) {
            if (value.items[0].is(Edn::Type::integer)) record.offset = value.items[0].integer;
            record.value = history_.intern(value.items[1].written());
        } else {
            record.value = history_.intern(value.written());
        }
        one.sends.push_back(record);
        return {};
    }
    Status poll(const Edn& polled, KafkaOperation& one) {
        if (polled.is(Edn::Type::null)) return {};
        if (!polled.is(Edn::Type::map)) return error("{key [[offset value] ...]}", polled);
        for (std::size_t i = 0; i + 1 < polled.items.size(); i += 2) {
            const std::uint32_t key = history_.intern(polled.items[i].written());
            for (const Edn& pair : polled.items[i + 1].items) {
                if (pair.items.size() != 2 || !pair.items[0].is(Edn::Type::integer)) {
                    return error("[offset value]", pair);
                }
                one.reads.push_back(
                    {key, history_.intern(pair.items[1].written()), pair.items[0].integer});
            }
        }
        return {};
    }
    Status rebalances(const Edn& event, KafkaOperation& one) {
        const Edn* log = event.at("rebalance-log");
        if (log == nullptr) return {};
        for (const Edn& each : log->items) {
            const Edn* keys = each.at("keys");
            if (keys == nullptr) continue;
            for (const Edn& key : keys->items) {
                one.rebalanced.push_back(history_.intern(key.written()));
            }
        }
        return {};
    }

    KafkaHistory history_;
    std::map<std::int64_t, std::size_t> open_;  // by process
    std::int64_t next_ = 0;
    std::size_t line_ = 0;
};

}  // namespace

Result<KafkaHistory> read_kafka_edn(std::string_view text) {
    Reader reader;
    KLAMM_TRY(read_events(text, reader));
    return reader.take();
}

}  // namespace klamm::checkers
