// The checkers as C functions, for Python's ctypes and whoever else can load a library: a history's
// text in, a judgement as JSON out. What is not a history is an answer, too: {"error": "line 3 …"}.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "checkers/binary.h"
#include "checkers/jsonl.h"
#include "checkers/kafka_checker.h"
#include "checkers/linearizability.h"
#include "checkers/log_checker.h"
#include "checkers/operation_reader.h"
#include "checkers/service_checker.h"
#include "checkers/timeline.h"
#include "checkers/transaction_checker.h"

namespace klamm::checkers {

namespace {

using nlohmann::json;
using Choices = std::map<std::string, std::string, std::less<>>;

json refused(const std::string& why) { return {{"error", why}}; }

json found(const std::string& name, const std::string& sentence, bool lawful = false,
           const std::string& drawing = {}) {
    return {{"name", name}, {"sentence", sentence}, {"lawful", lawful}, {"drawing", drawing}};
}

json judge_logs(std::string_view text, const Choices& choices) {
    Options options;
    options.idempotent = choices.count("not_idempotent") == 0;
    options.reads = choices.count("strict") > 0 ? Reads::strict : Reads::kafka;
    LogChecker checker(options);
    ServiceChecker services;
    std::int64_t time = 0;
    const auto feed = [&](const Event& event) {
        time = event.time;
        checker.feed(event);
        services.feed(event);
    };
    const Status read =
        text.starts_with(binary_magic) ? read_binary(text, feed) : read_events(text, feed);
    if (!read.ok()) return refused(read.error().text);
    checker.finish(time);
    services.finish(time);
    json out{{"kind", "log"}, {"violations", json::array()}};
    for (const Violation& one : checker.violations()) {
        out["violations"].push_back(found(to_string(one.code), one.sentence));
    }
    for (const ServiceViolation& one : services.violations()) {
        out["violations"].push_back(found(one.name, one.sentence));
    }
    const Totals& totals = checker.totals();
    out["red"] = totals.violations + services.violations().size() > 0;
    out["totals"] = {{"events", totals.events},
                     {"sends", totals.sends},
                     {"acknowledged", totals.acknowledged},
                     {"polls", totals.polls},
                     {"records_read", totals.records_read},
                     {"stale", totals.stale}};
    return out;
}

json judge_kafka(std::string_view text, const Choices& choices) {
    const auto history = read_kafka_edn(text);
    if (!history.ok()) return refused(history.error().text);
    KafkaOptions options;
    options.strict = choices.count("strict") > 0;
    options.idempotent = choices.count("not_idempotent") == 0;
    options.read_committed = choices.count("read_uncommitted") == 0;
    options.compacted = choices.count("compacted") > 0;
    const KafkaJudgement judgement = check_kafka(*history, options);
    json out{{"kind", "kafka"}, {"red", judgement.found > 0}, {"violations", json::array()}};
    for (const KafkaAnomaly& one : judgement.anomalies) {
        out["violations"].push_back(found(one.name, one.sentence, one.lawful));
    }
    out["totals"] = {{"operations", judgement.operations},
                     {"sends", judgement.sends},
                     {"records_read", judgement.records_read},
                     {"stale", judgement.stale}};
    return out;
}

json judge_transactions(std::string_view text, const Choices& choices) {
    const auto history = read_transactions(text);
    if (!history.ok()) return refused(history.error().text);
    TransactionOptions options;
    const auto isolation = choices.find("isolation");
    if (isolation != choices.end() &&
        !isolation_of(isolation->second, options.isolation, options.order)) {
        return refused("isolation \"" + isolation->second + "\": no such level");
    }
    const TransactionJudgement judgement = check_transactions(*history, options);
    json out{{"kind", "transactions"}, {"red", judgement.found > 0}, {"violations", json::array()}};
    for (const TransactionAnomaly& one : judgement.anomalies) {
        out["violations"].push_back(found(one.name, one.sentence, one.lawful, one.drawing));
    }
    out["ruled_out"] = judgement.ruled_out;
    out["totals"] = {{"transactions", judgement.transactions},
                     {"appends", judgement.appends},
                     {"reads", judgement.reads},
                     {"elements_read", judgement.elements_read}};
    return out;
}

json judge_operations(std::string_view text, const std::string& name) {
    const auto model = model_of(name);
    if (!model) return refused("model \"" + name + "\": expected register, kv, queue or set");
    const auto history = read_operations(text);
    if (!history.ok()) return refused(history.error().text);
    const std::int64_t unknown = first_unknown(*model, *history);
    if (unknown >= 0) {
        const Operation& one = history->operations[static_cast<std::size_t>(unknown)];
        return refused("a " + name + " has no \"" + describe(*history, one) + "\"");
    }
    const Linearizability result = check_linearizability(*model, *history);
    json out{{"kind", name},
             {"red", result.verdict == Verdict::not_linearizable},
             {"decided", result.verdict != Verdict::unknown},
             {"violations", json::array()},
             {"totals", {{"operations", history->operations.size()}, {"parts", result.parts}}}};
    if (result.verdict == Verdict::not_linearizable) {
        out["violations"].push_back(found("not-linearizable", result.counterexample.sentence, false,
                                          draw(*history, result.counterexample.operations)));
    }
    return out;
}

/// Whether a text is EDN: a map that opens with a keyword, or anything that is no JSON object.
bool written_as_edn(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || text.starts_with(binary_magic)) return false;
    if (text[first] != '{') return true;
    const std::size_t second = text.find_first_not_of(" \t\r\n", first + 1);
    return second != std::string_view::npos && text[second] == ':';
}

json judge(std::string_view text, const Choices& choices) {
    const auto model = choices.find("model");
    if (model != choices.end() && model->second != "log") {
        return judge_operations(text, model->second);
    }
    if (tells_transactions(text)) return judge_transactions(text, choices);
    return written_as_edn(text) ? judge_kafka(text, choices) : judge_logs(text, choices);
}

}  // namespace

}  // namespace klamm::checkers

extern "C" {

/// `choices` are lines "name=value". The answer ends with a zero byte and is the caller's, to be
/// given to klamm_checkers_free.
__attribute__((visibility("default"))) char* klamm_checkers_judge(const char* text,
                                                                  std::size_t size,
                                                                  const char* choices) {
    klamm::checkers::Choices all;
    for (std::string_view rest = choices; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos) {
            all.emplace(line.substr(0, equals), line.substr(equals + 1));
        }
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    // Bytes of a history that are no UTF-8 are shown as such.
    const std::string out = klamm::checkers::judge({text, size}, all)
                                .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    char* answer = static_cast<char*>(std::malloc(out.size() + 1));
    if (answer != nullptr) std::memcpy(answer, out.c_str(), out.size() + 1);
    return answer;
}

__attribute__((visibility("default"))) void klamm_checkers_free(char* answer) { std::free(answer); }
}
