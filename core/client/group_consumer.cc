// What a member of a group does by itself: finding, joining, beating, leaving. Committing is in
// group_commits.cc, what answers mean in group_results.cc.
#include "core/client/group_consumer.h"

#include <algorithm>

#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/sync_group.h"

namespace klamm::client {

namespace {

using protocol::ErrorCode;

constexpr std::size_t group_in_flight_max = 100;
constexpr std::uint64_t group_entity = 0x67726f7570ULL;
constexpr Duration join_answer_grace = seconds(5);  // as Kafka's client

std::vector<facts::GroupOffset> stated(const std::set<TopicAndIndex>& partitions) {
    std::vector<facts::GroupOffset> list;
    for (const auto& [topic, index] : partitions) list.push_back({topic, index, no_offset});
    return list;
}

}  // namespace

GroupConsumer::GroupConsumer(config::ConsumerOptions options, std::uint64_t entity)
    : options_(std::move(options)),
      entity_(entity),
      reader_(options_, entity),
      cluster_(options_.client, fold64(entity, group_entity), group_in_flight_max) {
    for (const std::string& name : options_.partition_assignment_strategy)
        if (const auto assignor = assignor_from_name(name)) assignors_.push_back(*assignor);
    if (assignors_.empty()) assignors_.push_back(Assignor::range);
    // All must be able to do without giving everything up (ConsumerCoordinator).
    eager_ = std::any_of(assignors_.begin(), assignors_.end(),
                         [](Assignor one) { return one != Assignor::cooperative_sticky; });
}

// What the application asks.

void GroupConsumer::subscribe(std::set<std::string> topics) {
    for (const std::string& topic : topics) cluster_.add_topic(topic);
    if (phase_ == Phase::idle) phase_ = Phase::unjoined;
    if (topics != topics_) rejoin_ = true;
    topics_ = std::move(topics);
}

void GroupConsumer::leave(env::Env& env, Results& results) {
    if (phase_ == Phase::leaving || phase_ == Phase::over) return;
    if (options_.enable_auto_commit) auto_commit(env, results);
    for (auto& [partition, row] : owned_) row.giving_up = true;
    phase_ = Phase::leaving;
    leave_by_ = env.turn().now + milliseconds(options_.client.request_timeout_ms);
    wake(env.turn().now);
}

void GroupConsumer::go_on(env::Env& env, Results& results) {
    if (phase_ != Phase::giving_up) return;
    std::set<TopicAndIndex> gone;
    for (const auto& [partition, row] : owned_)
        if (row.giving_up) gone.insert(partition);
    drop(env, gone, false, results);
    phase_ = Phase::unjoined;
    rejoin_ = true;
    wake(env.turn().now);
}

void GroupConsumer::note_poll(env::Env& env) {
    poll_by_ = env.turn().now + milliseconds(options_.max_poll_interval_ms);
    poll_expired_ = false;
    for (auto& [partition, row] : owned_) {
        if (row.giving_up || !position(partition)) continue;
        row.processed = *position(partition);
        row.processed_epoch = reader_.position_epoch(partition.first, partition.second);
    }
}

std::vector<TopicAndIndex> GroupConsumer::owned() const {
    std::vector<TopicAndIndex> list;
    for (const auto& [partition, row] : owned_)
        if (!row.giving_up) list.push_back(partition);
    return list;
}

std::set<TopicAndIndex> GroupConsumer::all_owned() const {
    std::set<TopicAndIndex> all;
    for (const auto& [partition, row] : owned_) all.insert(partition);
    return all;
}

std::optional<Offset> GroupConsumer::position(const TopicAndIndex& partition) const {
    const auto row = owned_.find(partition);
    if (row == owned_.end() || row->second.needs_offset) return std::nullopt;
    return reader_.position(partition.first, partition.second);
}

bool GroupConsumer::can_poll(const TopicAndIndex& partition) const {
    const auto row = owned_.find(partition);
    return row != owned_.end() && !row->second.giving_up && position(partition).has_value() &&
           !reader_.polling(partition.first, partition.second);
}

void GroupConsumer::poll(env::Env& env, std::uint64_t id, const TopicAndIndex& partition) {
    KLAMM_ASSERT(can_poll(partition));
    note_poll(env);
    reader_.poll(env, id, partition.first, partition.second);
}

void GroupConsumer::seek(const TopicAndIndex& partition, Offset offset) {
    const auto row = owned_.find(partition);
    KLAMM_ASSERT(row != owned_.end());
    row->second.needs_offset = false;
    reader_.seek(partition.first, partition.second, offset);
}

// Events and time.

bool GroupConsumer::handle(env::Env& env, const env::Event& event, Results& results) {
    if (const auto* started = std::get_if<env::Started>(&event))
        operation_ = started->incarnation << 32;
    std::vector<Reply> replies;
    bool taken = cluster_.handle(env, event, replies);
    for (const Reply& reply : replies) take(env, reply, results);
    if (!taken) taken = reader_.handle(env, event, results.read);
    return taken;
}

void GroupConsumer::advance(env::Env& env, Results& results) {
    std::vector<Reply> replies;
    cluster_.tick(env, replies);
    for (const Reply& reply : replies) take(env, reply, results);
    for (const Reply& reply : std::exchange(broken_, {})) take(env, reply, results);
    wake_ = instant_never;
    step(env, results);
    step_commits(env, results);
    step_questions(env, results);
    reader_.advance(env, results.read);
    if (broken_.empty()) return;
    for (const Reply& reply : std::exchange(broken_, {})) take(env, reply, results);
    wake(env.turn().now);
}

Duration GroupConsumer::backoff(env::Env& env, std::uint64_t failures) {
    return cluster_.retry_backoff(env.turn().draws, fold64(entity_, ++backoffs_), failures);
}

// Who coordinates.

std::optional<BrokerId> GroupConsumer::coordinator(env::Env& env) {
    if (coordinator_) {
        if (cluster_.ready(env, *coordinator_)) return coordinator_;
        // Whoever cannot be reached may be it no more.
        if (cluster_.unavailable(env, *coordinator_)) doubt_coordinator(env);
        return std::nullopt;
    }
    if (finding_ != 0) return std::nullopt;
    if (env.turn().now < find_at_) {
        wake(find_at_);
        return std::nullopt;
    }
    const auto broker = cluster_.any_ready(env);
    if (!broker) return std::nullopt;
    const auto version = cluster_.version(*broker, protocol::ApiKey::find_coordinator, 0, 6);
    if (!version) return std::nullopt;
    protocol::FindCoordinatorRequest request;
    if (*version >= 4)
        request.coordinator_keys.push_back(options_.group_id);
    else
        request.key = options_.group_id;
    finding_ = ++tag_;
    asked_[finding_] = Asked::finding;
    cluster_.send(env, *broker, request, *version, finding_);
    return std::nullopt;
}

void GroupConsumer::doubt_coordinator(env::Env& env) {
    if (!coordinator_) return;
    cluster_.disconnect(env, *coordinator_, broken_);
    coordinator_.reset();
    find_at_ = env.turn().now + backoff(env, 1);
}

// Stepping.

void GroupConsumer::step(env::Env& env, Results& results) {
    const Instant now = env.turn().now;
    const bool member = phase_ != Phase::idle && phase_ != Phase::leaving && phase_ != Phase::over;
    if (member && poll_by_ == instant_never)
        poll_by_ = now + milliseconds(options_.max_poll_interval_ms);
    const bool rebalancing =
        phase_ == Phase::joining || phase_ == Phase::assigning || phase_ == Phase::syncing;
    if (member && !rebalancing && !poll_expired_ && now >= poll_by_) {
        // The application has stopped: others get what it owns (KIP-62).
        poll_expired_ = true;
        if (tells_leaving()) (void)send_leave(env);
        expelled(env, results);
    }
    if (member && !poll_expired_) wake(poll_by_);
    switch (phase_) {
        case Phase::unjoined: return step_unjoined(env, results);
        case Phase::assigning: return step_assigning(env);
        case Phase::stable: return step_stable(env, results);
        case Phase::giving_up: return beat(env);
        case Phase::leaving: return step_leaving(env, results);
        default: return;
    }
}

void GroupConsumer::step_unjoined(env::Env& env, Results& results) {
    if (poll_expired_) return;
    if (!coordinator(env)) return;
    if (env.turn().now < join_at_) return wake(join_at_);
    for (const std::string& topic : topics_)
        if (cluster_.metadata().topic(topic) == nullptr) return;  // it is asked for
    if (eager_ && !owned_.empty()) return give_up(env, all_owned(), results);
    if (!commits_.empty()) return beat(env);
    send_join(env);
}

void GroupConsumer::send_join(env::Env& env) {
    Subscription subscription{topics_, all_owned(), generation_};
    const Bytes bytes = encode(subscription);
    protocol::JoinGroupRequest request;
    request.group_id = options_.group_id;
    request.session_timeout_ms = options_.session_timeout_ms;
    request.rebalance_timeout_ms = options_.max_poll_interval_ms;
    request.member_id = member_;
    request.group_instance_id = instance();
    request.protocol_type = "consumer";
    for (const Assignor one : assignors_)
        request.protocols.push_back({.name = to_string(one), .metadata = {ByteView(bytes)}});
    const Duration usual = milliseconds(options_.client.request_timeout_ms);
    const Duration whole = milliseconds(options_.max_poll_interval_ms) + join_answer_grace;
    // Before version 5 a static member cannot be one.
    const std::int16_t low = options_.group_instance_id.empty() ? 0 : 5;
    if (!ask(env, Asked::joining, request, low, 9, std::max(Duration{}, whole - usual))) return;
    phase_ = Phase::joining;
    rejoin_ = false;
}

bool GroupConsumer::count_partitions(std::map<std::string, std::int32_t>& counts) const {
    for (auto& [name, count] : counts) {
        const MetadataCache::Topic* topic = cluster_.metadata().topic(name);
        if (topic == nullptr) return false;
        count = static_cast<std::int32_t>(topic->partitions.size());
    }
    return true;
}

void GroupConsumer::step_assigning(env::Env& env) {
    if (count_partitions(counted_)) send_sync(env);
}

void GroupConsumer::send_sync(env::Env& env) {
    protocol::SyncGroupRequest request;
    request.group_id = options_.group_id;
    request.generation_id = generation_;
    request.member_id = member_;
    request.group_instance_id = instance();
    request.protocol_type = "consumer";
    request.protocol_name = protocol_;
    std::map<std::string, Bytes> shares;
    if (leads_) {
        std::vector<GroupMember> members;
        for (const auto& [id, bytes] : told_) {
            const auto named = named_.find(id);
            members.push_back({id,
                               named == named_.end() ? std::nullopt : std::optional(named->second),
                               decode_subscription(bytes).value_or(Subscription{})});
        }
        const Assignor assignor = assignor_from_name(protocol_).value_or(assignors_.front());
        for (const auto& [id, share] : assign(assignor, members, counted_))
            shares[id] = encode_assignment(share);
        for (const auto& [id, bytes] : shares)
            request.assignments.push_back({.member_id = id, .assignment = {ByteView(bytes)}});
    }
    if (!coordinator_) return join_later(env);
    if (ask(env, Asked::syncing, request, options_.group_instance_id.empty() ? 0 : 3, 5))
        phase_ = Phase::syncing;
    else if (!coordinator_ || !cluster_.ready(env, *coordinator_))
        join_later(env);
}

void GroupConsumer::step_stable(env::Env& env, Results& results) {
    const Instant now = env.turn().now;
    if (now >= session_ends_) doubt_coordinator(env);  // whoever it is does not hear it
    if (leads_ && !counted_.empty()) {
        auto counts = counted_;
        if (count_partitions(counts) && counts != counted_) rejoin_ = true;
    }
    if (rejoin_) {
        phase_ = Phase::unjoined;
        return step_unjoined(env, results);
    }
    if (options_.enable_auto_commit) {
        if (now >= auto_commit_at_) auto_commit(env, results);
        wake(auto_commit_at_);
    }
    beat(env);
    ask_positions(env);
}

void GroupConsumer::beat(env::Env& env) {
    if (generation_ < 0 || beating_) return;
    if (env.turn().now < beat_at_) return wake(beat_at_);
    protocol::HeartbeatRequest request;
    request.group_id = options_.group_id;
    request.generation_id = generation_;
    request.member_id = member_;
    request.group_instance_id = instance();
    if (!ask(env, Asked::beat, request, options_.group_instance_id.empty() ? 0 : 3, 4)) return;
    beating_ = true;
    beat_at_ = env.turn().now + milliseconds(options_.heartbeat_interval_ms);
}

bool GroupConsumer::send_leave(env::Env& env) {
    if (!coordinator(env)) return false;
    const auto version =
        cluster_.version(*coordinator_, protocol::ApiKey::leave_group, 0, 5).value_or(0);
    protocol::LeaveGroupRequest request;
    request.group_id = options_.group_id;
    if (version >= 3)
        request.members.push_back({.member_id = member_, .group_instance_id = {}, .reason = {}});
    else
        request.member_id = member_;
    return ask(env, Asked::leaving, request, version, version);
}

void GroupConsumer::step_leaving(env::Env& env, Results& results) {
    const bool late = env.turn().now >= leave_by_;
    if (!late) wake(leave_by_);
    if (!late && !commits_.empty()) return;
    if (!late && tells_leaving() && !left_) {
        if (!leave_sent_) leave_sent_ = send_leave(env);
        return;
    }
    drop(env, all_owned(), false, results);
    results.events.push_back({.what = GroupEvent::What::left, .generation = generation_});
    phase_ = Phase::over;
}

// Giving up.

void GroupConsumer::give_up(env::Env& env, const std::set<TopicAndIndex>& partitions,
                            Results& results) {
    if (options_.enable_auto_commit) auto_commit(env, results);
    for (const TopicAndIndex& one : partitions) {
        reader_.cancel(one.first, one.second, ErrorCode::rebalance_in_progress, results.read);
        owned_.at(one).giving_up = true;
    }
    phase_ = Phase::giving_up;
    results.events.push_back(
        {.what = GroupEvent::What::revoked, .partitions = partitions, .generation = generation_});
}

void GroupConsumer::drop(env::Env& env, const std::set<TopicAndIndex>& partitions, bool lost,
                         Results& results) {
    if (partitions.empty()) return;
    for (const TopicAndIndex& one : partitions) {
        reader_.cancel(one.first, one.second, ErrorCode::rebalance_in_progress, results.read);
        reader_.forget(one.first, one.second);
        owned_.erase(one);
    }
    env.turn().state(
        facts::GroupRevoked{options_.group_id, generation_, member_, stated(partitions), lost});
    if (!lost) return;
    results.events.push_back(
        {.what = GroupEvent::What::lost, .partitions = partitions, .generation = generation_});
}

void GroupConsumer::expelled(env::Env& env, Results& results) {
    drop(env, all_owned(), true, results);
    generation_ = -1;
    member_.clear();
    leads_ = false;
    told_.clear();
    counted_.clear();
    if (phase_ != Phase::leaving && phase_ != Phase::over) phase_ = Phase::unjoined;
    wake(env.turn().now);
}

void GroupConsumer::join_later(env::Env& env) {
    join_at_ = env.turn().now + backoff(env, ++join_failures_);
    if (phase_ != Phase::leaving && phase_ != Phase::over) phase_ = Phase::unjoined;
    rejoin_ = true;
    wake(join_at_);
}

void GroupConsumer::fail(env::Env& env, ErrorCode error, Results& results) {
    drop(env, all_owned(), true, results);
    phase_ = Phase::over;
    results.events.push_back(
        {.what = GroupEvent::What::failed, .generation = generation_, .error = error});
}

}  // namespace klamm::client
