#include "sim/scenario/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "sim/scenario/count_names.h"
#include "sim/scenario/located_json.h"
#include "sim/scenario/parse_step.h"
#include "sim/scenario/read_words.h"
#include "sim/scenario/spec.h"
#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

constexpr std::uint32_t first_producer = 1;
constexpr std::uint32_t first_consumer = 50;
constexpr std::uint32_t first_group_member = 66;
constexpr std::size_t members_max = 24;  // others have the numbers from 90 on

std::int64_t integer_of(const Located& object, std::string_view key, std::int64_t otherwise) {
    const Located* found = object.find(key);
    return found == nullptr ? otherwise : found->integer;
}

bool flag_of(const Located& object, std::string_view key, bool otherwise) {
    const Located* found = object.find(key);
    return found == nullptr ? otherwise : found->boolean;
}

std::string text_of(const Located& object, std::string_view key, std::string_view otherwise) {
    const Located* found = object.find(key);
    return found == nullptr ? std::string(otherwise) : found->text;
}

const Located& object_of(const Located& object, std::string_view key) {
    static const Located empty;
    const Located* found = object.find(key);
    return found == nullptr ? empty : *found;
}

/// Sets each option of the object by Kafka's name.
template <class Options>
void take_options(const Located& object, Options& options) {
    for (const LocatedMember& one : object.members) {
        const Status status = config::set(options, one.key, option_text(one.value));
        if (!status) throw ParseError{one.line, status.error().text};
    }
}

Duration duration_of(const Located& object, std::string_view key, Duration otherwise) {
    const Located* found = object.find(key);
    if (found == nullptr) return otherwise;
    const Duration duration = *read_duration(found->text);
    if (duration.nanoseconds < 0)
        throw ParseError{found->line, fmt::format("\"{}\": expected a duration that is not below "
                                                  "zero, found \"{}\"",
                                                  key, found->text)};
    return duration;
}

/// Kafka's timers divided by about ten: a scenario of some seconds then holds elections.
void shorten_timers(config::BrokerOptions& broker) {
    broker.broker_session_timeout_ms = 1'000;
    broker.broker_heartbeat_interval_ms = 200;
    broker.replica_lag_time_max_ms = 1'000;
    broker.replica_fetch_wait_max_ms = 200;
    broker.replica_fetch_backoff_ms = 50;
    broker.request_timeout_ms = 1'000;
    broker.replica_socket_timeout_ms = 1'000;
}

void take_cluster(const Located& root, Scenario& scenario) {
    const Located& cluster = object_of(root, "cluster");
    ClusterPlan& plan = scenario.cluster;
    const auto brokers = static_cast<std::size_t>(integer_of(cluster, "brokers", 3));
    plan.shards.assign(brokers, static_cast<env::ShardIndex>(integer_of(cluster, "shards", 1)));
    plan.clocks.assign(brokers, {});
    plan.controllers = static_cast<std::uint32_t>(integer_of(cluster, "controllers", 0));
    plan.controller_clocks.assign(plan.controllers, {});
    if (cluster.find("snapshot_bytes") != nullptr) {
        plan.quorum_snapshot_bytes =
            static_cast<std::uint64_t>(integer_of(cluster, "snapshot_bytes", 0));
        plan.quorum_retention_bytes = 0;
        plan.quorum_segment_bytes = plan.quorum_snapshot_bytes;
        plan.quorum_slice_records = 3;
    }
    plan.partitions = static_cast<std::uint32_t>(integer_of(cluster, "partitions", 1));
    scenario.racks = static_cast<std::size_t>(integer_of(cluster, "racks", 0));
    for (std::size_t i = 0; scenario.racks > 0 && i < brokers; ++i)
        plan.racks.push_back(static_cast<std::uint32_t>(1 + i % scenario.racks));
    plan.eligible_leader_replicas = flag_of(cluster, "eligible_leader_replicas", true);
    if (text_of(cluster, "timers", "short") == "short") shorten_timers(plan.broker);
    take_options(object_of(cluster, "options"), plan.broker);
    if (const Status status = config::check(plan.broker); !status)
        throw ParseError{object_of(cluster, "options").line, status.error().text};
    if (root.find("members") != nullptr) {
        plan.broker.group_min_session_timeout_ms =
            std::min(plan.broker.group_min_session_timeout_ms, 500);
        if (object_of(cluster, "options").find("group.initial.rebalance.delay.ms") == nullptr)
            plan.broker.group_initial_rebalance_delay_ms = 200;
    }
    plan.topic = plan.broker.topic;
    plan.topic.min_insync_replicas = 2;
    take_options(object_of(root, "topic"), plan.topic);
    plan.broker.topic = plan.topic;
    plan.unclean_check_interval = seconds(5);

    const Located& network = object_of(root, "network");
    plan.network.link.delay_base = duration_of(network, "delay", microseconds(200));
    plan.network.link.delay_mean = duration_of(network, "jitter", microseconds(200));
    plan.network.window_bytes_min =
        static_cast<std::uint64_t>(integer_of(network, "window_bytes", 65'536));
    plan.network.window_bytes_max = plan.network.window_bytes_min;
    plan.network.break_timeout_min = duration_of(network, "breaks_after", seconds(5));
    plan.network.break_timeout_max = plan.network.break_timeout_min * 2;
    plan.network.connect_timeout_min = milliseconds(500);
    plan.network.connect_timeout_max = seconds(1);
    plan.network.retransmit_mean = milliseconds(50);
    const Located* lag = network.find("ranges_lag");
    plan.network.file_range_lag_rate = lag == nullptr ? 0 : per_million;
    plan.network.file_range_lag_mean = duration_of(network, "ranges_lag", milliseconds(1));
    // Without a cache every answer is a file range.
    plan.tail_cache_bytes = lag == nullptr ? 1 << 20 : 0;

    const Located& disks = object_of(root, "disks");
    const std::string unsynced = text_of(disks, "unsynced", "drawn");
    if (unsynced != "drawn") {
        const bool kept = unsynced == "kept";
        plan.disk.unit_keep_rate = kept ? per_million : 0;
        plan.disk.unit_tear_rate = unsynced == "torn" ? per_million : 0;
        plan.disk.name_keep_rate = unsynced == "lost" ? 0 : per_million;
        plan.disk.truncate_keep_rate = unsynced == "lost" ? 0 : per_million;
    }
    plan.disk.crash_mode = text_of(disks, "journal", "posix") == "ordered" ? CrashMode::ext4_ordered
                                                                           : CrashMode::posix;
    plan.disk.sync_mean = duration_of(disks, "sync", milliseconds(1));
}

config::ClientOptions client_options(const Scenario& scenario) {
    config::ClientOptions options;
    for (std::size_t i = 1; i <= scenario.cluster.shards.size(); ++i)
        options.bootstrap_servers.push_back(fmt::format("broker-{}:9092", i));
    options.request_timeout_ms = 1'000;
    options.metadata_max_age_ms = 1'000;
    options.retry_backoff_ms = 50;
    options.retry_backoff_max_ms = 200;
    return options;
}

void take_pacing(const Located& client, Duration every, const Scenario& scenario, Duration begins,
                 workload::Pacing& pacing) {
    pacing.start = duration_of(client, "begins", begins);
    const Duration least = std::min(every, microseconds(100));
    pacing.gap = {least, every - least};
    pacing.stop_after = std::min(duration_of(client, "ends", scenario.length), scenario.length);
    pacing.operations = static_cast<std::uint32_t>(std::min<std::int64_t>(
        scenario.length.nanoseconds / std::max<std::int64_t>(every.nanoseconds / 4, 1) + 10,
        2'000'000));
}

void take_producer(const Located& client, Scenario& scenario) {
    workload::ProducerWorkload producer;
    producer.client =
        first_producer + static_cast<std::uint32_t>(scenario.workload.producers.size());
    producer.partitions = static_cast<std::int32_t>(scenario.cluster.partitions);
    producer.options.client = client_options(scenario);
    producer.options.delivery_timeout_ms = 60'000;
    producer.options.linger_ms = 0;
    const std::string acks = text_of(client, "acks", "all");
    producer.options.acks = static_cast<std::int16_t>(acks == "all" ? -1 : acks == "1" ? 1 : 0);
    producer.options.enable_idempotence = acks == "all";
    take_options(object_of(client, "options"), producer.options);
    if (const Status status = config::check(producer.options); !status)
        throw ParseError{client.line, status.error().text};
    take_pacing(client, duration_of(client, "every", milliseconds(10)), scenario, milliseconds(200),
                producer.pacing);
    producer.records_max = static_cast<std::uint32_t>(integer_of(client, "records", 1));
    producer.value_bytes_max = static_cast<std::uint32_t>(integer_of(client, "value_bytes", 64));
    producer.keys = static_cast<std::uint32_t>(integer_of(client, "keys", 0));
    producer.skewed = text_of(client, "skew", "even") == "first";
    scenario.workload.producers.push_back(std::move(producer));
}

void take_consumer(const Located& client, Scenario& scenario) {
    workload::ConsumerWorkload consumer;
    consumer.client =
        first_consumer + static_cast<std::uint32_t>(scenario.workload.consumers.size());
    consumer.partitions = static_cast<std::int32_t>(scenario.cluster.partitions);
    consumer.options.client = client_options(scenario);
    consumer.options.auto_offset_reset = config::OffsetReset::earliest;
    consumer.options.fetch_max_wait_ms = 100;
    take_options(object_of(client, "options"), consumer.options);
    take_pacing(client, duration_of(client, "every", milliseconds(50)), scenario, milliseconds(300),
                consumer.pacing);
    scenario.workload.consumers.push_back(std::move(consumer));
}

void take_members(const Located& one, Scenario& scenario) {
    for (std::int64_t left = integer_of(one, "count", 1); left > 0; --left) {
        const auto number = static_cast<std::uint32_t>(scenario.workload.members.size());
        if (number >= members_max)
            throw ParseError{one.line, fmt::format("at most {} members", members_max)};
        workload::MemberWorkload member;
        member.client = first_group_member + number;
        member.partitions = static_cast<std::int32_t>(scenario.cluster.partitions);
        config::ConsumerOptions& options = member.options;
        options.client = client_options(scenario);
        options.auto_offset_reset = config::OffsetReset::earliest;
        options.fetch_max_wait_ms = 100;
        options.group_id = text_of(one, "group", "group");
        if (flag_of(one, "static", false))
            options.group_instance_id = fmt::format("member-{}", number + 1);
        options.session_timeout_ms = 1'500;
        options.heartbeat_interval_ms = 300;
        options.max_poll_interval_ms = 4'000;
        options.enable_auto_commit = false;
        take_options(object_of(one, "options"), options);
        const Duration every = duration_of(one, "every", milliseconds(50));
        const Duration least = std::min(every, microseconds(100));
        member.start = duration_of(one, "begins", milliseconds(300));
        member.gap = {least, every - least};
        member.commit_rate = integer_of(one, "commits", 15) * (per_million / 100);
        member.patience = seconds(5);
        scenario.workload.members.push_back(std::move(member));
    }
}

void take_clients(const Located& root, Scenario& scenario) {
    for (const Located& one : object_of(root, "producers").items) take_producer(one, scenario);
    for (const Located& one : object_of(root, "consumers").items) take_consumer(one, scenario);
    for (const Located& one : object_of(root, "members").items) take_members(one, scenario);
    if (!scenario.workload.members.empty()) scenario.cluster.offsets_partitions = 1;
    const Located plain;
    if (root.find("producers") == nullptr) take_producer(plain, scenario);
    if (root.find("consumers") == nullptr) take_consumer(plain, scenario);
    if (scenario.workload.producers.empty())
        throw ParseError{object_of(root, "producers").line,
                         "\"producers\": expected at least one: a run in which nobody writes "
                         "proves nothing"};
    if (scenario.workload.producers.size() > 40 || scenario.workload.consumers.size() > 40)
        throw ParseError{root.line, "at most 40 producers and 40 consumers"};
}

void take_expectations(const Located& root, const StepReader& reader, Scenario& scenario) {
    const Located& from = object_of(root, "expect");
    Expectations& expect = scenario.expect;
    const auto amounts = [&](std::string_view key, auto& into) {
        for (const LocatedMember& one : object_of(from, key).members)
            into[static_cast<std::size_t>(one.key[1] - '1')] =
                static_cast<Amount>(index_of(amount_words, one.value.text));
    };
    amounts("lost", expect.lost);
    amounts("avoidable", expect.avoidable);
    for (std::size_t i = 0; i < rule_count; ++i)
        if (expect.lost[i] == Amount::any && expect.avoidable[i] == Amount::none)
            expect.avoidable[i] = Amount::any;
    expect.stranded =
        static_cast<Amount>(index_of(amount_words, text_of(from, "stranded", "none")));
    expect.excused = flag_of(from, "excused", false);
    for (const LocatedMember& one : object_of(from, "counts").members) {
        if (!count_by_name(RunCounts{}, one.key))
            throw ParseError{one.line, unknown_count(one.key)};
        Bounds& bounds = expect.counts[one.key];
        if (const Located* least = one.value.find("at_least")) bounds.at_least = least->integer;
        if (const Located* most = one.value.find("at_most")) bounds.at_most = most->integer;
    }
    if (from.find("unavailable_at_most") != nullptr)
        expect.unavailable_max = duration_of(from, "unavailable_at_most", {});
    for (const Located& one : object_of(from, "reached").items)
        expect.reached.push_back(reader.moment(one));
    for (const Located& one : object_of(from, "never").items)
        expect.never.push_back(reader.moment(one));
}

void take_all(const Located& root, Scenario& scenario) {
    scenario.says = text_of(root, "says", "");
    scenario.turned_red_by = *bug_from_name(text_of(root, "turned_red_by", ""));
    scenario.length = duration_of(root, "length", seconds(12));
    if (scenario.length < seconds(2) || scenario.length > seconds(3'600))
        throw ParseError{root.find("length")->line, "\"length\": expected 2s to 60m"};
    take_cluster(root, scenario);
    take_clients(root, scenario);

    StepReader reader(scenario);
    for (const Located& one : object_of(root, "story").items)
        scenario.story.push_back(reader.step(one));
    for (const Located& one : object_of(root, "by_chance").items)
        scenario.by_chance.push_back(reader.chance(one));
    const Located& goal = object_of(root, "goal");
    scenario.goal = text_of(goal, "name", "");
    scenario.goal_reached_by = reader.moment(object_of(goal, "reached_by"));
    const Located& healing = object_of(root, "healing");
    scenario.within = duration_of(healing, "within", seconds(60));
    if (const Located* down = healing.find("leave_down"))
        for (const Who& who : reader.whos(*down)) {
            const bool controller = who.role == Who::Role::controller_n;
            if (who.role != Who::Role::broker && !controller)
                throw ParseError{down->line,
                                 "\"leave_down\": expected brokers or controllers by number"};
            scenario.left_down.push_back(static_cast<std::uint32_t>(who.number - 1) +
                                         (controller ? first_controller : 0));
        }
    take_expectations(root, reader, scenario);
}

std::uint64_t digest(const Located& value) {
    std::uint64_t all = fold64(static_cast<std::uint64_t>(value.kind) + 1,
                               fold64(static_cast<std::uint64_t>(value.integer),
                                      (value.boolean ? 1 : 0) + digest64(as_bytes(value.text))));
    for (const Located& item : value.items) all = fold64(all, digest(item));
    std::uint64_t members = 0;  // in any order
    for (const LocatedMember& one : value.members)
        members += fold64(digest64(as_bytes(one.key)), digest(one.value));
    return fold64(all, members);
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view text, std::string_view file) {
    const auto invalid = [&](const TextError& error) {
        return Error{Failure::invalid, fmt::format("{}:{}: {}", file, error.line, error.sentence)};
    };
    Located root;
    TextError error;
    if (!read_json(text, root, error)) return invalid(error);
    if (!conforms(root, scenario_spec(), error)) return invalid(error);
    Scenario scenario;
    try {
        take_all(root, scenario);
    } catch (const ParseError& wrong) {
        return invalid({wrong.line, wrong.sentence});
    }
    return scenario;
}

Result<std::string> read_scenario_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return Error{Failure::not_found, fmt::format("{}: cannot be read", path)};
    std::string text;
    char buffer[4096];
    while (file.read(buffer, sizeof buffer) || file.gcount() > 0) {
        text.append(buffer, static_cast<std::size_t>(file.gcount()));
        if (text.size() > json_bytes_max) break;  // the reader says so
    }
    return text;
}

std::uint64_t scenario_digest(std::string_view text) {
    Located root;
    TextError error;
    return read_json(text, root, error) ? digest(root) : 0;
}

}  // namespace klamm::sim
