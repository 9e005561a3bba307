#include "tests/client/fake_cluster.h"

#include "core/protocol/frame.h"
#include "core/record/batch.h"
#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/record.h"

namespace klamm::client::test {

namespace {

using protocol::ApiKey;
using protocol::ErrorCode;

class FakeBroker final : public env::Node {
  public:
    FakeBroker(FakeCluster& cluster, std::int32_t id) : cluster_(cluster), id_(id) {}

    void handle(env::Env& env, env::Event event) override {
        std::vector<net::Request> requests;
        if (std::holds_alternative<env::Started>(event)) {
            env.network().listen({"b" + std::to_string(id_), 9092}, env::ListenerId(1));
        } else if (const auto* accepted = std::get_if<env::Accepted>(&event)) {
            inbound_.accepted(env, *accepted, false);
        } else if (const auto* received = std::get_if<env::Received>(&event)) {
            inbound_.received(env, *received, requests);
        } else if (const auto* drained = std::get_if<env::Drained>(&event)) {
            inbound_.drained(env, *drained);
        } else if (const auto* closed = std::get_if<env::Closed>(&event)) {
            inbound_.closed(env, *closed);
        }
        for (const net::Request& request : requests) serve(env, request);
    }

  private:
    template <class Response>
    void answer(env::Env& env, const net::Request& request, const Response& response) {
        inbound_.respond(
            env, request.key,
            net::to_pieces(protocol::encode_response_frame(response, version_, correlation_)));
    }
    template <class Request>
    Request decoded(protocol::Reader& reader) {
        auto request = protocol::decode<Request>(reader.bytes(reader.remaining()), version_);
        KLAMM_ASSERT(request.ok());
        return *std::move(request);
    }

    void serve(env::Env& env, const net::Request& request) {
        protocol::Reader reader(request.frame.view());
        const auto header = protocol::decode_request_header(reader);
        KLAMM_ASSERT(header.ok());
        version_ = header->api_version;
        correlation_ = header->correlation_id;
        switch (header->api_key) {
            case ApiKey::api_versions: return serve_versions(env, request);
            case ApiKey::metadata: return serve_metadata(env, request);
            case ApiKey::produce: return serve_produce(env, request, reader);
            case ApiKey::fetch: return serve_fetch(env, request, reader);
            case ApiKey::list_offsets: return serve_list(env, request, reader);
            case ApiKey::offset_for_leader_epoch: return serve_epoch(env, request, reader);
            case ApiKey::init_producer_id: return serve_identity(env, request);
            default: KLAMM_UNREACHABLE();
        }
    }

    void serve_versions(env::Env& env, const net::Request& request) {
        protocol::ApiVersionsResponse response;
        if (version_ > cluster_.api_versions_max) {
            response.error_code = ErrorCode::unsupported_version;
            version_ = 0;
        }
        response.api_keys = {{ApiKey::produce, 0, cluster_.produce_max},
                             {ApiKey::fetch, 4, cluster_.fetch_max},
                             {ApiKey::list_offsets, 1, 10},
                             {ApiKey::metadata, 0, 13},
                             {ApiKey::api_versions, 0, cluster_.api_versions_max},
                             {ApiKey::init_producer_id, 0, 5},
                             {ApiKey::offset_for_leader_epoch, 2, 4}};
        answer(env, request, response);
    }

    void serve_metadata(env::Env& env, const net::Request& request) {
        ++cluster_.metadata_requests;
        std::vector<std::string> hosts;
        for (std::int32_t i = 0; i < cluster_.brokers; ++i)
            hosts.push_back("b" + std::to_string(i));
        protocol::MetadataResponse response;
        for (std::int32_t i = 0; i < cluster_.brokers; ++i)
            response.brokers.push_back(
                {BrokerId(i), hosts[static_cast<std::size_t>(i)], 9092, std::nullopt});
        protocol::MetadataResponseTopic topic;
        topic.name = cluster_.topic;
        if (cluster_.knows_topic) {
            topic.topic_id = cluster_.topic_id;
            for (std::int32_t p = 0; p < cluster_.partitions; ++p) {
                protocol::MetadataResponsePartition partition;
                partition.partition_index = PartitionIndex(p);
                partition.leader_id = cluster_.leader;
                partition.leader_epoch = cluster_.leader_epoch;
                if (cluster_.leader < BrokerId(0))
                    partition.error_code = ErrorCode::leader_not_available;
                topic.partitions.push_back(partition);
            }
        } else {
            topic.error_code = ErrorCode::unknown_topic_or_partition;
        }
        response.topics.push_back(topic);
        answer(env, request, response);
    }

    void serve_identity(env::Env& env, const net::Request& request) {
        protocol::InitProducerIdResponse response;
        if (cluster_.identity_failures > 0) {
            --cluster_.identity_failures;
            response.error_code = ErrorCode::coordinator_load_in_progress;
        } else {
            response.producer_id = ProducerId(1000 + cluster_.identities++);
        }
        answer(env, request, response);
    }

    ErrorCode append(ByteView bytes, Offset& base) {
        const record::BatchView batch(bytes);
        base = cluster_.end();
        if (batch.has_producer_id()) {
            auto [row, fresh] = cluster_.producers.try_emplace(
                batch.producer_id().value,
                FakeCluster::Producer{batch.producer_epoch().value, batch.base_sequence(), {}});
            FakeCluster::Producer& producer = row->second;
            if (batch.producer_epoch().value < producer.epoch)
                return ErrorCode::invalid_producer_epoch;
            if (batch.producer_epoch().value > producer.epoch) {
                if (batch.base_sequence() != 0) return ErrorCode::out_of_order_sequence_number;
                producer = {batch.producer_epoch().value, 0, {}};
            }
            for (const auto& recent : producer.recent) {
                if (recent.first != batch.base_sequence()) continue;
                if (recent.last != batch.last_sequence()) continue;
                base = recent.base;
                return ErrorCode::none;
            }
            if (batch.base_sequence() != producer.next)
                return ErrorCode::out_of_order_sequence_number;
            producer.next = record::increment_sequence(batch.last_sequence(), 1);
            producer.recent.push_back({batch.base_sequence(), batch.last_sequence(), base});
            if (producer.recent.size() > 5) producer.recent.pop_front();
        }
        Bytes copy(bytes.begin(), bytes.end());
        record::write_base_offset_and_epoch(copy, base, cluster_.leader_epoch);
        cluster_.log.push_back({base, cluster_.leader_epoch, std::move(copy)});
        return ErrorCode::none;
    }

    void serve_produce(env::Env& env, const net::Request& request, protocol::Reader& reader) {
        const auto asked = decoded<protocol::ProduceRequest>(reader);
        const auto& part = asked.topic_data.at(0).partition_data.at(0);
        const record::BatchView batch(part.records.bytes);
        KLAMM_ASSERT(batch.crc_holds());
        ProduceAct act;
        if (BrokerId(id_) != cluster_.leader) {
            act = {ErrorCode::not_leader_or_follower, false, ProduceAct::Then::answer};
        } else if (!cluster_.produce_acts.empty()) {
            act = cluster_.produce_acts.front();
            cluster_.produce_acts.pop_front();
        }
        protocol::ProduceResponsePartition told;
        told.error_code = act.error;
        told.log_start_offset = cluster_.log_start;
        if (act.append) {
            const ErrorCode error = append(part.records.bytes, told.base_offset);
            if (act.error == ErrorCode::none) told.error_code = error;
        }
        if (told.error_code != ErrorCode::none) told.base_offset = no_offset;
        if (cluster_.truthful_hints && version_ >= 10)
            told.current_leader = {cluster_.leader, cluster_.leader_epoch};
        cluster_.produced.push_back({BrokerId(id_), batch.producer_id().value,
                                     batch.producer_epoch().value, batch.base_sequence(),
                                     batch.record_count(), told.error_code});
        if (act.then == ProduceAct::Then::close) return inbound_.close(env, request.key.connection);
        if (act.then == ProduceAct::Then::silence) return;
        if (asked.acks == 0) return inbound_.respond_nothing(env, request.key);
        protocol::ProduceResponse response;
        response.responses.push_back(
            {asked.topic_data[0].name, asked.topic_data[0].topic_id, {told}});
        answer(env, request, response);
    }

    void serve_fetch(env::Env& env, const net::Request& request, protocol::Reader& reader) {
        const auto asked = decoded<protocol::FetchRequest>(reader);
        const auto& part = asked.topics.at(0).partitions.at(0);
        FetchAct act;
        if (BrokerId(id_) != cluster_.leader) act.error = ErrorCode::not_leader_or_follower;
        if (act.error == ErrorCode::none && part.current_leader_epoch < cluster_.leader_epoch)
            act.error = ErrorCode::fenced_leader_epoch;
        if (act.error == ErrorCode::none && !cluster_.fetch_acts.empty()) {
            act = cluster_.fetch_acts.front();
            cluster_.fetch_acts.pop_front();
        }
        protocol::FetchResponsePartition told;
        told.partition_index = part.partition;
        told.error_code = act.error;
        told.high_watermark = cluster_.end();
        told.log_start_offset = cluster_.log_start;
        Bytes bytes;
        if (act.error == ErrorCode::none) {
            const Offset common = end_of(part.last_fetched_epoch);
            if (part.last_fetched_epoch >= LeaderEpoch(0) && common < part.fetch_offset) {
                told.diverging_epoch = {part.last_fetched_epoch, common};
            } else if (part.fetch_offset > cluster_.end() ||
                       part.fetch_offset < cluster_.log_start) {
                told.error_code = ErrorCode::offset_out_of_range;
            } else {
                for (const Stored& stored : cluster_.log) {
                    if (record::BatchView(stored.bytes).next_offset() <= part.fetch_offset)
                        continue;
                    bytes.insert(bytes.end(), stored.bytes.begin(), stored.bytes.end());
                }
                if (act.corrupt && !bytes.empty()) bytes[70] ^= 1;
            }
        }
        told.records = protocol::Records::of(bytes);
        protocol::FetchResponse response;
        response.responses.push_back({asked.topics[0].topic, asked.topics[0].topic_id, {told}});
        answer(env, request, response);
    }

    [[nodiscard]] Offset end_of(LeaderEpoch epoch) const {
        for (const Stored& stored : cluster_.log)
            if (stored.epoch > epoch) return stored.base;
        return cluster_.end();
    }

    void serve_list(env::Env& env, const net::Request& request, protocol::Reader& reader) {
        ++cluster_.lists;
        const auto asked = decoded<protocol::ListOffsetsRequest>(reader);
        protocol::ListOffsetsResponsePartition told;
        told.partition_index = asked.topics.at(0).partitions.at(0).partition_index;
        const bool latest = asked.topics.at(0).partitions.at(0).timestamp == Timestamp(-1);
        if (BrokerId(id_) != cluster_.leader) {
            told.error_code = ErrorCode::not_leader_or_follower;
        } else {
            told.offset = latest ? cluster_.end() : cluster_.log_start;
            told.leader_epoch =
                latest || cluster_.log.empty() ? cluster_.leader_epoch : cluster_.log.front().epoch;
        }
        protocol::ListOffsetsResponse response;
        response.topics.push_back({asked.topics[0].name, {told}});
        answer(env, request, response);
    }

    void serve_epoch(env::Env& env, const net::Request& request, protocol::Reader& reader) {
        ++cluster_.validations;
        const auto asked = decoded<protocol::OffsetForLeaderEpochRequest>(reader);
        const auto& part = asked.topics.at(0).partitions.at(0);
        protocol::OffsetForLeaderEpochResponsePartition told;
        told.leader_epoch = part.leader_epoch;
        told.end_offset = end_of(part.leader_epoch);
        protocol::OffsetForLeaderEpochResponse response;
        response.topics.push_back({asked.topics[0].topic, {told}});
        answer(env, request, response);
    }

    FakeCluster& cluster_;
    std::int32_t id_;
    net::Inbound inbound_{net::InboundLimits{}};
    std::int16_t version_ = 0;  // of the request being served
    std::int32_t correlation_ = 0;
};

}  // namespace

Offset FakeCluster::end() const {
    return log.empty() ? log_start : record::BatchView(log.back().bytes).next_offset();
}

void FakeCluster::truncate(Offset to) {
    while (!log.empty() && log.back().base >= to) log.pop_back();
}

void FakeCluster::append(const std::vector<std::uint64_t>& values) {
    record::BatchOptions options;
    options.base_offset = end();
    options.leader_epoch = leader_epoch;
    record::BatchBuilder builder(options);
    for (const std::uint64_t value : values) {
        Bytes bytes(8);
        store_big_endian(bytes.data(), value);
        builder.append(Timestamp(1), std::nullopt, ByteView(bytes));
    }
    log.push_back({options.base_offset, leader_epoch, builder.build()});
}

std::vector<std::uint64_t> FakeCluster::values() const {
    std::vector<std::uint64_t> all;
    for (const Stored& stored : log) {
        const auto plain = record::plain_records(record::BatchView(stored.bytes), 1 << 20);
        KLAMM_ASSERT(plain.ok());
        record::for_each_record(plain->records, [&](const record::Record& one) {
            all.push_back(load_big_endian<std::uint64_t>(one.value->data()));
        });
    }
    return all;
}

sim::NodeSpec fake_broker(FakeCluster& cluster, std::int32_t id) {
    sim::NodeSpec spec;
    spec.name = "b" + std::to_string(id);
    spec.factory = [&cluster, id](env::ShardIndex, env::ShardIndex) {
        return std::make_unique<FakeBroker>(cluster, id);
    };
    return spec;
}

}  // namespace klamm::client::test
