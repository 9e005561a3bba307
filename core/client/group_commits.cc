// What a member commits, and what it asks of what is committed: sending, and trying again.
#include <algorithm>

#include "core/client/group_consumer.h"
#include "core/protocol/messages/offset_commit.h"
#include "core/protocol/messages/offset_fetch.h"

namespace klamm::client {

namespace {

using protocol::ErrorCode;

constexpr std::uint64_t own_commit = std::uint64_t{1} << 63;  // an id that is not the caller's

}  // namespace

void GroupConsumer::commit(env::Env& env, std::uint64_t id, std::map<TopicAndIndex, Offset> offsets,
                           Duration patience, Results& results) {
    Commit made{.id = id,
                .operation = ++operation_,
                .generation = generation_,
                .member = member_,
                .offsets = {},
                .deadline = env.turn().now + patience};
    if (offsets.empty())
        for (const auto& [partition, row] : owned_)
            if (const auto at = position(partition)) offsets[partition] = *at;
    for (const auto& [partition, offset] : offsets) {
        const bool here = position(partition) == offset;
        made.offsets[partition] = {
            offset,
            here ? reader_.position_epoch(partition.first, partition.second) : no_leader_epoch};
    }
    // Kafka's client answers these by itself.
    const bool rebalancing =
        phase_ == Phase::joining || phase_ == Phase::assigning || phase_ == Phase::syncing;
    if (rebalancing || generation_ < 0 || made.offsets.empty()) {
        const auto error = rebalancing            ? ErrorCode::rebalance_in_progress
                           : made.offsets.empty() ? ErrorCode::none
                                                  : ErrorCode::unknown_member_id;
        const bool ok = error == ErrorCode::none;
        if ((id & own_commit) == 0)
            results.commits.push_back(
                {id, ok ? facts::Outcome::ok : facts::Outcome::failed, error});
        return;
    }
    std::vector<facts::GroupOffset> list;
    for (const auto& [partition, at] : made.offsets)
        list.push_back({partition.first, partition.second, at.first});
    env.turn().state(facts::GroupCommitInvoked{made.operation, options_.group_id, generation_,
                                               member_, std::move(list)});
    commits_.push_back(std::move(made));
    wake(env.turn().now);
}

void GroupConsumer::auto_commit(env::Env& env, Results& results) {
    auto_commit_at_ = env.turn().now + milliseconds(options_.auto_commit_interval_ms);
    std::map<TopicAndIndex, Offset> offsets;
    for (const auto& [partition, row] : owned_)
        if (row.processed != no_offset) offsets[partition] = row.processed;
    if (offsets.empty() || generation_ < 0) return;
    commit(env, own_commit, std::move(offsets), milliseconds(options_.client.request_timeout_ms),
           results);
}

void GroupConsumer::ask_committed(env::Env& env, std::uint64_t id,
                                  std::set<TopicAndIndex> partitions, Duration patience) {
    questions_.push_back({.id = id,
                          .operation = ++operation_,
                          .partitions = std::move(partitions),
                          .deadline = env.turn().now + patience});
    env.turn().state(facts::GroupOffsetsAsked{operation_, options_.group_id});
    wake(env.turn().now);
}

void GroupConsumer::step_commits(env::Env& env, Results& results) {
    const Instant now = env.turn().now;
    while (!commits_.empty() && commit_tag_ == 0) {
        Commit& first = commits_.front();
        const bool late = now >= first.deadline;
        if (late || first.generation != generation_ || phase_ == Phase::over) {
            if (first.error == ErrorCode::none)
                first.error = late ? ErrorCode::request_timed_out : ErrorCode::illegal_generation;
            end_commit(env, first.error, results);
            continue;
        }
        wake(first.deadline);
        if (now < first.retry_at) return wake(first.retry_at);
        protocol::OffsetCommitRequest request;
        request.group_id = options_.group_id;
        request.generation_id_or_member_epoch = first.generation;
        request.member_id = first.member;
        request.group_instance_id = instance();
        for (const auto& [partition, at] : first.offsets) {
            if (request.topics.empty() || request.topics.back().name != partition.first)
                request.topics.push_back(
                    {.name = partition.first, .topic_id = {}, .partitions = {}});
            request.topics.back().partitions.push_back(
                {.partition_index = PartitionIndex(partition.second),
                 .committed_offset = at.first,
                 .committed_leader_epoch = at.second});
        }
        if (ask(env, Asked::commit, request, options_.group_instance_id.empty() ? 2 : 7, 9))
            commit_tag_ = tag_;
        return;
    }
}

void GroupConsumer::ask_positions(env::Env& env) {
    const bool asked = std::any_of(questions_.begin(), questions_.end(),
                                   [](const Question& one) { return !one.id.has_value(); });
    if (asked) return;
    Question question{};
    for (const auto& [partition, row] : owned_)
        if (row.needs_offset && !row.in_vain && !row.giving_up)
            question.partitions.insert(partition);
    if (question.partitions.empty()) return;
    question.operation = ++operation_;
    question.deadline = instant_never;
    env.turn().state(facts::GroupOffsetsAsked{operation_, options_.group_id});
    questions_.push_back(std::move(question));
}

void GroupConsumer::step_questions(env::Env& env, Results& results) {
    const Instant now = env.turn().now;
    for (std::size_t i = 0; i < questions_.size();) {
        Question& one = questions_[i];
        const bool moot =
            !one.id && std::none_of(one.partitions.begin(), one.partitions.end(),
                                    [&](const auto& part) { return owned_.contains(part); });
        if (one.tag == 0 && (moot || phase_ == Phase::over || now >= one.deadline)) {
            Question over = std::move(one);
            questions_.erase(questions_.begin() + static_cast<std::ptrdiff_t>(i));
            const auto error =
                over.error == ErrorCode::none ? ErrorCode::request_timed_out : over.error;
            end_question(env, std::move(over), {.id = 0, .error = error}, no_broker, results);
            continue;
        }
        ++i;
        if (one.tag != 0) continue;
        wake(one.deadline);
        if (now < one.retry_at) {
            wake(one.retry_at);
            continue;
        }
        if (!coordinator(env)) continue;
        const auto version =
            cluster_.version(*coordinator_, protocol::ApiKey::offset_fetch, 1, 9).value_or(-1);
        if (version < 0) continue;
        protocol::OffsetFetchRequest request;
        if (version >= 7) request.require_stable = true;  // KIP-447, as Kafka's consumers
        if (version >= 8) {
            request.groups.push_back({.group_id = options_.group_id,
                                      .member_id = std::nullopt,
                                      .member_epoch = -1,
                                      .topics = std::vector<protocol::OffsetFetchRequestTopics>()});
            auto& topics = *request.groups.back().topics;
            for (const auto& [topic, index] : one.partitions) {
                if (topics.empty() || topics.back().name != topic)
                    topics.push_back({.name = topic, .topic_id = {}, .partition_indexes = {}});
                topics.back().partition_indexes.push_back(PartitionIndex(index));
            }
        } else {
            request.group_id = options_.group_id;
            for (const auto& [topic, index] : one.partitions) {
                if (request.topics->empty() || request.topics->back().name != topic)
                    request.topics->push_back({.name = topic, .partition_indexes = {}});
                request.topics->back().partition_indexes.push_back(PartitionIndex(index));
            }
        }
        if (ask(env, Asked::offsets, request, version, version)) one.tag = tag_;
    }
}

}  // namespace klamm::client
