// Fetch: partitions are read one after another, each with what the ones before it left of
// max_bytes, and the answer leaves when there is min_bytes, an error, a divergence, a reader that
// is behind the active segment, or the wait is over. Until then each partition's shard is asked for
// word when there is more; then all are read again. Sessions (KIP-227) are not kept: session id 0
// tells the client to send whole fetches.
#include <algorithm>

#include "core/server/requests.h"

namespace klamm::server {

void Requests::handle_fetch(Incoming request) {
    auto body = protocol::decode<protocol::FetchRequest>(request.body, request.version);
    if (!body.ok()) return refuse(request, body.error().text);
    const std::uint64_t id = ++pending_made_;
    PendingFetch& pending = fetches_[id];
    const BrokerId follower =
        request.version >= 15 ? body->replica_state.replica_id : body->replica_id;
    const BrokerEpoch follower_epoch =
        request.version >= 15 ? body->replica_state.replica_epoch : no_broker_epoch;
    pending.request = std::move(request);
    pending.from_follower = follower.value >= 0;
    pending.bytes_max = static_cast<std::uint64_t>(
        std::clamp(body->max_bytes, 0, context_.settings.options.fetch_max_bytes));
    // As Kafka has it: nobody waits for more than an answer may hold.
    pending.min_bytes =
        std::min(static_cast<std::uint64_t>(std::max(0, body->min_bytes)), pending.bytes_max);
    pending.deadline = context_.now() + milliseconds(std::max(0, body->max_wait_ms));
    for (std::size_t t = 0; t < body->topics.size(); ++t) {
        for (const auto& partition : body->topics[t].partitions) {
            FetchPart part{.command = {},
                           .outcome = {},
                           .topic = t,
                           .partition = partition.partition,
                           .bytes_max = static_cast<std::uint64_t>(
                               std::max(0, partition.partition_max_bytes))};
            ErrorCode error = ErrorCode::none;
            const auto found = find(body->topics[t].topic, body->topics[t].topic_id,
                                    pending.request.version >= 13, partition.partition, error);
            if (found) {
                part.command.partition = *found;
                part.command.offset = partition.fetch_offset;
                part.command.current_epoch = partition.current_leader_epoch;
                part.command.last_fetched_epoch = partition.last_fetched_epoch;
                part.command.follower = pending.from_follower ? follower : no_broker;
                part.command.follower_epoch = follower_epoch;
                part.command.follower_log_start = partition.log_start_offset;
                part.command.committed =
                    !pending.from_follower && body->isolation_level == isolation_committed;
            } else {
                part.outcome = ReadOutcome{};
                part.outcome->error = error;
            }
            part.command.reply = {context_.env().shard(), id,
                                  static_cast<std::uint32_t>(pending.parts.size())};
            pending.parts.push_back(std::move(part));
        }
    }
    pending.body = std::move(*body);
    pending.timer = fetch_timers_.add(pending.deadline, id);
    read_next(id, pending);
}

void Requests::read_next(std::uint64_t id, PendingFetch& pending) {
    pending.reading = true;
    while (pending.next < pending.parts.size() && pending.parts[pending.next].outcome)
        ++pending.next;
    if (pending.next == pending.parts.size()) return fetch_gathered(id, pending);
    FetchPart& part = pending.parts[pending.next];
    part.command.bytes_max =
        std::min(part.bytes_max, pending.bytes_max - std::min(pending.bytes_max, pending.bytes));
    // KIP-74: the first batch of the first partition that has one is given whatever its size.
    part.command.min_one = pending.bytes == 0;
    context_.post(context_.owner_of(part.command.partition), part.command);
}

void Requests::on(ReadOutcome outcome) {
    const auto at = fetches_.find(outcome.reply.pending);
    KLAMM_ASSERT(at != fetches_.end());
    PendingFetch& pending = at->second;
    FetchPart& part = pending.parts[outcome.reply.part];
    KLAMM_ASSERT(outcome.reply.part == pending.next);
    pending.bytes += outcome.bytes;
    // Where Kafka fills a limit with a part of a batch, whole batches end before it.
    const bool cut = outcome.served_to != no_offset && outcome.served_to < outcome.readable_end;
    pending.there += cut ? std::max(outcome.bytes, part.command.bytes_max) : outcome.bytes;
    part.command.recheck = true;
    part.outcome = std::move(outcome);
    ++pending.next;
    read_next(at->first, pending);
}

void Requests::fetch_gathered(std::uint64_t id, PendingFetch& pending) {
    pending.reading = false;
    const bool at_once =
        std::any_of(pending.parts.begin(), pending.parts.end(), [](const FetchPart& part) {
            // Who is behind the active segment is not parked, whatever it waits for (Kafka's
            // DelayedFetch).
            return part.outcome->error != ErrorCode::none ||
                   part.outcome->diverging_end != no_offset || part.outcome->behind;
        });
    if (at_once || pending.parts.empty() || pending.there >= pending.min_bytes ||
        context_.now() >= pending.deadline || !inbound_.open(pending.request.key.connection))
        return answer_fetch(id, pending);
    if (std::exchange(pending.fired, false)) return restart_fetch(id, pending);
    if (std::exchange(pending.waiting, true)) return;
    for (const FetchPart& part : pending.parts) {
        const WatchCommand watch{part.command.reply,         part.command.partition,
                                 part.outcome->readable_end, pending.from_follower,
                                 pending.deadline,           part.command.committed};
        context_.post(context_.owner_of(part.command.partition), watch);
    }
}

void Requests::on(const WatchFired& fired) {
    const auto at = fetches_.find(fired.reply.pending);
    if (at == fetches_.end()) return;  // answered meanwhile
    at->second.waiting = false;
    if (at->second.reading)
        at->second.fired = true;
    else
        restart_fetch(at->first, at->second);
}

void Requests::restart_fetch(std::uint64_t id, PendingFetch& pending) {
    // Only a partition that could not be found keeps its outcome.
    for (FetchPart& part : pending.parts) {
        if (!part.outcome || part.command.partition.topic.is_zero()) continue;
        inbound_.release(part.outcome->pins);
        part.outcome.reset();
    }
    pending.bytes = 0;
    pending.there = 0;
    pending.next = 0;
    read_next(id, pending);
}

void Requests::drop_holding(net::Pin pin) {
    for (auto& [id, pending] : fetches_) {
        for (FetchPart& part : pending.parts) {
            if (!part.outcome || std::find(part.outcome->pins.begin(), part.outcome->pins.end(),
                                           pin) == part.outcome->pins.end())
                continue;
            // What is cut is no leader's: so the reader is told.
            inbound_.release(part.outcome->pins);
            part.outcome = ReadOutcome{.reply = part.command.reply,
                                       .error = ErrorCode::not_leader_or_follower};
        }
    }
}

void Requests::answer_fetch(std::uint64_t id, PendingFetch& pending) {
    fetch_timers_.cancel(pending.timer);
    protocol::FetchResponse response;
    std::vector<net::Pieces> externals;
    std::vector<net::Pin> pins;
    for (FetchPart& part : pending.parts) {
        if (response.responses.empty() || part.topic + 1 != response.responses.size()) {
            while (response.responses.size() <= part.topic) {
                const auto& topic = pending.body.topics[response.responses.size()];
                response.responses.push_back(
                    {.topic = topic.topic, .topic_id = topic.topic_id, .partitions = {}});
            }
        }
        ReadOutcome& outcome = *part.outcome;
        protocol::FetchResponsePartition row;
        row.partition_index = part.partition;
        row.error_code = outcome.error;
        row.high_watermark = outcome.high_watermark;
        row.last_stable_offset = outcome.last_stable;
        row.log_start_offset = outcome.log_start;
        row.records = protocol::Records::elsewhere(outcome.bytes);
        row.aborted_transactions = std::nullopt;
        if (part.command.committed) {
            auto& aborted = row.aborted_transactions.emplace();
            for (const log::AbortedTransaction& one : outcome.aborted)
                aborted.push_back({.producer_id = one.producer, .first_offset = one.first});
        }
        if (pending.request.version >= 12) {
            if (outcome.diverging_end != no_offset)
                row.diverging_epoch = {.epoch = outcome.diverging_epoch,
                                       .end_offset = outcome.diverging_end};
            if (pending.request.version >= 16 &&
                (outcome.error == ErrorCode::not_leader_or_follower ||
                 outcome.error == ErrorCode::fenced_leader_epoch))
                row.current_leader = {.leader_id = outcome.leader,
                                      .leader_epoch = outcome.leader_epoch};
        }
        response.responses.back().partitions.push_back(std::move(row));
        externals.push_back(std::move(outcome.pieces));
        pins.insert(pins.end(), outcome.pins.begin(), outcome.pins.end());
    }
    protocol::Encoded frame = protocol::encode_response_frame(response, pending.request.version,
                                                              pending.request.correlation);
    const net::RequestKey key = pending.request.key;
    inbound_.respond(context_.env(), key, net::to_pieces(std::move(frame), externals),
                     std::move(pins));
    fetches_.erase(id);
}

}  // namespace klamm::server
