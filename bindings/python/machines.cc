#include "bindings/python/machines.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "bindings/python/trouble.h"
#include "bindings/rules/quorum_cluster.h"
#include "core/base/plants.h"
#include "core/group/coordinator.h"

namespace klamm::python {

namespace {

using nlohmann::json;

/// Bytes cross as text, a character a byte.
std::string latin(const Bytes& bytes) {
    std::string text;
    for (const std::uint8_t one : bytes) {
        if (one < 0x80) {
            text += static_cast<char>(one);
        } else {
            text += static_cast<char>(0xc0 | one >> 6);
            text += static_cast<char>(0x80 | (one & 0x3f));
        }
    }
    return text;
}
Bytes unlatin(const std::string& text) {
    Bytes bytes;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto one = static_cast<std::uint8_t>(text[i]);
        if (one < 0x80)
            bytes.push_back(one);
        else
            bytes.push_back(static_cast<std::uint8_t>(one << 6 | (text.at(++i) & 0x3f)));
    }
    return bytes;
}

json text_or_null(const std::optional<std::string>& text) {
    return text ? json(*text) : json(nullptr);
}

std::optional<std::string> text_at(const json& from, const char* key) {
    if (!from.contains(key) || from.at(key).is_null()) return std::nullopt;
    return from.at(key).get<std::string>();
}

}  // namespace

struct QuorumRules::State {
    explicit State(const quorum::Options& options) : cluster(options, &plants) {}
    Plants plants;
    quorum::Cluster cluster;
};

QuorumRules::QuorumRules(const QuorumSetup& setup) {
    if (setup.replicas < 1 || setup.replicas > 9) refuse("replicas: expected 1 to 9");
    quorum::Options options;
    options.replicas = setup.replicas;
    options.dynamic = setup.dynamic;
    options.sync_logs = setup.sync_logs;
    options.sync_states = setup.sync_states;
    options.find_leader = setup.find_leader;
    options.seed = setup.seed;
    state_ = std::make_unique<State>(options);
    if (setup.plant.empty()) return;
    const auto bug = bug_from_name(setup.plant);
    if (!bug) refuse(fmt::format("there is no bug '{}'", setup.plant));
    state_->plants.plant(*bug);
}
QuorumRules::~QuorumRules() = default;

bool QuorumRules::act(const std::string& verb, std::int32_t which, std::uint32_t keep) {
    quorum::Cluster& cluster = state_->cluster;
    if (verb == "deliver" || verb == "lose") {
        if (which < 0) refuse("messages are counted from 0");
        const auto place = static_cast<std::size_t>(which);
        return verb == "lose" ? cluster.lose(place, keep != 0) : cluster.deliver(place);
    }
    if (which < 1 || which > cluster.size())
        refuse(fmt::format("there is no replica {}: there are {}", which, cluster.size()));
    if (verb == "power_off") return cluster.power_off(which, std::min(keep, 100U));
    using Act = bool (quorum::Cluster::*)(int);
    static const std::map<std::string, Act> acts = {
        {"tick", &quorum::Cluster::tick},
        {"expire", &quorum::Cluster::expire},
        {"append", &quorum::Cluster::append},
        {"sync_log", &quorum::Cluster::sync_log},
        {"sync_state", &quorum::Cluster::sync_state},
        {"kill", &quorum::Cluster::kill},
        {"restart", &quorum::Cluster::restart},
        {"snapshot", &quorum::Cluster::snapshot},
        {"resign", &quorum::Cluster::resign},
        {"shut_down", &quorum::Cluster::shut_down},
        {"add_voter", &quorum::Cluster::add_voter},
        {"remove_voter", &quorum::Cluster::remove_voter}};
    const auto found = acts.find(verb);
    if (found == acts.end()) refuse(fmt::format("nothing is called '{}' here", verb));
    return (cluster.*found->second)(which);
}

void QuorumRules::settle(std::int32_t events) { state_->cluster.settle(events); }

std::string QuorumRules::state() const {
    constexpr const char* roles[] = {"unattached", "follower", "prospective",
                                     "candidate",  "leader",   "resigned"};
    const quorum::Cluster& cluster = state_->cluster;
    json network = json::array();
    for (const quorum::Message& one : cluster.network())
        network.push_back(
            fmt::format("{} > {}  {}", one.from.value, one.to.value,
                        one.is_request ? raft::print(one.request) : raft::print(one.response)));
    json replicas = json::array();
    for (int id = 1; id <= cluster.size(); ++id) {
        const quorum::Replica& replica = cluster.at(id);
        json log = json::array();
        for (const quorum::Record& record : replica.disk.log)
            log.push_back({{"epoch", record.epoch.value},
                           {"number", record.number},
                           {"control", record.control.has_value()}});
        json one = {{"id", id},
                    {"up", replica.raft.has_value()},
                    {"log_start", replica.disk.start.value},
                    {"log", log},
                    {"flushed", replica.disk.flushed.value}};
        if (replica.raft) {
            const auto watermark = replica.raft->high_watermark();
            one["role"] = roles[replica.raft->role().index()];
            one["epoch"] = replica.raft->epoch().value;
            one["leader"] = replica.raft->leader() == no_broker
                                ? json(nullptr)
                                : json(replica.raft->leader().value);
            one["high_watermark"] = watermark ? json(watermark->value) : json(nullptr);
            one["voter"] = replica.raft->is_voter();
        }
        replicas.push_back(one);
    }
    return json{{"violation", cluster.violation()},
                {"leader", cluster.leader() == 0 ? json(nullptr) : json(cluster.leader())},
                {"committed", cluster.committed().size()},
                {"network", network},
                {"replicas", replicas}}
        .dump();
}

struct GroupRules::State {
    group::Settings settings;
    std::optional<group::Coordinator> coordinator;
    std::vector<group::GroupLogRecord> log;
    std::size_t watermark = 0;
    bool replicates = true;
    std::optional<protocol::ErrorCode> append_error;
    std::int32_t epoch = 0;
    std::uint64_t tickets = 0;
    json answers = json::array();
    Instant now{1'000'000'000};

    [[nodiscard]] Turn turn() const {
        return {now, Timestamp(1'700'000'000'000 + now.nanoseconds / 1'000'000), Draws(7), nullptr,
                nullptr};
    }
    [[nodiscard]] static Offset offset(std::size_t count) {
        return Offset(static_cast<std::int64_t>(count));
    }
    void lead();
    void settle();
    void collect();
};

void GroupRules::State::lead() {
    coordinator.emplace(settings);
    coordinator->begin_loading(LeaderEpoch(++epoch), Offset(0));
    for (const group::GroupLogRecord& record : log) {  // through Kafka's bytes, as a log has them
        const group::KeyAndValue bytes = encode(record);
        const auto value = bytes.value ? std::optional<ByteView>(*bytes.value) : std::nullopt;
        coordinator->load(*value_of(group::decode(bytes.key, value)));
    }
    coordinator->loaded_to(offset(log.size()));
    coordinator->lead(turn());
    settle();
}

void GroupRules::State::settle() {
    while (coordinator->has_write()) {
        group::Write write = coordinator->take_write();
        if (append_error) {
            coordinator->write_failed(turn(), std::move(write), *append_error);
            continue;
        }
        log.insert(log.end(), write.records.begin(), write.records.end());
        coordinator->written(turn(), std::move(write), offset(log.size() - 1));
        if (!replicates) continue;
        watermark = log.size();
        coordinator->on_high_watermark(turn(), offset(watermark));
    }
    collect();
}

namespace {

json answer_document(const group::JoinAnswer& answer) {
    json members = json::array();
    for (const auto& one : answer.members)
        members.push_back({{"id", one.id},
                           {"instance", text_or_null(one.instance)},
                           {"metadata", latin(one.metadata)}});
    return {{"kind", "join"},
            {"error", protocol::to_string(answer.error)},
            {"generation", answer.generation},
            {"protocol", text_or_null(answer.protocol)},
            {"leader", answer.leader},
            {"member", answer.member},
            {"members", members}};
}
json answer_document(const group::SyncAnswer& answer) {
    return {{"kind", "sync"},
            {"error", protocol::to_string(answer.error)},
            {"protocol", text_or_null(answer.protocol)},
            {"assignment", latin(answer.assignment)}};
}
json answer_document(const group::PlainAnswer& answer) {
    return {{"kind", "plain"}, {"error", protocol::to_string(answer.error)}};
}
json codes_document(const char* kind, protocol::ErrorCode error, const auto& each) {
    json all = json::array();
    for (const protocol::ErrorCode one : each) all.push_back(protocol::to_string(one));
    const bool of_each = error == protocol::ErrorCode::none && !each.empty();
    return {{"kind", kind},
            {"error", protocol::to_string(of_each ? each.front() : error)},
            {"each", all}};
}
json answer_document(const group::LeaveAnswer& answer) {
    return codes_document("leave", answer.error, answer.members);
}
json answer_document(const group::OffsetsAnswer& answer) {
    return codes_document("offsets", answer.error, answer.partitions);
}
json answer_document(const group::FetchAnswer& answer) {
    json rows = json::array();
    for (const auto& one : answer.partitions)
        rows.push_back({{"topic", one.topic},
                        {"partition", one.partition.value},
                        {"offset", one.offset ? json(one.offset->offset.value) : json(nullptr)},
                        {"error", protocol::to_string(one.error)}});
    return {{"kind", "fetch"}, {"error", protocol::to_string(answer.error)}, {"offsets", rows}};
}
json answer_document(const group::DescribeAnswer& answer) {
    json members = json::array();
    for (const auto& one : answer.members) members.push_back(one.id);
    return {{"kind", "describe"},
            {"error", protocol::to_string(answer.error)},
            {"state", answer.state},
            {"members", members}};
}
json answer_document(const group::ListAnswer& answer) {
    json groups = json::array();
    for (const auto& one : answer.groups) groups.push_back({one.id, one.state});
    return {{"kind", "list"}, {"error", protocol::to_string(answer.error)}, {"groups", groups}};
}

group::Command command_of(const std::string& text) {
    const json document = json::parse(text);
    const std::string verb = document.items().begin().key();
    const json& from = document.at(verb);
    const std::string group = from.value("group", "g");
    const std::string member = from.value("member", "");
    const std::int32_t generation = from.value("generation", -1);
    if (verb == "join") {
        group::Join join;
        join.group = group;
        join.member = member;
        join.instance = text_at(from, "instance");
        join.protocol_type = "consumer";
        for (const json& one : from.at("protocols"))
            join.protocols.push_back({one.at(0), unlatin(one.at(1))});
        join.session_ms = from.at("session_ms");
        join.rebalance_ms = from.at("rebalance_ms");
        join.client_id = "python";
        join.client_host = "/127.0.0.1";
        join.needs_known_member = from.value("needs_known_member", false);
        return join;
    }
    if (verb == "sync") {
        group::Sync sync;
        sync.group = group;
        sync.member = member;
        sync.generation = generation;
        sync.instance = text_at(from, "instance");
        for (const auto& [id, assignment] : from.at("assignments").items())
            sync.assignments[id] = unlatin(assignment);
        return sync;
    }
    if (verb == "heartbeat")
        return group::Heartbeat{group, generation, member, text_at(from, "instance")};
    if (verb == "leave") return group::Leave{group, {{member, text_at(from, "instance")}}};
    if (verb == "commit") {
        group::Commit commit;
        commit.group = group;
        commit.member = member;
        commit.generation = generation;
        commit.instance = text_at(from, "instance");
        for (const json& one : from.at("offsets")) {
            group::CommittedOffset offset;
            offset.offset = Offset(one.at(2).get<std::int64_t>());
            commit.partitions.push_back(
                {one.at(0), PartitionIndex(one.at(1).get<std::int32_t>()), offset});
        }
        return commit;
    }
    if (verb == "fetch") return group::Fetch{.group = group};
    if (verb == "describe") return group::Describe{group};
    if (verb == "delete") return group::Delete{group};
    refuse(fmt::format("a coordinator is not asked to '{}'", verb));
}

}  // namespace

void GroupRules::State::collect() {
    for (const group::Answer& answer : coordinator->take_answers()) {
        json one = std::visit([](const auto& body) { return answer_document(body); }, answer.body);
        one["ticket"] = answer.caller;
        answers.push_back(std::move(one));
    }
}

GroupRules::GroupRules(std::int64_t initial_delay_ms, bool replicates)
    : state_(std::make_unique<State>()) {
    if (initial_delay_ms < 0) refuse("initial_delay: expected seconds that are not below zero");
    state_->settings.initial_delay = milliseconds(initial_delay_ms);
    state_->replicates = replicates;
    state_->lead();
}
GroupRules::~GroupRules() = default;

std::uint64_t GroupRules::ask(const std::string& command) {
    State& state = *state_;
    state.coordinator->handle(state.turn(), ++state.tickets, command_of(command));
    state.settle();
    return state.tickets;
}

std::string GroupRules::take_answers() {
    return std::exchange(state_->answers, json::array()).dump();
}

void GroupRules::wait(std::int64_t duration) {
    State& state = *state_;
    if (duration < 0) refuse("time does not go back");
    const Instant until = state.now + nanoseconds(duration);
    while (state.coordinator->deadline_min() <= until) {
        state.now = std::max(state.now, state.coordinator->deadline_min());
        state.coordinator->advance(state.turn());
        state.settle();
    }
    state.now = until;
}

void GroupRules::replicate() {
    State& state = *state_;
    state.watermark = state.log.size();
    state.coordinator->on_high_watermark(state.turn(), State::offset(state.watermark));
    state.settle();
}

void GroupRules::fail_appends(std::int16_t error) {
    state_->append_error.reset();
    if (error != 0) state_->append_error = static_cast<protocol::ErrorCode>(error);
}

void GroupRules::fail_over(bool keeps_all) {
    State& state = *state_;
    state.coordinator->resign();
    state.collect();
    if (!keeps_all) state.log.resize(state.watermark);
    state.watermark = state.log.size();
    state.lead();
}

std::string GroupRules::state() const {
    const State& state = *state_;
    json groups = json::object();
    for (const auto& [id, group] : state.coordinator->groups()) {
        json members = json::array();
        for (const auto& [member, row] : group.members()) members.push_back(member);
        groups[id] = {{"state", to_string(group.state())},
                      {"generation", group.generation()},
                      {"leader", text_or_null(group.leader())},
                      {"protocol", text_or_null(group.protocol())},
                      {"members", members}};
    }
    json offsets = json::object();
    for (const auto& [id, rows] : state.coordinator->log().committed().offsets())
        for (const auto& [at, row] : rows)
            offsets[id][fmt::format("{}-{}", at.first, at.second.value)] = row.offset.value;
    return json{{"groups", groups},
                {"offsets", offsets},
                {"log_end", state.log.size()},
                {"high_watermark", state.watermark}}
        .dump();
}

}  // namespace klamm::python
