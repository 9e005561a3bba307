// What the coordinator's answers mean (Kafka 4.1: AbstractCoordinator and ConsumerCoordinator).
#include <algorithm>

#include "core/client/group_consumer.h"
#include "core/protocol/messages/find_coordinator.h"
#include "core/protocol/messages/heartbeat.h"
#include "core/protocol/messages/join_group.h"
#include "core/protocol/messages/leave_group.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_fetch.h"
#include "core/protocol/messages/sync_group.h"

namespace klamm::client {

namespace {

using protocol::ErrorCode;

/// Whoever answered, or did not, is not the coordinator any more, or cannot be reached.
bool is_elsewhere(ErrorCode error) {
    return error == ErrorCode::not_coordinator || error == ErrorCode::coordinator_not_available ||
           error == ErrorCode::network_exception;
}

/// A commit that was refused so is certainly not in the log by that attempt. A coordinator that is
/// deposed answers NOT_COORDINATOR for records that it has appended, too.
bool certainly_refused(ErrorCode error) {
    switch (error) {
        case ErrorCode::network_exception:
        case ErrorCode::request_timed_out:
        case ErrorCode::coordinator_not_available:
        case ErrorCode::not_coordinator:
        case ErrorCode::unknown_server_error: return false;
        default: return true;
    }
}

}  // namespace

void GroupConsumer::take(env::Env& env, const Reply& reply, Results& results) {
    const auto row = asked_.extract(reply.tag);
    if (row.empty()) return;
    switch (row.mapped()) {
        case Asked::finding: return take_coordinator(env, reply, results);
        case Asked::joining: return take_join(env, reply, results);
        case Asked::syncing: return take_sync(env, reply, results);
        case Asked::beat: return take_beat(env, reply, results);
        case Asked::leaving: left_ = phase_ == Phase::leaving; return;
        case Asked::commit: return take_commit(env, reply, results);
        case Asked::offsets: return take_offsets(env, reply, results);
    }
}

void GroupConsumer::take_coordinator(env::Env& env, const Reply& reply, Results& results) {
    finding_ = 0;
    const auto response = decode_reply<protocol::FindCoordinatorResponse>(reply);
    protocol::FindCoordinatorResponseCoordinator told;
    told.error_code = ErrorCode::network_exception;
    if (response.ok() && reply.version >= 4 && response->coordinators.size() == 1)
        told = response->coordinators.front();
    if (response.ok() && reply.version < 4)
        told = {.key = {},
                .node_id = response->node_id,
                .host = response->host,
                .port = response->port,
                .error_code = response->error_code};
    if (told.error_code == ErrorCode::none) {
        find_failures_ = 0;
        cluster_.learn_broker(told.node_id,
                              {std::string(told.host), static_cast<std::uint16_t>(told.port)});
        coordinator_ = told.node_id;
        // A session begins to count anew with whom one can talk to.
        session_ends_ = env.turn().now + milliseconds(options_.session_timeout_ms);
        return;
    }
    if (told.error_code == ErrorCode::group_authorization_failed ||
        told.error_code == ErrorCode::invalid_group_id ||
        told.error_code == ErrorCode::invalid_request)
        return fail(env, told.error_code, results);
    find_at_ = env.turn().now + backoff(env, ++find_failures_);
}

void GroupConsumer::take_join(env::Env& env, const Reply& reply, Results& results) {
    const auto response = decode_reply<protocol::JoinGroupResponse>(reply);
    const ErrorCode error = response.ok() ? response->error_code : ErrorCode::network_exception;
    if (error == ErrorCode::member_id_required) member_ = std::string(response->member_id);
    if (phase_ != Phase::joining) return;  // it leaves, or was too late
    switch (error) {
        case ErrorCode::none: break;
        case ErrorCode::member_id_required: phase_ = Phase::unjoined; return;
        case ErrorCode::unknown_member_id: expelled(env, results); return join_later(env);
        case ErrorCode::network_exception:
        case ErrorCode::not_coordinator:
        case ErrorCode::coordinator_not_available: doubt_coordinator(env); return join_later(env);
        case ErrorCode::coordinator_load_in_progress:
        case ErrorCode::rebalance_in_progress:
        case ErrorCode::unknown_server_error: return join_later(env);
        default: return fail(env, error, results);
    }
    join_failures_ = 0;
    member_ = std::string(response->member_id);
    generation_ = response->generation_id;
    protocol_ = std::string(response->protocol_name.value_or(""));
    leads_ = response->leader == response->member_id && !response->skip_assignment;
    told_.clear();
    named_.clear();
    counted_.clear();
    for (const auto& member : response->members) {
        const std::string id(member.member_id);
        told_[id] = Bytes(member.metadata.bytes.begin(), member.metadata.bytes.end());
        if (member.group_instance_id) named_[id] = std::string(*member.group_instance_id);
        const auto subscription = decode_subscription(told_[id]);
        if (!subscription || !leads_) continue;
        for (const std::string& topic : subscription->topics) {
            cluster_.add_topic(topic);
            counted_[topic] = 0;
        }
    }
    session_ends_ = env.turn().now + milliseconds(options_.session_timeout_ms);
    phase_ = Phase::assigning;
}

void GroupConsumer::take_sync(env::Env& env, const Reply& reply, Results& results) {
    if (phase_ != Phase::syncing) return;
    const auto response = decode_reply<protocol::SyncGroupResponse>(reply);
    const ErrorCode error = response.ok() ? response->error_code : ErrorCode::network_exception;
    switch (error) {
        case ErrorCode::none: break;
        case ErrorCode::rebalance_in_progress:
        case ErrorCode::coordinator_load_in_progress:
        case ErrorCode::unknown_server_error: return join_later(env);
        case ErrorCode::unknown_member_id:
        case ErrorCode::illegal_generation: expelled(env, results); return join_later(env);
        case ErrorCode::network_exception:
        case ErrorCode::not_coordinator:
        case ErrorCode::coordinator_not_available: doubt_coordinator(env); return join_later(env);
        default: return fail(env, error, results);
    }
    const auto partitions = decode_assignment(response->assignment.bytes);
    if (!partitions) return fail(env, ErrorCode::inconsistent_group_protocol, results);
    join_failures_ = 0;
    phase_ = Phase::stable;
    assigned(env, *partitions, results);
}

void GroupConsumer::assigned(env::Env& env, const std::set<TopicAndIndex>& partitions,
                             Results& results) {
    const Instant now = env.turn().now;
    session_ends_ = now + milliseconds(options_.session_timeout_ms);
    beat_at_ = now + milliseconds(options_.heartbeat_interval_ms);
    auto_commit_at_ = now + milliseconds(options_.auto_commit_interval_ms);
    poll_by_ = std::max(poll_by_, now + milliseconds(options_.max_poll_interval_ms));
    std::vector<facts::GroupOffset> list;
    for (const auto& [topic, index] : partitions) list.push_back({topic, index, no_offset});
    env.turn().state(
        facts::GroupAssigned{options_.group_id, generation_, member_, std::move(list)});
    std::set<TopicAndIndex> gone;
    for (const auto& [one, row] : owned_)
        if (!partitions.contains(one)) gone.insert(one);
    std::set<TopicAndIndex> come;
    for (const TopicAndIndex& one : partitions)
        if (owned_.try_emplace(one).second) come.insert(one);
    results.events.push_back({.what = GroupEvent::What::assigned,
                              .partitions = std::move(come),
                              .generation = generation_});
    // A cooperative member gives up what others wait for, and joins again to say so (KIP-429).
    if (!gone.empty()) give_up(env, gone, results);
}

void GroupConsumer::take_beat(env::Env& env, const Reply& reply, Results& results) {
    beating_ = false;
    const auto response = decode_reply<protocol::HeartbeatResponse>(reply);
    const ErrorCode error = response.ok() ? response->error_code : ErrorCode::network_exception;
    const bool member =
        phase_ == Phase::stable || phase_ == Phase::giving_up || phase_ == Phase::unjoined;
    if (!member || generation_ < 0) return;
    switch (error) {
        case ErrorCode::none:
            session_ends_ = env.turn().now + milliseconds(options_.session_timeout_ms);
            return;
        case ErrorCode::rebalance_in_progress:
            session_ends_ = env.turn().now + milliseconds(options_.session_timeout_ms);
            rejoin_ = true;
            return;
        case ErrorCode::illegal_generation:
        case ErrorCode::unknown_member_id: return expelled(env, results);
        case ErrorCode::fenced_instance_id:
        case ErrorCode::group_authorization_failed: return fail(env, error, results);
        default:
            if (is_elsewhere(error)) doubt_coordinator(env);
    }
}

void GroupConsumer::take_commit(env::Env& env, const Reply& reply, Results& results) {
    if (commits_.empty() || reply.tag != commit_tag_) return;
    commit_tag_ = 0;
    Commit& first = commits_.front();
    const auto response = decode_reply<protocol::OffsetCommitResponse>(reply);
    ErrorCode error = response.ok() ? ErrorCode::none : ErrorCode::network_exception;
    std::size_t answered = 0;
    if (response.ok()) {
        for (const auto& topic : response->topics) {
            for (const auto& partition : topic.partitions) {
                ++answered;
                if (partition.error_code != ErrorCode::none) error = partition.error_code;
            }
        }
        if (answered != first.offsets.size()) error = ErrorCode::unknown_server_error;
    }
    if (error == ErrorCode::none) return end_commit(env, error, results);
    first.error = error;
    if (!certainly_refused(error)) first.doubtful = true;
    const bool current = first.generation == generation_;
    switch (error) {
        case ErrorCode::network_exception:
        case ErrorCode::not_coordinator:
        case ErrorCode::coordinator_not_available:
        case ErrorCode::request_timed_out: doubt_coordinator(env); break;
        case ErrorCode::coordinator_load_in_progress:
        case ErrorCode::unknown_topic_or_partition:
        case ErrorCode::unknown_server_error: break;
        case ErrorCode::rebalance_in_progress:
            rejoin_ = true;
            return end_commit(env, error, results);
        case ErrorCode::illegal_generation:
        case ErrorCode::unknown_member_id:
        case ErrorCode::group_id_not_found:
            end_commit(env, error, results);
            if (current) expelled(env, results);
            return;
        case ErrorCode::fenced_instance_id:
            end_commit(env, error, results);
            return fail(env, error, results);
        default: return end_commit(env, error, results);
    }
    first.retry_at = env.turn().now + backoff(env, ++first.failures);
}

void GroupConsumer::end_commit(env::Env& env, ErrorCode error, Results& results) {
    const Commit first = std::move(commits_.front());
    commits_.pop_front();
    commit_tag_ = 0;
    const auto outcome = error == ErrorCode::none ? facts::Outcome::ok
                         : first.doubtful         ? facts::Outcome::unknown
                                                  : facts::Outcome::failed;
    env.turn().state(facts::GroupCommitReturned{first.operation, options_.group_id, outcome,
                                                static_cast<std::int16_t>(error), first.doubtful});
    wake(env.turn().now);
    if ((first.id >> 63) == 0) results.commits.push_back({first.id, outcome, error});
}

void GroupConsumer::take_offsets(env::Env& env, const Reply& reply, Results& results) {
    const auto at = std::find_if(questions_.begin(), questions_.end(),
                                 [&](const Question& one) { return one.tag == reply.tag; });
    if (at == questions_.end()) return;
    at->tag = 0;
    const auto response = decode_reply<protocol::OffsetFetchResponse>(reply);
    CommittedTold told{.id = 0,
                       .error = response.ok() ? response->error_code : ErrorCode::network_exception,
                       .offsets = {}};
    const auto read = [&](const auto& topics) {
        for (const auto& topic : topics) {
            for (const auto& one : topic.partitions) {
                if (one.error_code != ErrorCode::none) told.error = one.error_code;
                if (one.committed_offset < Offset(0)) continue;
                const TopicAndIndex part{std::string(topic.name), one.partition_index.value};
                told.offsets[part] = one.committed_offset;
                const auto row = owned_.find(part);
                if (at->id || row == owned_.end() || !row->second.needs_offset ||
                    one.error_code != ErrorCode::none)
                    continue;
                row->second.needs_offset = false;
                row->second.processed = one.committed_offset;
                row->second.processed_epoch = one.committed_leader_epoch;
                reader_.seek(part.first, part.second, one.committed_offset,
                             one.committed_leader_epoch);
            }
        }
    };
    if (response.ok() && reply.version >= 8 && response->groups.size() == 1) {
        told.error = response->groups.front().error_code;
        read(response->groups.front().topics);
    } else if (response.ok() && reply.version >= 8) {
        told.error = ErrorCode::unknown_server_error;
    } else if (response.ok()) {
        read(response->topics);
    }
    const bool again = is_elsewhere(told.error) || protocol::is_retriable(told.error) ||
                       told.error == ErrorCode::unknown_server_error;
    if (again) {
        at->error = told.error;
        if (is_elsewhere(told.error)) doubt_coordinator(env);
        at->retry_at = env.turn().now + backoff(env, ++at->failures);
        return;
    }
    Question question = std::move(*at);
    questions_.erase(at);
    end_question(env, std::move(question), std::move(told), reply.broker, results);
}

void GroupConsumer::end_question(env::Env& env, Question question, CommittedTold told,
                                 BrokerId from, Results& results) {
    const bool ok = told.error == ErrorCode::none;
    facts::GroupOffsetsReturned fact{question.operation,
                                     options_.group_id,
                                     ok ? facts::Outcome::ok : facts::Outcome::failed,
                                     static_cast<std::int16_t>(told.error),
                                     from,
                                     {}};
    for (const TopicAndIndex& part : question.partitions) {
        const auto offset = told.offsets.find(part);
        fact.offsets.push_back(
            {part.first, part.second, offset == told.offsets.end() ? no_offset : offset->second});
    }
    if (!ok) fact.offsets.clear();
    env.turn().state(fact);
    if (question.id) {
        told.id = *question.id;
        results.told.push_back(std::move(told));
        return;
    }
    if (!ok) {
        if (told.error == ErrorCode::group_authorization_failed ||
            told.error == ErrorCode::topic_authorization_failed)
            fail(env, told.error, results);
        return;  // what it still owns it asks for again
    }
    std::set<TopicAndIndex> without;
    for (const TopicAndIndex& part : question.partitions) {
        const auto row = owned_.find(part);
        if (row == owned_.end() || !row->second.needs_offset) continue;
        if (options_.auto_offset_reset == config::OffsetReset::none) {
            row->second.in_vain = true;
            without.insert(part);
            continue;
        }
        row->second.needs_offset = false;
        reader_.seek_to(part.first, part.second, options_.auto_offset_reset);
    }
    if (!without.empty())
        results.events.push_back({.what = GroupEvent::What::no_offset,
                                  .partitions = std::move(without),
                                  .generation = generation_});
}

}  // namespace klamm::client
