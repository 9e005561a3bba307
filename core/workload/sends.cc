#include "core/workload/sends.h"

#include "core/workload/values.h"

namespace klamm::workload {

bool Sends::send(env::Env& env, client::Producer& producer, std::uint32_t number,
                 std::int32_t partition, std::optional<ByteView> key, std::size_t value_size) {
    const std::uint64_t value = record_value(client_, number);
    const Bytes bytes = value_bytes(value, value_size);
    if (!producer.send(env, number, topic_, partition, key, bytes)) {
        ++counts_.dropped;
        return false;
    }
    ++counts_.invoked;
    env.turn().state(facts::SendInvoked{number, partition, value, acks_});
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
