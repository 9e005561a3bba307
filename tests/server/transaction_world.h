#pragma once
// Brokers with the topics that transactions need, and a client that asks whoever leads now, and
// again until it is served.
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "core/protocol/messages/add_partitions_to_txn.h"
#include "core/protocol/messages/describe_transactions.h"
#include "core/protocol/messages/end_txn.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/record/control.h"
#include "tests/server/requests_for_tests.h"

namespace klamm::server::test {

using protocol::ErrorCode;

inline const Uuid state_id = uuid_from_halves(9, 8);
inline const Uuid group_offsets_id = uuid_from_halves(9, 9);

/// `trial` is led by broker 1, the transactions by the second, the groups by the third.
inline ClusterOptions with_transactions(int brokers = 3, env::ShardIndex shards = 1,
                                        std::uint64_t seed = 1) {
    ClusterOptions options;
    options.brokers = brokers;
    options.shards = shards;
    options.seed = seed;
    const auto internal = [&](const char* name, const Uuid& id, int first) {
        TopicPlan topic{.name = name,
                        .id = id,
                        .assignments = {{}},
                        .configs = {{"cleanup.policy", "compact"}}};
        for (int i = 0; i < brokers; ++i)
            topic.assignments.back().push_back(BrokerId(1 + (first + i) % brokers));
        options.more_topics.push_back(std::move(topic));
    };
    internal("__transaction_state", state_id, 1);
    internal("__consumer_offsets", group_offsets_id, 2);
    return options;
}

struct Identity {
    ProducerId producer = no_producer_id;
    ProducerEpoch epoch = no_producer_epoch;
};

/// Brokers, and a client that asks whoever leads now, again until it is served.
struct TransactionWorld {
    explicit TransactionWorld(ClusterOptions options)
        : cluster(std::move(options)), client(cluster.world), ready(cluster.ready()) {}

    BrokerId leader_of(const Uuid& topic) {
        const auto* state = cluster.metadata().image().partition({topic, PartitionIndex(0)});
        return state == nullptr ? no_broker : state->leader;
    }
    /// One attempt at the leader of a topic.
    template <class Request>
    auto once(const Uuid& topic, const Request& request, int version,
              Duration limit = seconds(10)) {
        const BrokerId leader = leader_of(topic);
        using Answer = decltype(client.call(std::size_t{}, request, version, limit));
        if (leader == no_broker) return Answer{};
        auto at = lines.find(leader);
        if (at == lines.end() || client.line(at->second).closed)
            at = lines
                     .insert_or_assign(leader,
                                       client.connect(fmt::format("broker-{}", leader.value)))
                     .first;
        auto answer = client.call(at->second, request, version, limit);
        if (!answer) {
            client.close(at->second);
            lines.erase(at);
        }
        return answer;
    }
    /// Until it is served by whoever leads.
    template <class Request, class Error>
    auto served(const Uuid& topic, const Request& request, int version, Error&& error_of) {
        const Instant until = cluster.world.now() + seconds(60);
        while (true) {
            auto answer = once(topic, request, version);
            const ErrorCode error = answer ? error_of(answer->body) : ErrorCode::network_exception;
            const bool again =
                error == ErrorCode::network_exception || error == ErrorCode::not_coordinator ||
                error == ErrorCode::coordinator_load_in_progress ||
                error == ErrorCode::coordinator_not_available ||
                error == ErrorCode::concurrent_transactions ||
                error == ErrorCode::not_leader_or_follower ||
                error == ErrorCode::not_enough_replicas || error == ErrorCode::offset_not_available;
            if (!again || cluster.world.now() > until) {
                REQUIRE(answer.has_value());
                return *answer;
            }
            cluster.world.run_for(milliseconds(50));
        }
    }
    Identity init(const std::string& id, std::int32_t timeout_ms = 60'000) {
        protocol::InitProducerIdRequest request;
        request.transactional_id = id;
        request.transaction_timeout_ms = timeout_ms;
        const auto answer =
            served(state_id, request, 4, [](const auto& body) { return body.error_code; });
        REQUIRE(answer->error_code == ErrorCode::none);
        return {answer->producer_id, answer->producer_epoch};
    }
    ErrorCode add(const std::string& id, const Identity& who) {
        protocol::AddPartitionsToTxnRequest request;
        request.v3_and_below_transactional_id = id;
        request.v3_and_below_producer_id = who.producer;
        request.v3_and_below_producer_epoch = who.epoch;
        request.v3_and_below_topics.push_back({.name = "trial", .partitions = {PartitionIndex(0)}});
        const auto error = [](const auto& body) {
            return body.results_by_topic_v3_and_below.at(0)
                .results_by_partition.at(0)
                .partition_error_code;
        };
        return error(served(state_id, request, 3, error).body);
    }
    static protocol::EndTxnRequest end_of(const std::string& id, const Identity& who, bool commit) {
        protocol::EndTxnRequest request;
        request.transactional_id = id;
        request.producer_id = who.producer;
        request.producer_epoch = who.epoch;
        request.committed = commit;
        return request;
    }
    ErrorCode end(const std::string& id, const Identity& who, bool commit) {
        const auto error = [](const auto& body) { return body.error_code; };
        return error(served(state_id, end_of(id, who, commit), 3, error).body);
    }
    Bytes batch(const Identity& who, std::int32_t sequence, const std::string& value) {
        record::BatchOptions options;
        options.producer_id = who.producer;
        options.producer_epoch = who.epoch;
        options.base_sequence = sequence;
        options.transactional = true;
        return batch_of({value}, options);
    }
    ErrorCode produce(const std::string& id, const Identity& who, std::int32_t sequence,
                      const std::string& value, int version = 9) {
        const Bytes bytes = batch(who, sequence, value);
        auto request = produce_of(bytes);
        request.transactional_id = id;
        const auto error = [](const auto& body) { return only(body).error_code; };
        return error(served(trial.topic, request, version, error).body);
    }
    struct Seen {
        std::vector<std::string> values;
        std::vector<std::pair<ProducerId, Offset>> aborted;
        Offset stable;
        Offset high_watermark;
    };
    Seen read(bool committed) {
        auto request = fetch_of(Offset(0));
        request.isolation_level = committed ? 1 : 0;
        const auto answer = served(trial.topic, request, 11,
                                   [](const auto& body) { return only(body).error_code; });
        const auto& row = only(answer.body);
        REQUIRE(row.error_code == ErrorCode::none);
        REQUIRE(row.aborted_transactions.has_value() == committed);
        Seen seen{{}, {}, row.last_stable_offset, row.high_watermark};
        if (committed)
            for (const auto& one : *row.aborted_transactions)
                seen.aborted.emplace_back(one.producer_id, one.first_offset);
        // As Kafka's consumer does it.
        std::set<ProducerId> out;
        std::size_t next = 0;
        ByteView rest = row.records.bytes;
        ByteView bytes;
        while (record::next_batch(rest, bytes) == record::Peek::ok) {
            const record::BatchView one(bytes);
            for (; next < seen.aborted.size() && seen.aborted[next].second <= one.last_offset();
                 ++next)
                out.insert(seen.aborted[next].first);
            if (one.is_control()) {
                out.erase(one.producer_id());
                continue;
            }
            if (one.is_transactional() && out.contains(one.producer_id())) continue;
            record::for_each_record(one.records(), [&](const record::Record& record) {
                seen.values.emplace_back(as_text(*record.value));
            });
        }
        return seen;
    }
    Offset latest(bool committed) {
        auto request = list_of(latest_time);
        request.isolation_level = committed ? 1 : 0;
        const auto answer =
            served(trial.topic, request, 6, [](const auto& body) { return only(body).error_code; });
        return only(answer.body).offset;
    }
    std::string state_of(const std::string& id) {
        protocol::DescribeTransactionsRequest request;
        request.transactional_ids.push_back(id);
        const auto answer = served(state_id, request, 0, [](const auto& body) {
            return body.transaction_states.at(0).error_code;
        });
        return std::string(answer->transaction_states.at(0).transaction_state);
    }
    bool comes_to(const std::string& id, const std::string& state) {
        for (int i = 0; i < 200; ++i) {
            if (state_of(id) == state) return true;
            cluster.world.run_for(milliseconds(100));
        }
        return false;
    }
    /// The kinds of the markers in the leader's log: 'c' or 'a', for each producer.
    std::map<ProducerId, std::string> markers() {
        auto request = fetch_of(Offset(0));
        const auto answer = served(trial.topic, request, 11,
                                   [](const auto& body) { return only(body).error_code; });
        std::map<ProducerId, std::string> found;
        ByteView rest = only(answer.body).records.bytes;
        ByteView bytes;
        while (record::next_batch(rest, bytes) == record::Peek::ok) {
            const record::BatchView one(bytes);
            if (!one.is_control() || one.producer_id() == no_producer_id) continue;
            record::for_each_record(one.records(), [&](const record::Record& record) {
                const auto type = *record::decode_control_key(*record.key);
                found[one.producer_id()] += type == record::ControlType::commit ? 'c' : 'a';
            });
        }
        return found;
    }

    Cluster cluster;
    ScriptClient client;
    bool ready;
    std::map<BrokerId, std::size_t> lines;
};

}  // namespace klamm::server::test
