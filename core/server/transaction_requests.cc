// From requests about transactions to commands. Answers are made in transaction_answers.cc.
#include "core/server/transaction_requests.h"

#include <algorithm>

#include "core/protocol/messages/add_offsets_to_txn.h"
#include "core/protocol/messages/add_partitions_to_txn.h"
#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/describe_transactions.h"
#include "core/protocol/messages/end_txn.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_transactions.h"
#include "core/protocol/messages/write_txn_markers.h"
#include "core/replicated/partition_of.h"

namespace klamm::server {

namespace {

using protocol::ApiKey;
using transaction::TopicAndPartition;

/// The version of transactions that a request's version stands for (KIP-890).
std::int16_t client_version(bool newest) { return newest ? 2 : 0; }

}  // namespace

std::optional<TopicPartition> TransactionRequests::find(std::string_view topic,
                                                        PartitionIndex partition) const {
    const auto id = context_.image->topic_id(std::string(topic));
    if (!id) return std::nullopt;
    const TopicPartition found{*id, partition};
    if (context_.image->partition(found) == nullptr) return std::nullopt;
    return found;
}

/// As Kafka: when one partition is not there, none joins.
void TransactionRequests::add(Pending& pending, std::uint64_t id,
                              transaction::AddPartitions command) {
    bool all = true;
    for (const auto& [topic, partition] : command.partitions) {
        const bool there = find(topic, partition).has_value();
        all &= there;
        pending.errors.push_back(there ? ErrorCode::operation_not_attempted
                                       : ErrorCode::unknown_topic_or_partition);
    }
    if (all) {
        pending.errors.resize(pending.errors.size() - command.partitions.size());
        pending.errors.insert(pending.errors.end(), command.partitions.size(), ErrorCode::none);
        const std::string name = command.id;
        return ask(pending, id, name, std::move(command));
    }
    pending.parts.emplace_back(transaction::PartitionsAnswer{});
}

ReplyTo TransactionRequests::next_error(Pending& pending, std::uint64_t id) {
    pending.errors.push_back(ErrorCode::none);
    return {context_.env().shard(), id, static_cast<std::uint32_t>(pending.errors.size() - 1)};
}

void TransactionRequests::mark(Pending& pending, std::uint64_t id, std::string_view topic,
                               PartitionIndex partition, const MarkerCommand& marker) {
    const ReplyTo reply = next_error(pending, id);
    const auto found = find(topic, partition);
    if (!found || pending.errors.size() > commands_max) {
        pending.errors.back() = ErrorCode::unknown_topic_or_partition;
        return;
    }
    ++pending.outstanding;
    if (coordinates(topic) == Coordinates::groups) {
        // Through the coordinator, whose log it is.
        const ReplyTo marked{reply.shard, reply.pending | marker_mark, reply.part};
        context_.post(context_.owner_of(*found),
                      GroupCommand{marked, *found,
                                   std::make_shared<const group::Command>(group::EndTransaction{
                                       {marker.producer, marker.epoch, marker.coordinator_epoch},
                                       marker.commit})});
        return;
    }
    MarkerCommand command = marker;
    command.reply = reply;
    command.partition = *found;
    context_.post(context_.owner_of(*found), command);
}

void TransactionRequests::init_producer_id(const Incoming& request, transaction::Init command) {
    open(ApiKey::init_producer_id, request, [&](std::uint64_t id, Pending& pending) {
        const std::string name = command.id;
        ask(pending, id, name, std::move(command));
    });
}

bool TransactionRequests::handle(ApiKey api, const Incoming& request,
                                 std::optional<std::string>& problem) {
    const std::int16_t version = request.version;
    switch (api) {
        case ApiKey::add_partitions_to_txn:
            begin<protocol::AddPartitionsToTxnRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    const auto command = [&](const auto& from, const auto& topics) {
                        transaction::AddPartitions one;
                        one.id = std::string_view(from.id);
                        one.producer = from.producer;
                        one.epoch = from.epoch;
                        for (const auto& topic : topics)
                            for (const PartitionIndex partition : topic.partitions)
                                one.partitions.emplace_back(topic.name, partition);
                        return one;
                    };
                    struct Of {
                        std::string_view id;
                        ProducerId producer;
                        ProducerEpoch epoch;
                    };
                    if (version < 4)
                        return add(pending, id,
                                   command(Of{body.v3_and_below_transactional_id,
                                              body.v3_and_below_producer_id,
                                              body.v3_and_below_producer_epoch},
                                           body.v3_and_below_topics));
                    for (const auto& of : body.transactions) {
                        auto one = command(
                            Of{of.transactional_id, of.producer_id, of.producer_epoch}, of.topics);
                        one.verify_only = of.verify_only;
                        one.client_version = client_version(!of.verify_only);
                        add(pending, id, std::move(one));
                    }
                });
            return true;
        case ApiKey::add_offsets_to_txn:
            begin<protocol::AddOffsetsToTxnRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    const auto topic = context_.image->topic_id(std::string(group::offsets_topic));
                    const metadata::TopicImage* image =
                        topic ? context_.image->topic(*topic) : nullptr;
                    if (image == nullptr || image->partitions.empty()) {
                        pending.parts.emplace_back(transaction::PartitionsAnswer{
                            ErrorCode::coordinator_not_available, {}});
                        return;
                    }
                    transaction::AddPartitions one;
                    one.id = body.transactional_id;
                    one.producer = body.producer_id;
                    one.epoch = body.producer_epoch;
                    one.partitions.emplace_back(
                        group::offsets_topic,
                        PartitionIndex(replicated::partition_of(
                            body.group_id, static_cast<std::int32_t>(image->partitions.size()))));
                    ask(pending, id, body.transactional_id, std::move(one));
                });
            return true;
        case ApiKey::end_txn:
            begin<protocol::EndTxnRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    ask(pending, id, body.transactional_id,
                        transaction::End{std::string(body.transactional_id), body.producer_id,
                                         body.producer_epoch, body.committed,
                                         client_version(version >= 5)});
                });
            return true;
        case ApiKey::write_txn_markers:
            begin<protocol::WriteTxnMarkersRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    for (const auto& of : body.markers) {
                        MarkerCommand marker;
                        marker.producer = of.producer_id;
                        marker.epoch = of.producer_epoch;
                        marker.coordinator_epoch = of.coordinator_epoch;
                        marker.commit = of.transaction_result;
                        for (const auto& topic : of.topics)
                            for (const PartitionIndex partition : topic.partition_indexes)
                                mark(pending, id, topic.name, partition, marker);
                    }
                });
            return true;
        case ApiKey::describe_transactions:
            begin<protocol::DescribeTransactionsRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    for (const std::string_view name : body.transactional_ids)
                        ask(pending, id, name, transaction::Describe{std::string(name)});
                });
            return true;
        case ApiKey::list_transactions:
            begin<protocol::ListTransactionsRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    transaction::List command;
                    bool nothing = !body.state_filters.empty();
                    for (const std::string_view name : body.state_filters)
                        if (const auto state = transaction::state_of(name)) {
                            command.states.push_back(*state);
                            nothing = false;
                        }
                    for (const ProducerId producer : body.producer_id_filters)
                        command.producers.push_back(producer);
                    if (version >= 1) command.duration_ms = body.duration_filter;
                    command.pattern = body.transactional_id_pattern.value_or("");
                    if (!nothing) ask_all(pending, id, std::move(command));
                });
            return true;
        case ApiKey::describe_producers:
            begin<protocol::DescribeProducersRequest>(
                api, request, problem, [&](const auto& body, std::uint64_t id, Pending& pending) {
                    for (const auto& topic : body.topics)
                        for (const PartitionIndex index : topic.partition_indexes) {
                            const ReplyTo reply = next_error(pending, id);
                            pending.producers.emplace_back();
                            const auto found = find(topic.name, index);
                            if (!found) {
                                pending.errors.back() = ErrorCode::unknown_topic_or_partition;
                                continue;
                            }
                            ++pending.outstanding;
                            context_.post(context_.owner_of(*found),
                                          ProducersCommand{reply, *found});
                        }
                });
            return true;
        default: return false;
    }
}

// --- outcomes

void TransactionRequests::on(const TransactionOutcome& outcome) {
    row_of(outcome.reply.pending).parts.at(outcome.reply.part) = *outcome.answer;
    settled(outcome.reply.pending);
}

void TransactionRequests::on(const MarkerOutcome& outcome) {
    row_of(outcome.reply.pending).errors.at(outcome.reply.part) = outcome.error;
    settled(outcome.reply.pending);
}

void TransactionRequests::on(const GroupOutcome& outcome) {
    const std::uint64_t id = outcome.reply.pending & ~marker_mark;
    ErrorCode error = std::get<group::PlainAnswer>(*outcome.answer).error;
    // What a sender of markers knows (Kafka's WriteTxnMarkers).
    if (error == ErrorCode::not_coordinator) error = ErrorCode::not_leader_or_follower;
    if (error == ErrorCode::coordinator_not_available ||
        error == ErrorCode::coordinator_load_in_progress)
        error = ErrorCode::not_enough_replicas;
    row_of(id).errors.at(outcome.reply.part) = error;
    settled(id);
}

void TransactionRequests::on(const ProducersOutcome& outcome) {
    Pending& pending = row_of(outcome.reply.pending);
    pending.errors.at(outcome.reply.part) = outcome.error;
    pending.producers.at(outcome.reply.part) = outcome;
    settled(outcome.reply.pending);
}

void TransactionRequests::finish(const Pending& pending) {
    switch (pending.api) {
        case ApiKey::init_producer_id: return answer_init(pending);
        case ApiKey::add_partitions_to_txn: return answer_add(pending);
        case ApiKey::add_offsets_to_txn: return answer_add_offsets(pending);
        case ApiKey::end_txn: return answer_end(pending);
        case ApiKey::write_txn_markers: return answer_markers(pending);
        case ApiKey::describe_transactions: return answer_describe(pending);
        case ApiKey::list_transactions: return answer_list(pending);
        case ApiKey::describe_producers: return answer_producers(pending);
        default: KLAMM_UNREACHABLE();
    }
}

}  // namespace klamm::server
