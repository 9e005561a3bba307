#include "sim/picture/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/protocol/api_versions.h"
#include "sim/run/cluster.h"
#include "sim/run/listener.h"
#include "sim/run/report.h"
#include "sim/run/token.h"

namespace klamm::sim {

namespace {

using json = nlohmann::json;

constexpr const char* kind_names[] = {"fault",     "process", "leadership", "log",
                                      "watermark", "answer",  "client",     "violation"};

std::int64_t micros(Instant at) { return at.nanoseconds / 1000; }

const char* name(facts::Outcome outcome) {
    switch (outcome) {
        case facts::Outcome::ok: return "ok";
        case facts::Outcome::failed: return "failed";
        case facts::Outcome::unknown: return "unknown";
    }
    return "?";
}

json ids(const std::vector<BrokerId>& list) {
    json out = json::array();
    for (const BrokerId id : list) out.push_back(id.value);
    return out;
}

/// Each value less the one before it: a tenth of the digits.
json deltas(const std::vector<std::int64_t>& values) {
    json out = json::array();
    std::int64_t before = 0;
    for (const std::int64_t value : values) {
        out.push_back(value - before);
        before = value;
    }
    return out;
}

template <class... Ts>
struct Overloaded : Ts... {
    using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

std::string in_words(const facts::Fact& fact) {
    return std::visit(
        Overloaded{
            [](const facts::SendInvoked& f) {
                return fmt::format("sends to partition {} with acks {} (operation {})", f.partition,
                                   f.acks, f.operation);
            },
            [](const facts::SendReturned& f) {
                return fmt::format("send {} returned {}: offset {}, error {}", f.operation,
                                   name(f.outcome), f.offset.value, f.error);
            },
            [](const facts::LatestInvoked& f) {
                return fmt::format("asks for the end of partition {} (operation {})", f.partition,
                                   f.operation);
            },
            [](const facts::LatestReturned& f) {
                return fmt::format("the end of partition {} is {} in epoch {}, {}, error {}",
                                   f.partition, f.offset.value, f.epoch.value, name(f.outcome),
                                   f.error);
            },
            [](const facts::LogStartMoved& f) {
                return fmt::format("its log now starts at {}", f.start.value);
            },
            [&](const auto&) { return describe(fact); },
        },
        fact);
}

void Story::Steps::add(Instant at, std::int64_t value) {
    if (!values.empty() && values.back() == value) return;
    times.push_back(micros(at));
    values.push_back(value);
}

void Story::begin(const World& world) {
    world_ = &world;
    for (std::uint32_t i = 0; i < world.nodes(); ++i) nodes_.push_back(world.name(NodeId(i)));
}

void Story::end(const World& world) {
    end_ = world.now();
    for (const auto& [node, index] : living_) lives_[index].to = end_;
    world_ = nullptr;
}

void Story::add(Instant time, NodeId node, Kind kind, std::string text) {
    const auto count = static_cast<std::uint32_t>(nodes_.size());
    events_.push_back({time, node == no_node ? count : node.value, kind, std::move(text)});
}

void Story::fault(Instant at, const FaultEvent& fault) {
    faults_.push_back({at, fault});
    add(at, no_node, Kind::fault, to_string(fault));
}

void Story::on_start(NodeId node, std::uint64_t incarnation) {
    living_[node.value] = lives_.size();
    lives_.push_back({node.value, world_->now(), world_->now(), {}});
    add(world_->now(), node, Kind::process, fmt::format("starts, incarnation {}", incarnation));
}

void Story::end_life(NodeId node, std::string how) {
    const auto living = living_.find(node.value);
    if (living != living_.end()) {
        lives_[living->second].to = world_->now();
        lives_[living->second].ended = how;
        living_.erase(living);
    }
    add(world_->now(), node, Kind::process, std::move(how));
}

void Story::on_stop(NodeId node, int status) {
    end_life(node, status == 0 ? "stops cleanly" : fmt::format("ends itself, status {}", status));
}

void Story::on_crash(NodeId node, CrashKind kind, const DamageReport& report) {
    std::string how = kind == CrashKind::kill    ? "is killed"
                      : kind == CrashKind::power ? "loses power"
                                                 : "loses its disk";
    for (const FileDamage& file : report.files)
        how += fmt::format("; {}: {} bytes of {} left, {} synced", file.path, file.length_after,
                           file.length_before, file.synced_length);
    end_life(node, std::move(how));
}

void Story::on_fact(NodeId node, env::ShardIndex, Instant time, const facts::Fact& fact) {
    take(fact, node, time);
    const auto kind =
        std::visit(Overloaded{
                       [](const facts::HighWatermarkMoved&) { return Kind::watermark; },
                       [](const facts::ProduceAnswered&) { return Kind::answer; },
                       [](const facts::ConsumerServed&) { return Kind::answer; },
                       [](const facts::BatchAppended&) { return Kind::log; },
                       [](const facts::LogTruncated&) { return Kind::log; },
                       [](const facts::LogStartMoved&) { return Kind::log; },
                       [](const facts::LogOpened&) { return Kind::log; },
                       [](const facts::LogFlushed&) { return Kind::log; },
                       [](const facts::LogOffline&) { return Kind::log; },
                       [](const facts::CorruptReceived&) { return Kind::log; },
                       [](const facts::SendInvoked&) { return Kind::client; },
                       [](const facts::SendReturned&) { return Kind::client; },
                       [](const facts::PollInvoked&) { return Kind::client; },
                       [](const facts::PollReturned&) { return Kind::client; },
                       [](const facts::LatestInvoked&) { return Kind::client; },
                       [](const facts::LatestReturned&) { return Kind::client; },
                       [](const auto& f) {
                           if constexpr (requires { f.diverging; })
                               return Kind::answer;  // to a follower
                           if constexpr (requires { f.group; }) return Kind::client;
                           return Kind::leadership;
                       },
                   },
                   fact);
    add(time, node, kind, in_words(fact));
}

/// What bands are made of.
void Story::take(const facts::Fact& fact, NodeId node, Instant time) {
    const auto partition = [&](const TopicPartition& which) -> Partition& {
        return partitions_[which.partition.value];
    };
    const auto replica = [&](const TopicPartition& which) -> Replica& {
        return partition(which).replicas[node.value];
    };
    const bool elsewhere = std::visit(
        [](const auto& f) {
            if constexpr (requires { f.partition.topic; }) return f.partition.topic != trial_topic;
            return false;
        },
        fact);
    if (elsewhere) return;  // the controller's own log
    std::visit(
        Overloaded{
            [&](const facts::BatchAppended& f) {
                replica(f.partition).end.add(time, f.last_offset.value + 1);
            },
            [&](const facts::LogTruncated& f) { replica(f.partition).end.add(time, f.end.value); },
            [&](const facts::LogOpened& f) { replica(f.partition).end.add(time, f.end.value); },
            [&](const facts::LogFlushed& f) {
                replica(f.partition).flushed.add(time, f.end.value);
            },
            [&](const facts::HighWatermarkMoved& f) {
                replica(f.partition).high_watermark.add(time, f.to.value);
            },
            [&](const facts::PartitionCommitted& f) {
                partition(f.partition)
                    .reigns.push_back({time, f.leader.value, f.leader_epoch.value, f.isr, f.elr,
                                       static_cast<std::uint8_t>(f.cause)});
            },
            [&](const facts::ProduceAnswered& f) {
                if (f.error != 0 || f.acks == 0) return;
                partition(f.partition)
                    .promises.push_back(
                        {time, f.base_offset.value, f.last_offset.value, f.acks != 1, false});
            },
            [&](const facts::ConsumerServed& f) {
                if (f.to <= f.from) return;
                partition(f.partition)
                    .promises.push_back({time, f.from.value, f.to.value - 1, true, true});
            },
            [](const auto&) {},
        },
        fact);
}

json Story::messages_json() const {
    std::vector<std::int64_t> left;
    json took = json::array(), from = json::array(), to = json::array(), api = json::array(),
         version = json::array(), response = json::array(), correlation = json::array(),
         bytes = json::array(), connection = json::array();
    json names = json::object();
    for (const Message& one : messages_.all()) {
        left.push_back(micros(one.left));
        took.push_back(one.arrived == instant_never ? -1 : micros(one.arrived) - micros(one.left));
        from.push_back(one.from.value);
        to.push_back(one.to.value);
        api.push_back(one.api);
        version.push_back(one.version);
        response.push_back(one.response ? 1 : 0);
        correlation.push_back(one.correlation);
        bytes.push_back(one.bytes);
        connection.push_back(one.connection);
        if (one.api >= 0)
            names[std::to_string(one.api)] = to_string(static_cast<protocol::ApiKey>(one.api));
    }
    return {{"left", deltas(left)},
            {"took", std::move(took)},
            {"from", std::move(from)},
            {"to", std::move(to)},
            {"api", std::move(api)},
            {"version", std::move(version)},
            {"bytes", std::move(bytes)},
            {"response", std::move(response)},
            {"names", std::move(names)},
            {"correlation", std::move(correlation)},
            {"connection", std::move(connection)}};
}

json Story::events_json(const RunResult& result) const {
    std::vector<Event> all = events_;
    for (const Violation& one : result.violations)
        all.push_back({one.time, static_cast<std::uint32_t>(nodes_.size()), Kind::violation,
                       fmt::format("[{}] {}", one.rule, one.sentence)});
    // Facts of a turn come when it ends, with the time of their making.
    std::stable_sort(all.begin(), all.end(),
                     [](const Event& a, const Event& b) { return a.time < b.time; });
    std::vector<std::int64_t> times;
    json node = json::array(), kind = json::array(), text = json::array();
    for (const Event& one : all) {
        times.push_back(micros(one.time));
        node.push_back(one.node);
        kind.push_back(static_cast<int>(one.kind));
        text.push_back(one.text);
    }
    return {{"time", deltas(times)},
            {"node", std::move(node)},
            {"kind", std::move(kind)},
            {"text", std::move(text)},
            {"kinds", kind_names}};
}

json Story::partition_json(std::int32_t index, const Partition& one,
                           const RunResult& result) const {
    json replicas = json::array();
    const auto steps = [](const Steps& of) {
        return json{{"time", deltas(of.times)}, {"value", deltas(of.values)}};
    };
    for (const auto& [node, replica] : one.replicas)
        replicas.push_back({{"node", node},
                            {"end", steps(replica.end)},
                            {"high_watermark", steps(replica.high_watermark)},
                            {"flushed", steps(replica.flushed)}});
    json reigns = json::array();
    for (const Reign& reign : one.reigns)
        reigns.push_back({{"from", micros(reign.from)},
                          {"leader", reign.leader},
                          {"epoch", reign.epoch},
                          {"isr", ids(reign.isr)},
                          {"elr", ids(reign.eligible)}});
    json promises = json::array();
    for (const Promise& promise : one.promises)
        promises.push_back({micros(promise.at), promise.from, promise.to,
                            promise.consumer ? 2 : (promise.strong ? 1 : 0)});
    json losses = json::array();
    for (const Loss& loss : result.bill.losses) {
        if (loss.partition.partition.value != index) continue;
        losses.push_back({{"promised", micros(loss.promised)},
                          {"lost", micros(loss.lost)},
                          {"from", loss.base_offset.value},
                          {"to", loss.last_offset.value},
                          {"rule", to_string(loss.rule)},
                          {"permitted", loss.permitted()},
                          {"sentence", to_sentence(loss, "trial")}});
    }
    return {{"name", fmt::format("trial-{}", index)},
            {"replicas", std::move(replicas)},
            {"reigns", std::move(reigns)},
            {"promises", std::move(promises)},
            {"losses", std::move(losses)}};
}

json Story::faults_json(const RunResult& result) const {
    // Healing ends what still lasts.
    const Instant healed =
        result.safety_end > Duration{} ? Instant{} + result.safety_end : instant_never;
    json all = json::array();
    for (const Fallen& one : faults_) {
        const Instant until = std::min({one.at + one.fault.duration, healed, end_});
        json targets = json::array();
        for (const std::uint32_t target : one.fault.targets)
            targets.push_back(target + 1);  // the controller is node 0, then the brokers
        all.push_back({{"at", micros(one.at)},
                       {"until", micros(std::max(until, one.at))},
                       {"kind", to_string(one.fault.kind)},
                       {"text", to_string(one.fault)},
                       {"nodes", std::move(targets)}});
    }
    return all;
}

json Story::to_json(const RunPlan& plan, const RunResult& result,
                    const std::vector<Likelihood>& likelihood) const {
    json lives = json::array();
    for (const Life& life : lives_)
        lives.push_back({{"node", life.node},
                         {"from", micros(life.from)},
                         {"to", micros(life.to)},
                         {"ended", life.ended}});
    json partitions = json::array();
    for (const auto& [index, one] : partitions_)
        partitions.push_back(partition_json(index, one, result));
    json branches = json::array();
    for (const Likelihood& one : likelihood)
        branches.push_back(
            {{"at", micros(one.moment)}, {"branches", one.branches}, {"failed", one.failed}});
    const Instant guilty = result.first_violation != instant_never ? result.first_violation
                           : result.ended.has_value()              ? result.ended->time
                                                                   : instant_never;
    json out{{"nodes", nodes_},
             {"token", to_token(plan)},
             {"verdict", to_string(result.verdict)},
             {"report", to_text(plan, result)},
             {"end", micros(end_)},
             {"healed", result.safety_end.nanoseconds / 1000},
             {"messages", messages_json()},
             {"events", events_json(result)},
             {"lives", std::move(lives)},
             {"faults", faults_json(result)},
             {"partitions", std::move(partitions)},
             {"likelihood", std::move(branches)}};
    if (guilty != instant_never)
        out["guilty"] = micros(guilty);
    else
        out["guilty"] = nullptr;
    return out;
}

}  // namespace klamm::sim
