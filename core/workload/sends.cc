#include "core/workload/sends.h"

#include "core/workload/values.h"

namespace klamm::workload {

bool Sends::send(env::Env& env, client::Producer& producer, std::uint32_t number,
                 std::int32_t partition, std::optional<ByteView> key, std::size_t value_size) {
    return send_bytes(env, producer, number, partition, key,
                      value_bytes(record_value(client_, number), value_size));
}

bool Sends::send(env::Env& env, client::Producer& producer, std::uint32_t number,
                 std::int32_t partition, std::optional<ByteView> key, ByteView payload) {
    Bytes bytes = value_bytes(record_value(client_, number), value_bytes_least);
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return send_bytes(env, producer, number, partition, key, bytes);
}

bool Sends::send_bytes(env::Env& env, client::Producer& producer, std::uint32_t number,
                       std::int32_t partition, std::optional<ByteView> key, ByteView bytes) {
    if (!producer.send(env, number, topic_, partition, key, bytes)) {
        ++counts_.dropped;
        return false;
    }
    ++counts_.invoked;
    env.turn().state(facts::SendInvoked{number, partition, record_value(client_, number), acks_});
    return true;
}

void Sends::returned(env::Env& env, std::vector<client::Delivery>& deliveries) {
    for (client::Delivery& delivery : deliveries) {
        const bool placed = acks_ == 0 || delivery.offset > no_offset;
        if (delivery.outcome == facts::Outcome::ok && !placed) {
            delivery.outcome = facts::Outcome::unknown;
        }
        switch (delivery.outcome) {
            case facts::Outcome::ok: ++counts_.ok; break;
            case facts::Outcome::failed: ++counts_.failed; break;
            case facts::Outcome::unknown: ++counts_.unknown; break;
        }
        env.turn().state(facts::SendReturned{delivery.id, delivery.outcome, delivery.offset,
                                             static_cast<std::int16_t>(delivery.error)});
    }
}

}  // namespace klamm::workload
