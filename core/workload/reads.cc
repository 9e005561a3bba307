#include "core/workload/reads.h"

#include "core/workload/values.h"

namespace klamm::workload {

using protocol::ErrorCode;

void state_polled(env::Env& env, const client::Polled& polled) {
    if (!env.turn().facts_wanted()) return;
    const bool ok = polled.error == ErrorCode::none && !polled.reset;
    facts::PollReturned fact{polled.id,
                             polled.partition,
                             ok ? facts::Outcome::ok : facts::Outcome::failed,
                             static_cast<std::int16_t>(polled.error),
                             polled.log_start,
                             polled.high_watermark,
                             polled.reset,
                             {}};
    fact.records.reserve(polled.records.size());
    for (const client::ConsumedRecord& record : polled.records)
        fact.records.push_back({record.offset, value_of(record.value)});
    env.turn().state(fact);
}

void Reads::poll(env::Env& env, std::uint64_t operation, std::int32_t partition) {
    ++counts_.invoked;
    env.turn().state(
        facts::PollInvoked{operation, partition, *consumer_.position(topic_, partition)});
    consumer_.poll(env, operation, topic_, partition);
}

void Reads::ask_latest(env::Env& env, std::uint64_t operation, std::int32_t partition) {
    ++counts_.invoked;
    env.turn().state(facts::LatestInvoked{operation, partition});
    consumer_.list(env, operation, topic_, partition, client::latest_timestamp);
}

void Reads::restart(env::Env& env, std::uint64_t operation, std::int32_t partition,
                    config::OffsetReset end) {
    state_restart(env, operation, partition);
    consumer_.seek_to(topic_, partition, end);
}

void Reads::restart(env::Env& env, std::uint64_t operation, std::int32_t partition, Offset offset) {
    state_restart(env, operation, partition);
    consumer_.seek(topic_, partition, offset);
}

void Reads::state_restart(env::Env& env, std::uint64_t operation, std::int32_t partition) {
    ++counts_.invoked;
    ++counts_.ok;
    ++resets_;
    const Offset before = *consumer_.position(topic_, partition);
    env.turn().state(facts::PollInvoked{operation, partition, before});
    env.turn().state(facts::PollReturned{
        operation, partition, facts::Outcome::failed, 0, no_offset, no_offset, true, {}});
}

void Reads::returned(env::Env& env, client::Consumer::Results& results) {
    for (client::Polled& polled : results.polled) {
        if (polled.error == ErrorCode::offset_out_of_range) {
            consumer_.seek_to(topic_, polled.partition, config::OffsetReset::earliest);
            polled.reset = true;
        }
        const bool ok = polled.error == ErrorCode::none && !polled.reset;
        ++(ok ? counts_.ok : counts_.failed);
        resets_ += polled.reset ? 1 : 0;
        records_ += polled.records.size();
        state_polled(env, polled);
    }
    for (const client::Listed& listed : results.listed) {
        const bool ok = listed.error == ErrorCode::none && listed.offset > no_offset;
        ++(ok ? counts_.ok : counts_.failed);
        env.turn().state(facts::LatestReturned{
            listed.id, listed.partition, ok ? facts::Outcome::ok : facts::Outcome::failed,
            static_cast<std::int16_t>(listed.error), listed.epoch, listed.offset});
    }
}

}  // namespace klamm::workload
