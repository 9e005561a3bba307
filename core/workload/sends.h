#pragma once
// The sends of a producing node: states SendInvoked for each record that goes in and SendReturned
// for each that comes back, and counts them.

#include <vector>

#include "core/client/producer.h"
#include "core/workload/options.h"

namespace klamm::workload {

class Sends {
  public:
    Sends(std::uint32_t client, const std::string& topic, std::int16_t acks)
        : client_(client), topic_(topic), acks_(acks) {}

    /// Sends record `number`; counts it as dropped when the producer's buffer is full.
    bool send(env::Env& env, client::Producer& producer, std::uint32_t number,
              std::int32_t partition, std::optional<ByteView> key, std::size_t value_size);
    /// Sends record `number` with this payload behind the bytes that name it.
    bool send(env::Env& env, client::Producer& producer, std::uint32_t number,
              std::int32_t partition, std::optional<ByteView> key, ByteView payload);
    /// States and counts what came back; an acknowledgement that cannot say where the record is
    /// counts as unknown.
    void returned(env::Env& env, std::vector<client::Delivery>& deliveries);

    [[nodiscard]] const Counts& counts() const { return counts_; }
    [[nodiscard]] Counts& counts() { return counts_; }

  private:
    bool send_bytes(env::Env& env, client::Producer& producer, std::uint32_t number,
                    std::int32_t partition, std::optional<ByteView> key, ByteView bytes);

    std::uint32_t client_;
    std::string topic_;
    std::int16_t acks_;
    Counts counts_;
};

}  // namespace klamm::workload
