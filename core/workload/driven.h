#pragma once
// A producer and a consumer that do what somebody outside of the world posts to them, one parcel an
// operation, and keep what came of each until it is taken. They state the same facts as the clients
// that follow a schedule; each lives once.
//
// A value that is sent begins with the eight bytes that name the record (values.h), the caller's
// payload follows. Reading takes them off again.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "core/client/consumer.h"
#include "core/client/producer.h"
#include "core/env/env.h"
#include "core/workload/options.h"

namespace klamm::workload {

/// Posted to a DrivenProducer. `number` counts up from 0 and names the record.
struct SendOrder final : env::Parcel {
    std::uint32_t number = 0;
    std::int32_t partition = 0;
    std::optional<Bytes> key;
    Bytes payload;
    [[nodiscard]] std::uint64_t digest() const override;
};

/// Posted to a DrivenConsumer. A poll waits until the partition's position is known.
struct ReadOrder final : env::Parcel {
    enum class What : std::uint8_t { poll, latest, to_start, to_end, to_offset };
    What what = What::poll;
    std::uint64_t operation = 0;
    std::int32_t partition = 0;
    Offset offset = no_offset;  // to_offset
    [[nodiscard]] std::uint64_t digest() const override;
};

class DrivenProducer final : public env::Node {
  public:
    /// Of the workload: client, options, topic.
    explicit DrivenProducer(const ProducerWorkload& workload);
    ~DrivenProducer() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    /// What came of a record; nothing yet, or it was taken before. A record that found no room in
    /// the buffer has failed.
    std::optional<client::Delivery> take(std::uint32_t number);

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

/// A record as the caller sent it.
struct ReadRecord {
    Offset offset;
    Timestamp timestamp;
    std::optional<Bytes> key;
    Bytes payload;
};

/// What came of one order.
struct ReadOutcome {
    protocol::ErrorCode error = protocol::ErrorCode::none;
    bool reset = false;         // what was read before may be gone; it goes on elsewhere
    Offset offset = no_offset;  // LATEST
    Offset log_start = no_offset;
    Offset high_watermark = no_offset;
    std::vector<ReadRecord> records;
};

class DrivenConsumer final : public env::Node {
  public:
    /// Of the workload: client, options, topic, partitions, from_earliest.
    explicit DrivenConsumer(const ConsumerWorkload& workload);
    ~DrivenConsumer() override;

    void handle(env::Env& env, env::Event event) override;
    [[nodiscard]] std::uint64_t state_digest() const override;

    /// What came of a poll or a question for LATEST; nothing yet, or it was taken before.
    std::optional<ReadOutcome> take(std::uint64_t operation);
    /// Where the next poll reads; nothing until it has been looked up.
    [[nodiscard]] std::optional<Offset> position(std::int32_t partition) const;

  private:
    class Body;
    std::unique_ptr<Body> body_;
};

env::NodeFactory driven_producer_factory(ProducerWorkload workload);
env::NodeFactory driven_consumer_factory(ConsumerWorkload workload);

}  // namespace klamm::workload
