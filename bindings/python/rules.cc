#include "bindings/python/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "bindings/python/trouble.h"
#include "core/base/plants.h"
#include "core/replica/leader.h"

namespace klamm::python {

namespace {

using nlohmann::json;

const TopicPartition rules_partition{uuid_from_halves(1, 2), PartitionIndex(0)};

json numbers(const metadata::BrokerIds& ids) {
    json all = json::array();
    for (const BrokerId id : ids) all.push_back(id.value);
    return all;
}

json proposal_of(const replica::IsrProposal& proposal) {
    json isr = json::array();
    for (const replica::IsrMember& member : proposal.isr) isr.push_back(member.broker.value);
    return {
        {"isr", isr},
        {"joining", proposal.joining == no_broker ? json(nullptr) : json(proposal.joining.value)}};
}

json document_of(const replica::LeaderEffects& effects) {
    json out = {{"moved", nullptr}, {"propose", nullptr}};
    if (effects.moved) out["moved"] = {effects.moved->from.value, effects.moved->to.value};
    if (effects.propose) out["propose"] = proposal_of(*effects.propose);
    return out;
}

metadata::BrokerIds ids_of(const std::vector<std::int32_t>& from) {
    metadata::BrokerIds ids;
    for (const std::int32_t one : from) ids.push_back(BrokerId(one));
    return ids;
}

}  // namespace

struct LeaderRules::State {
    metadata::ClusterImage image;
    Plants plants;
    Instant now;
    replica::LogEnds log;
    replica::LeaderSettings settings;
    std::optional<replica::LeaderState> leader;

    void put(const metadata::Change& change) { check(image.apply(change, image.offset() + 1)); }
    [[nodiscard]] Turn turn() { return {now, Timestamp(0), Draws(0), &plants, nullptr}; }
    void check_replica(std::int32_t broker) const {
        const metadata::BrokerIds& all = image.partition(rules_partition)->replicas;
        if (std::find(all.begin(), all.end(), BrokerId(broker)) == all.end())
            refuse(fmt::format("broker {} is no replica", broker));
    }
};

LeaderRules::LeaderRules(const LeaderSetup& setup) : state_(std::make_unique<State>()) {
    State& state = *state_;
    if (setup.replicas.empty()) refuse("replicas: expected at least one broker");
    for (std::size_t i = 0; i < setup.replicas.size(); ++i)
        if (setup.replicas[i] < 0 || (i > 0 && setup.replicas[i] <= setup.replicas[i - 1]))
            refuse("replicas: expected broker ids that ascend");
    const auto has = [](const auto& ids, std::int32_t id) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    const auto assigned = [&](std::int32_t id) { return has(setup.replicas, id); };
    if (!has(setup.isr, setup.replicas.front()) ||
        !std::all_of(setup.isr.begin(), setup.isr.end(), assigned) ||
        !std::is_sorted(setup.isr.begin(), setup.isr.end()))
        refuse("isr: expected replicas that ascend, the leader among them");
    if (setup.log_end < 0 || setup.high_watermark < 0 || setup.high_watermark > setup.log_end)
        refuse("expected 0 <= high_watermark <= log_end");
    if (setup.min_isr < 1) refuse("min_isr: expected at least 1");
    if (!setup.plant.empty()) {
        const auto bug = bug_from_name(setup.plant);
        if (!bug) refuse(fmt::format("there is no bug '{}'", setup.plant));
        state.plants.plant(*bug);
    }
    for (const std::int32_t id : setup.replicas) {
        metadata::BrokerRegistered registered;
        registered.broker = BrokerId(id);
        registered.incarnation = uuid_from_halves(7, static_cast<std::uint64_t>(id));
        registered.epoch = BrokerEpoch(state.image.offset() + 1);
        registered.fenced = false;
        state.put(registered);
    }
    state.put(metadata::TopicCreated{rules_partition.topic, "orders"});
    metadata::PartitionCreated created;
    created.partition = rules_partition;
    created.replicas = ids_of(setup.replicas);
    created.isr = ids_of(setup.isr);
    created.leader = BrokerId(setup.replicas.front());
    state.put(created);
    state.log = {Offset(0), Offset(setup.log_end), Offset(setup.log_end)};
    state.settings = {nanoseconds(setup.lag_max_ns), setup.min_isr, setup.flush_each};
    state.leader.emplace(created.leader, rules_partition, *state.image.partition(rules_partition),
                         state.settings, state.log, Offset(setup.high_watermark), state.now);
    state.leader->begin(state.turn(), state.image);
}
LeaderRules::~LeaderRules() = default;

std::string LeaderRules::append(std::int64_t count) {
    State& state = *state_;
    if (count < 0) refuse("append: expected a number of records");
    state.log.end = state.log.end + count;
    if (!state.settings.flush_each) state.log.flushed = state.log.end;
    return document_of(state.leader->on_log(state.turn(), state.image, state.log)).dump();
}

std::string LeaderRules::flush() {
    State& state = *state_;
    state.log.flushed = state.log.end;
    return document_of(state.leader->on_log(state.turn(), state.image, state.log)).dump();
}

std::string LeaderRules::fetch(std::int32_t replica, std::int64_t offset) {
    State& state = *state_;
    state.check_replica(replica);
    if (offset < 0) refuse("fetch: expected an offset");
    if (BrokerId(replica) == state.leader->self()) refuse("fetch: the leader does not fetch");
    replica::FollowerFetch fetch;
    fetch.replica = BrokerId(replica);
    fetch.broker_epoch = state.image.broker(fetch.replica)->epoch;
    fetch.current_leader_epoch = state.leader->epoch();
    fetch.fetch_offset = Offset(offset);
    const replica::FetchDecision decision =
        state.leader->on_follower_fetch(state.turn(), state.image, fetch);
    json out = document_of(decision.effects);
    out["error"] = protocol::to_string(decision.error);
    return out.dump();
}

std::string LeaderRules::wait(std::int64_t duration) {
    State& state = *state_;
    if (duration < 0) refuse("time does not go back");
    state.now = state.now + nanoseconds(duration);
    return document_of(state.leader->check_lag(state.turn(), state.image)).dump();
}

std::string LeaderRules::answer(bool commit, std::int16_t error) {
    State& state = *state_;
    if (!state.leader->in_flight()) refuse("answer: no proposal is in flight");
    const replica::IsrProposal proposal = *state.leader->in_flight();
    replica::AlterPartitionAnswer answer;
    answer.error = static_cast<protocol::ErrorCode>(error);
    if (commit) {
        metadata::PartitionChanged change;
        change.partition = rules_partition;
        change.isr.emplace();
        for (const replica::IsrMember& member : proposal.isr) change.isr->push_back(member.broker);
        state.put(change);
        const metadata::PartitionImage& after = *state.image.partition(rules_partition);
        answer = {protocol::ErrorCode::none, after.leader, after.leader_epoch,
                  after.partition_epoch, after.isr};
    }
    return document_of(
               state.leader->on_alter_partition_answer(state.turn(), state.image, proposal, answer))
        .dump();
}

std::string LeaderRules::fence(std::int32_t broker, bool fenced) {
    State& state = *state_;
    state.check_replica(broker);
    metadata::BrokerChanged change;
    change.broker = BrokerId(broker);
    change.epoch = state.image.broker(change.broker)->epoch;
    change.fenced = fenced;
    state.put(change);
    return document_of(state.leader->on_surroundings(state.turn(), state.image, state.settings))
        .dump();
}

std::string LeaderRules::acks_all(std::int64_t required) const {
    const auto answer = state_->leader->acks_all_answer(state_->turn(), Offset(required));
    return answer ? protocol::to_string(*answer) : "";
}

std::string LeaderRules::admit(std::int16_t acks) const {
    return protocol::to_string(state_->leader->admit_produce(acks));
}

std::string LeaderRules::state() const {
    const replica::LeaderState& leader = *state_->leader;
    json out = {{"leader", leader.self().value},
                {"epoch", leader.epoch().value},
                {"epoch_start", leader.epoch_start().value},
                {"log_end", leader.log().end.value},
                {"flushed", leader.log().flushed.value},
                {"high_watermark", leader.high_watermark().value},
                {"isr", numbers(leader.committed_isr())},
                {"maximal_isr", numbers(leader.maximal_isr())},
                {"effective_min_isr", leader.effective_min_isr()},
                {"in_flight", leader.in_flight() ? proposal_of(*leader.in_flight()) : json()}};
    json& ends = out["follower_ends"] = json::object();
    for (const auto& [broker, remote] : leader.remotes())
        ends[std::to_string(broker.value)] = remote.log_end.value;
    return out.dump();
}

}  // namespace klamm::python
