// From what coordinators and partitions answer to responses. Texts are views: of the request's
// frame, and of the parts, until the response is encoded.
#include "core/protocol/messages/add_offsets_to_txn.h"
#include "core/protocol/messages/add_partitions_to_txn.h"
#include "core/protocol/messages/describe_producers.h"
#include "core/protocol/messages/describe_transactions.h"
#include "core/protocol/messages/end_txn.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_transactions.h"
#include "core/protocol/messages/write_txn_markers.h"
#include "core/server/transaction_requests.h"

namespace klamm::server {

namespace {

/// Before these versions a producer knows of fencing by another name (KIP-588).
constexpr std::int16_t knows_fenced_from = 2;
constexpr std::int16_t init_knows_fenced_from = 4;

ErrorCode fenced_as(ErrorCode error, std::int16_t version, std::int16_t from) {
    return error == ErrorCode::producer_fenced && version < from ? ErrorCode::invalid_producer_epoch
                                                                 : error;
}

/// The request again: it was decoded once, and its frame is the same.
template <class Request>
Request decoded(const Incoming& request) {
    auto body = protocol::decode<Request>(request.body, request.version);
    KLAMM_ASSERT(body.ok());
    return std::move(*body);
}

}  // namespace

void TransactionRequests::answer_init(const Pending& pending) {
    const auto& done = std::get<transaction::ProducerAnswer>(pending.parts.front());
    protocol::InitProducerIdResponse response;
    response.error_code = fenced_as(done.error, pending.request.version, init_knows_fenced_from);
    response.producer_id = done.producer;
    response.producer_epoch = done.epoch;
    answer(pending.request, response);
}

void TransactionRequests::answer_add(const Pending& pending) {
    const auto body = decoded<protocol::AddPartitionsToTxnRequest>(pending.request);
    const std::int16_t version = pending.request.version;
    protocol::AddPartitionsToTxnResponse response;
    std::size_t named = 0;
    const auto fill = [&](const auto& topics, const auto& part, auto& rows) {
        const auto& done = std::get<transaction::PartitionsAnswer>(part);
        std::size_t asked = 0;
        for (const auto& topic : topics) {
            auto& row = rows.emplace_back();
            row.name = topic.name;
            for (const PartitionIndex partition : topic.partitions) {
                ErrorCode error = pending.errors.at(named++);
                if (error == ErrorCode::none)
                    error =
                        done.error != ErrorCode::none ? done.error : done.partitions.at(asked++);
                auto& one = row.results_by_partition.emplace_back();
                one.partition_index = partition;
                one.partition_error_code = fenced_as(error, version, knows_fenced_from);
            }
        }
    };
    if (version < 4) {
        fill(body.v3_and_below_topics, pending.parts.front(),
             response.results_by_topic_v3_and_below);
    } else {
        for (std::size_t i = 0; i < body.transactions.size(); ++i) {
            auto& row = response.results_by_transaction.emplace_back();
            row.transactional_id = body.transactions[i].transactional_id;
            fill(body.transactions[i].topics, pending.parts.at(i), row.topic_results);
        }
    }
    answer(pending.request, response);
}

void TransactionRequests::answer_add_offsets(const Pending& pending) {
    const auto& done = std::get<transaction::PartitionsAnswer>(pending.parts.front());
    protocol::AddOffsetsToTxnResponse response;
    response.error_code = fenced_as(done.error, pending.request.version, knows_fenced_from);
    answer(pending.request, response);
}

void TransactionRequests::answer_end(const Pending& pending) {
    const auto& done = std::get<transaction::ProducerAnswer>(pending.parts.front());
    protocol::EndTxnResponse response;
    response.error_code = fenced_as(done.error, pending.request.version, knows_fenced_from);
    response.producer_id = done.producer;
    response.producer_epoch = done.epoch;
    answer(pending.request, response);
}

void TransactionRequests::answer_markers(const Pending& pending) {
    const auto body = decoded<protocol::WriteTxnMarkersRequest>(pending.request);
    protocol::WriteTxnMarkersResponse response;
    std::size_t named = 0;
    for (const auto& of : body.markers) {
        auto& marker = response.markers.emplace_back();
        marker.producer_id = of.producer_id;
        for (const auto& topic : of.topics) {
            auto& row = marker.topics.emplace_back();
            row.name = topic.name;
            for (const PartitionIndex partition : topic.partition_indexes)
                row.partitions.push_back(
                    {.partition_index = partition, .error_code = pending.errors.at(named++)});
        }
    }
    answer(pending.request, response);
}

void TransactionRequests::answer_describe(const Pending& pending) {
    const auto body = decoded<protocol::DescribeTransactionsRequest>(pending.request);
    protocol::DescribeTransactionsResponse response;
    for (std::size_t i = 0; i < body.transactional_ids.size(); ++i) {
        const auto& part = std::get<transaction::DescribeAnswer>(pending.parts.at(i));
        auto& row = response.transaction_states.emplace_back();
        row.transactional_id = body.transactional_ids[i];
        row.error_code = part.error;
        if (!part.transaction) continue;
        const transaction::Transaction& known = *part.transaction;
        row.transaction_state = transaction::to_string(known.state);
        row.transaction_timeout_ms = known.timeout_ms;
        row.transaction_start_time_ms = known.started_at;
        row.producer_id = known.producer;
        row.producer_epoch = known.epoch;
        for (const auto& [topic, partition] : known.partitions) {
            if (row.topics.empty() || row.topics.back().topic != topic)
                row.topics.push_back({.topic = topic, .partitions = {}});
            row.topics.back().partitions.push_back(partition);
        }
    }
    answer(pending.request, response);
}

void TransactionRequests::answer_list(const Pending& pending) {
    const auto body = decoded<protocol::ListTransactionsRequest>(pending.request);
    protocol::ListTransactionsResponse response;
    for (const std::string_view name : body.state_filters)
        if (!transaction::state_of(name)) response.unknown_state_filters.push_back(name);
    for (const auto& part : pending.parts) {
        const auto& listed = std::get<transaction::ListAnswer>(part);
        if (listed.error != ErrorCode::none) response.error_code = listed.error;
        for (const auto& one : listed.transactions)
            response.transaction_states.push_back(
                {.transactional_id = one.id,
                 .producer_id = one.producer,
                 .transaction_state = transaction::to_string(one.state)});
    }
    if (response.error_code != ErrorCode::none) response.transaction_states.clear();
    answer(pending.request, response);
}

void TransactionRequests::answer_producers(const Pending& pending) {
    const auto body = decoded<protocol::DescribeProducersRequest>(pending.request);
    protocol::DescribeProducersResponse response;
    std::size_t named = 0;
    for (const auto& topic : body.topics) {
        auto& row = response.topics.emplace_back();
        row.name = topic.name;
        for (const PartitionIndex partition : topic.partition_indexes) {
            auto& one = row.partitions.emplace_back();
            one.partition_index = partition;
            one.error_code = pending.errors.at(named);
            for (const auto& producer : pending.producers.at(named).producers)
                one.active_producers.push_back({.producer_id = producer.id,
                                                .producer_epoch = producer.epoch.value,
                                                .last_sequence = producer.last_sequence,
                                                .last_timestamp = producer.last_timestamp,
                                                .coordinator_epoch = producer.coordinator_epoch,
                                                .current_txn_start_offset = producer.start});
            ++named;
        }
    }
    answer(pending.request, response);
}

}  // namespace klamm::server
