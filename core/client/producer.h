#pragma once
// A producer by Kafka 4.1's rules (RecordAccumulator, Sender, TransactionManager): records gather
// in batches per partition by batch.size and linger.ms, up to max.in.flight requests a connection
// are under way, and retriable errors, timeouts and breakages are retried until
// delivery.timeout.ms. With idempotence a batch gets its sequence numbers at its first attempt and
// keeps them over retries; while one is retried, only the first batch in sequence is sent. A gap
// (an expired batch, a batch refused for good, lost producer state) bumps the epoch, which the
// client does by itself, as Kafka's has done since 4.0; only a used-up epoch takes a new
// InitProducerId.
//
// What always holds: every record accepted by send() comes back in exactly one Delivery; `failed`
// means that it is certainly not in the log by any attempt. Where Kafka gives new sequence numbers
// to a batch that may be in the log already, and so may write it twice, this producer gives it up
// as unknown instead.
//
// It does not split batches that the broker finds too large; those fail.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/client/cluster.h"
#include "core/client/producer_batch.h"
#include "core/protocol/messages/produce.h"

namespace klamm::client {

/// The fate of one record.
struct Delivery {
    std::uint64_t id = 0;
    facts::Outcome outcome = facts::Outcome::unknown;
    Offset offset = no_offset;  // when ok; no_offset with acks=0, and for a duplicate too old for
                                // the broker to know where it is
    protocol::ErrorCode error = protocol::ErrorCode::none;
};

class Producer {
  public:
    /// `entity` names this producer in draws.
    Producer(config::ProducerOptions options, std::uint64_t entity);

    /// Takes a record in; it leaves with a later advance(). False when the buffer is full
    /// (buffer.memory, 32 MiB): then nothing has happened.
    bool send(env::Env& env, std::uint64_t id, const std::string& topic, std::int32_t partition,
              std::optional<ByteView> key, ByteView value);

    /// Takes an event in if it is about this producer's connections.
    bool handle(env::Env& env, const env::Event& event, std::vector<Delivery>& deliveries);
    /// To be called once at the end of every turn: sends what may be sent, ends what is over.
    void advance(env::Env& env, std::vector<Delivery>& deliveries);
    /// When advance() must next be called, or instant_never.
    [[nodiscard]] Instant deadline() const;

    [[nodiscard]] std::size_t records_pending() const { return records_pending_; }
    [[nodiscard]] ProducerIdentity identity() const { return identity_; }
    /// Set when nothing can be produced any more (e.g. not authorised); all sends fail.
    [[nodiscard]] protocol::ErrorCode fatal() const { return fatal_; }
    [[nodiscard]] const Cluster& cluster() const { return cluster_; }

  private:
    using Key = std::pair<std::string, std::int32_t>;
    struct Partition {
        std::map<std::uint64_t, ProducerBatch> batches;  // in the order of their records
        ProducerIdentity producer;                       // that next_sequence counts for
        std::int32_t next_sequence = 0;
        std::int32_t last_acked = record::no_sequence;
        Offset last_acked_offset = no_offset;
        std::optional<std::int32_t> unresolved;  // sequence after a batch given up in doubt
        bool rewrite = false;                    // at the epoch bump that is due

        [[nodiscard]] bool any_sequenced() const {
            return !batches.empty() && batches.begin()->second.sequenced();
        }
    };
    /// A batch in a request, with what its answer needs if the batch is gone by then.
    struct Part {
        Key key;
        std::uint64_t number;
        ProducerIdentity producer;
        std::int32_t last_sequence;
    };
    struct Answer {
        protocol::ErrorCode error;
        Offset base_offset = no_offset;
        Offset log_start = no_offset;
    };

    void take(env::Env& env, const Reply& reply, std::vector<Delivery>& deliveries);
    void take_produce(env::Env& env, const Reply& reply, const std::vector<Part>& parts,
                      std::vector<Delivery>& deliveries);
    void take_identity(env::Env& env, const Reply& reply);
    void ended(env::Env& env, const Part& part, const Answer& answer,
               std::vector<Delivery>& deliveries);
    [[nodiscard]] bool can_retry(Partition& partition, const ProducerBatch& batch,
                                 const Answer& answer);
    void finish(Partition& partition, std::uint64_t number, facts::Outcome outcome,
                Offset base_offset, protocol::ErrorCode error, std::vector<Delivery>& deliveries);
    void finish_all(std::vector<Delivery>& deliveries);
    void expire(env::Env& env, std::vector<Delivery>& deliveries);

    // Sequences.
    void resolve_sequences();
    void request_bump(Partition& partition);
    void bump_if_requested(std::vector<Delivery>& deliveries);
    void restart_sequences(Partition& partition, std::vector<Delivery>& deliveries);
    void ask_identity(env::Env& env);

    // Sending.
    void drain(env::Env& env, std::vector<Delivery>& deliveries);
    [[nodiscard]] ProducerBatch* sendable(env::Env& env, const Key& key, Partition& partition,
                                          std::uint64_t& number, BrokerId& leader);
    void send_request(env::Env& env, BrokerId broker, std::vector<Part> parts,
                      std::vector<Delivery>& deliveries);
    void prepare(Partition& partition, ProducerBatch& batch, std::vector<Delivery>& deliveries);
    void wake(Instant when) { wake_ = std::min(wake_, when); }

    config::ProducerOptions options_;
    std::uint64_t entity_;
    Cluster cluster_;
    std::map<Key, Partition> partitions_;
    std::map<std::uint64_t, std::vector<Part>> requests_;  // by tag
    std::uint64_t tag_ = 1;                                // the last one used; 1 is InitProducerId
    std::uint64_t batch_number_ = 0;
    ProducerIdentity identity_;
    bool bump_requested_ = false;
    bool identity_in_flight_ = false;
    Instant identity_not_before_;
    std::uint64_t identity_failures_ = 0;
    std::size_t records_pending_ = 0;
    std::size_t bytes_pending_ = 0;
    protocol::ErrorCode fatal_ = protocol::ErrorCode::none;
    Instant wake_ = instant_never;
};

}  // namespace klamm::client
