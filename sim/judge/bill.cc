// The bill in words and as JSON.
#include "sim/judge/bill.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "checkers/violation.h"
#include "core/base/assert.h"

namespace klamm::sim {

namespace {

using checkers::seconds_text;

const char* meaning(Rule rule) {
    switch (rule) {
        case Rule::weak_promise: return "acks=1, never below the high watermark";
        case Rule::unclean: return "unclean election";
        case Rule::last_known: return "last known leader elected";
        case Rule::sole_damaged: return "the only ISR member came back short through damage";
        case Rule::forbidden: return "forbidden";
        case Rule::count_: break;
    }
    KLAMM_UNREACHABLE();
}

const char* to_string(PromiseKind kind) {
    switch (kind) {
        case PromiseKind::none: return "none";
        case PromiseKind::weak: return "acks=1";
        case PromiseKind::acks_all: return "acks=all";
        case PromiseKind::consumer: return "consumer";
    }
    KLAMM_UNREACHABLE();
}

}  // namespace

const char* to_string(Rule rule) {
    switch (rule) {
        case Rule::weak_promise: return "O1";
        case Rule::unclean: return "O2";
        case Rule::last_known: return "O3";
        case Rule::sole_damaged: return "O4";
        case Rule::forbidden: return "O5";
        case Rule::count_: break;
    }
    KLAMM_UNREACHABLE();
}

std::int64_t Bill::records_permitted() const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < rule_count; ++i) {
        if (static_cast<Rule>(i) != Rule::forbidden) sum += records_lost[i];
    }
    return sum;
}

std::string to_sentence(const Loss& loss, const std::string& topic) {
    const bool one = loss.base_offset == loss.last_offset;
    std::string out =
        one ? fmt::format("offset {}", loss.base_offset.value)
            : fmt::format("offsets {} to {}", loss.base_offset.value, loss.last_offset.value);
    out += fmt::format(" of {}-{} {}", topic, loss.partition.partition.value, one ? "was" : "were");
    out += loss.promise == PromiseKind::consumer
               ? " served to a consumer"
               : fmt::format(" acknowledged with {}", to_string(loss.promise));
    out += fmt::format(" at {} and {} gone at {}: broker {} leads epoch {} without {}",
                       seconds_text(loss.promised.nanoseconds), one ? "is" : "are",
                       seconds_text(loss.lost.nanoseconds), loss.leader.value,
                       loss.leader_epoch.value, one ? "it" : "them");
    out += fmt::format(" ({}: {}{}; batch epoch {}, metadata offset {}", to_string(loss.rule),
                       meaning(loss.rule), loss.avoidable ? ", avoidable" : "", loss.epoch.value,
                       loss.metadata_offset);
    if (loss.fault_node != no_broker) {
        out += fmt::format(
            ", after {} on broker {} at {}",
            loss.fault == fault_none ? std::string("a fault") : fmt::format("fault {}", loss.fault),
            loss.fault_node.value, seconds_text(loss.fault_time.nanoseconds));
    }
    return out + ")";
}

std::string to_text(const Bill& bill, const std::string& topic, std::size_t losses_max) {
    std::string out = fmt::format("records promised   {}\n", bill.records_promised);
    out += fmt::format("  only with acks=1 {}\n", bill.records_weak);
    out += fmt::format("  ended lawfully   {}\n", bill.records_ended);
    out += fmt::format("  stranded         {}\n", bill.records_stranded);
    out += fmt::format("lost and permitted {}\n", bill.records_permitted());
    for (std::size_t i = 0; i < rule_count; ++i) {
        const auto rule = static_cast<Rule>(i);
        if (rule == Rule::forbidden || bill.records_lost[i] == 0) continue;
        out += fmt::format("  {} {}: {}", to_string(rule), meaning(rule), bill.records_lost[i]);
        if (rule != Rule::weak_promise) {
            out += fmt::format(", of them avoidable {}", bill.records_avoidable[i]);
        }
        out += '\n';
    }
    out += fmt::format("lost and forbidden {}\n", bill.records_forbidden());
    std::size_t shown = 0;
    for (const bool permitted : {false, true}) {  // what is red comes first
        for (const Loss& loss : bill.losses) {
            if (loss.permitted() != permitted || shown == losses_max) continue;
            ++shown;
            out += to_sentence(loss, topic) + "\n";
        }
    }
    if (shown < bill.losses.size()) {
        out += fmt::format("… and {} more losses\n", bill.losses.size() - shown);
    }
    return out;
}

nlohmann::json to_json(const Bill& bill) {
    nlohmann::json rules = nlohmann::json::object();
    for (std::size_t i = 0; i < rule_count; ++i) {
        rules[to_string(static_cast<Rule>(i))] = {{"lost", bill.records_lost[i]},
                                                  {"avoidable", bill.records_avoidable[i]}};
    }
    nlohmann::json losses = nlohmann::json::array();
    for (const Loss& loss : bill.losses) {
        losses.push_back({{"topic_id", klamm::to_string(loss.partition.topic)},
                          {"partition", loss.partition.partition.value},
                          {"epoch", loss.epoch.value},
                          {"base_offset", loss.base_offset.value},
                          {"last_offset", loss.last_offset.value},
                          {"crc", loss.crc},
                          {"promise", to_string(loss.promise)},
                          {"promised_ns", loss.promised.nanoseconds},
                          {"promised_by", loss.promised_by.value},
                          {"rule", to_string(loss.rule)},
                          {"avoidable", loss.avoidable},
                          {"lost_ns", loss.lost.nanoseconds},
                          {"leader", loss.leader.value},
                          {"leader_epoch", loss.leader_epoch.value},
                          {"metadata_offset", loss.metadata_offset},
                          {"fault", loss.fault},
                          {"fault_ns", loss.fault_time.nanoseconds},
                          {"fault_node", loss.fault_node.value}});
    }
    return {{"records_promised", bill.records_promised},
            {"records_weak", bill.records_weak},
            {"records_ended", bill.records_ended},
            {"records_stranded", bill.records_stranded},
            {"records_permitted", bill.records_permitted()},
            {"records_forbidden", bill.records_forbidden()},
            {"forbidden_events", bill.forbidden_events},
            {"rules", rules},
            {"losses", losses}};
}

}  // namespace klamm::sim
