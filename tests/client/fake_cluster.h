#pragma once
// A small cluster that speaks Kafka's protocol and does what a test tells it: any number of brokers
// that share one log, check producer sequences as Kafka does, and answer single
// requests by script (errors, closed connections, silence). It replicates nothing and forgets
// nothing.

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/net/inbound.h"
#include "core/protocol/messages/api_versions.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/init_producer_id.h"
#include "core/protocol/messages/list_offsets.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/offset_for_leader_epoch.h"
#include "core/protocol/messages/produce.h"
#include "sim/world/world.h"

namespace klamm::client::test {

/// What happens to one Produce request.
struct ProduceAct {
    enum class Then : std::uint8_t { answer, close, silence };
    protocol::ErrorCode error = protocol::ErrorCode::none;  // answered if not none
    bool append = true;                                     // whether the log takes the batch
    Then then = Then::answer;
};

/// What one Fetch is answered with instead of the log's truth.
struct FetchAct {
    protocol::ErrorCode error = protocol::ErrorCode::none;
    bool corrupt = false;  // a byte of the first batch is turned over
};

struct SeenProduce {
    BrokerId broker;
    std::int64_t producer_id;
    std::int16_t producer_epoch;
    std::int32_t sequence;
    std::int32_t count;
    protocol::ErrorCode answer;
};

struct Stored {
    Offset base;
    LeaderEpoch epoch;
    Bytes bytes;
};

/// The state behind the brokers; tests change it between events.
struct FakeCluster {
    std::string topic = "trial";
    Uuid topic_id = uuid_from_halves(7, 7);
    std::int32_t brokers = 1;
    std::int32_t partitions = 1;  // of the topic; all of them show the one log
    BrokerId leader{0};
    LeaderEpoch leader_epoch{0};
    bool knows_topic = true;
    bool truthful_hints = false;  // current_leader in errors (KIP-951)
    std::int16_t api_versions_max = 4;
    std::int16_t produce_max = 13;
    std::int16_t fetch_max = 18;
    Offset log_start{0};
    std::vector<Stored> log;
    std::deque<ProduceAct> produce_acts;
    std::deque<FetchAct> fetch_acts;
    std::int32_t identity_failures = 0;  // of InitProducerId requests to come

    std::vector<SeenProduce> produced;
    std::int64_t identities = 0;
    std::int32_t metadata_requests = 0;
    std::int32_t validations = 0;
    std::int32_t lists = 0;

    [[nodiscard]] Offset end() const;
    void truncate(Offset to);
    /// Appends a batch of `values` as the leader.
    void append(const std::vector<std::uint64_t>& values);
    /// The 64-bit values of all records, by offset from log_start on.
    [[nodiscard]] std::vector<std::uint64_t> values() const;

    struct Producer {
        std::int16_t epoch;
        std::int32_t next;
        struct Recent {
            std::int32_t first;
            std::int32_t last;
            Offset base;
        };
        std::deque<Recent> recent;
    };
    std::map<std::int64_t, Producer> producers;
};

/// One broker of the cluster; its host name is "b<id>", its port 9092.
sim::NodeSpec fake_broker(FakeCluster& cluster, std::int32_t id);

}  // namespace klamm::client::test
