// What the controller answers, and the metadata log: committed batches are applied to a copy of the
// image, which then goes to every shard.
#include <algorithm>
#include <memory>

#include "core/metadata/change_records.h"
#include "core/protocol/messages/allocate_producer_ids.h"
#include "core/protocol/messages/alter_partition.h"
#include "core/protocol/messages/broker_heartbeat.h"
#include "core/protocol/messages/broker_registration.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/quorum_fetch_snapshot.h"
#include "core/record/batch.h"
#include "core/record/record.h"
#include "core/server/controller_link.h"

namespace klamm::server {

namespace {

// A broker that waits to be unfenced, or to be let go, asks more often than one that only keeps its
// lease.
constexpr Duration impatient_heartbeat = milliseconds(100);

template <class Response>
Result<Response> decoded(const net::Answer& answer) {
    return protocol::decode_response_frame<Response>(answer.frame, answer.request.api_version,
                                                     answer.request.correlation);
}

}  // namespace

void ControllerLink::answered(const net::Answer& answer) {
    auto row = asked_.extract(answer.request.tag);
    switch (row.mapped().tag) {
        case Tag::registration: return on_registration(answer);
        case Tag::heartbeat: return on_heartbeat(answer);
        case Tag::alter_partition: return on_alter_partition(answer, row.mapped().alters);
        case Tag::producer_ids: return on_producer_ids(answer, *row.mapped().producer_ids);
        case Tag::fetch: return on_fetch(answer);
        case Tag::fetch_snapshot: return on_fetch_snapshot(answer);
    }
}

bool ControllerLink::not_active(ErrorCode error) {
    if (error != ErrorCode::not_controller) return false;
    want_controller(no_broker);
    return true;
}

void ControllerLink::on_registration(const net::Answer& answer) {
    registering_ = false;
    const auto response = decoded<protocol::BrokerRegistrationResponse>(answer);
    if (!response.ok() || response->error_code != ErrorCode::none) {
        if (response.ok()) (void)not_active(response->error_code);
        registration_due_ = context_.now() + retry_backoff;
        return;
    }
    context_.broker_epoch = response->broker_epoch;
    heartbeat_due_ = context_.now();
    fetch_due_ = context_.now();
    publish();
}

void ControllerLink::on_heartbeat(const net::Answer& answer) {
    heartbeating_ = false;
    const auto response = decoded<protocol::BrokerHeartbeatResponse>(answer);
    const bool impatient = !response.ok() || response->error_code != ErrorCode::none ||
                           response->is_fenced || shutting_down_;
    const Duration interval = milliseconds(context_.settings.options.broker_heartbeat_interval_ms);
    heartbeat_due_ =
        context_.now() + (impatient ? std::min(impatient_heartbeat, interval) : interval);
    if (context_.turn().maybe(Site::heartbeat_late,
                              static_cast<std::uint64_t>(context_.broker_epoch.value),
                              static_cast<std::uint64_t>(context_.now().nanoseconds)))
        heartbeat_due_ =
            context_.now() + milliseconds(context_.settings.options.broker_session_timeout_ms);
    if (response.ok()) (void)not_active(response->error_code);
    if (response.ok() && response->error_code == ErrorCode::none && response->should_shut_down)
        may_stop_ = true;
}

void ControllerLink::on_alter_partition(const net::Answer& answer,
                                        const std::vector<AlterIsrCommand>& alters) {
    altering_ = false;
    const auto response = decoded<protocol::AlterPartitionResponse>(answer);
    // Of one that was deposed meanwhile nobody knows what became of it.
    if (!response.ok() || not_active(response->error_code)) {
        for (const AlterIsrCommand& command : alters) fail_alter(command);
        return;
    }
    for (const AlterIsrCommand& command : alters) {
        AlterIsrOutcome outcome{.reply = command.reply,
                                .partition = command.partition,
                                .asked_epoch = command.leader_epoch,
                                .asked_partition_epoch = command.partition_epoch,
                                .answered = true,
                                .error = response->error_code};
        bool found = response->error_code != ErrorCode::none;
        for (const auto& topic : response->topics) {
            if (topic.topic_id != command.partition.topic) continue;
            for (const auto& partition : topic.partitions) {
                if (partition.partition_index != command.partition.partition) continue;
                found = true;
                outcome.error = partition.error_code;
                outcome.leader = partition.leader_id;
                outcome.leader_epoch = partition.leader_epoch;
                outcome.partition_epoch = partition.partition_epoch;
                outcome.isr = partition.isr;
            }
        }
        outcome.answered = found;
        context_.post(command.reply.shard, std::move(outcome));
    }
}

void ControllerLink::on_producer_ids(const net::Answer& answer, const ReplyTo& reply) {
    const auto response = decoded<protocol::AllocateProducerIdsResponse>(answer);
    ProducerIdsOutcome outcome{.reply = reply, .error = ErrorCode::network_exception};
    if (response.ok() && !not_active(response->error_code)) {
        outcome.error = response->error_code;
        outcome.first = response->producer_id_start;
        outcome.count = response->producer_id_len;
    }
    context_.post(reply.shard, outcome);
}

void ControllerLink::on_fetch(const net::Answer& answer) {
    fetching_ = false;
    fetch_due_ = context_.now();
    const auto response = decoded<protocol::FetchResponse>(answer);
    const bool sound = response.ok() && response->error_code == ErrorCode::none &&
                       response->responses.size() == 1 &&
                       response->responses.front().partitions.size() == 1;
    if (sound && in_quorum() && learn_leader(response->responses.front().partitions.front()))
        return;
    if (!sound || response->responses.front().partitions.front().error_code != ErrorCode::none) {
        fetch_due_ = context_.now() + retry_backoff;
        return;
    }
    const auto& partition = response->responses.front().partitions.front();
    if (in_quorum() && partition.snapshot_id.end_offset.value >= 0) {
        uncommitted_.clear();
        snapshot_ = Snapshot{partition.snapshot_id.end_offset, partition.snapshot_id.epoch, {}};
        return;
    }
    const Offset before = next_;
    if (in_quorum()) {
        committed_ = partition.high_watermark;
        const ByteView more = partition.records.bytes;
        uncommitted_.insert(uncommitted_.end(), more.begin(), more.end());
        if (committed_ == no_offset) return;  // the leader does not know yet
        const Bytes all = std::exchange(uncommitted_, {});
        if (!apply(all, committed_)) fetch_due_ = context_.now() + retry_backoff;
        ByteView rest = all;
        ByteView one;
        while (record::next_batch(rest, one) == record::Peek::ok)
            if (record::BatchView(one).base_offset() >= next_)
                uncommitted_.insert(uncommitted_.end(), one.begin(), one.end());
    } else if (!apply(partition.records.bytes, partition.high_watermark)) {
        fetch_due_ = context_.now() + retry_backoff;
    }
    if (goal_ == no_offset) goal_ = partition.high_watermark;
    const bool was_caught_up = std::exchange(caught_up_, caught_up_ || next_ >= goal_);
    if (next_ != before || caught_up_ != was_caught_up) publish();
}

void ControllerLink::on_fetch_snapshot(const net::Answer& answer) {
    fetching_ = false;
    fetch_due_ = context_.now();
    const auto response = decoded<protocol::FetchSnapshotResponse>(answer);
    const bool sound = snapshot_.has_value() && response.ok() &&
                       response->error_code == ErrorCode::none && response->topics.size() == 1 &&
                       response->topics.front().partitions.size() == 1;
    const auto* row = sound ? &response->topics.front().partitions.front() : nullptr;
    const bool goes_on = row != nullptr && row->error_code == ErrorCode::none &&
                         row->snapshot_id.end_offset == snapshot_->end &&
                         row->snapshot_id.epoch == snapshot_->epoch &&
                         row->position == static_cast<std::int64_t>(snapshot_->bytes.size()) &&
                         !row->unaligned_records.bytes.empty();
    if (!goes_on) {
        // Another leads, or has a newer one: the next fetch tells.
        snapshot_.reset();
        fetch_due_ = context_.now() + retry_backoff;
        return;
    }
    const ByteView more = row->unaligned_records.bytes;
    snapshot_->bytes.insert(snapshot_->bytes.end(), more.begin(), more.end());
    if (static_cast<std::int64_t>(snapshot_->bytes.size()) < row->size) return;
    const Snapshot whole = *std::exchange(snapshot_, {});
    if (restore(whole))
        publish();
    else
        fetch_due_ = context_.now() + retry_backoff;
}

bool ControllerLink::restore(const Snapshot& snapshot) {
    auto image = std::make_shared<metadata::ClusterImage>();
    ByteView rest = snapshot.bytes;
    ByteView bytes;
    bool sound = true;
    while (sound && record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        sound = batch.crc_holds() &&
                record::for_each_record(batch.records(), [&](const record::Record& record) {
                    if (batch.is_control() || !record.value) return;
                    const auto change = metadata::decode_change(*record.value);
                    if (!change.ok() || !change->has_value()) return;
                    if (!image->restore(**change, snapshot.end.value - 1).ok()) sound = false;
                });
    }
    if (!sound || !rest.empty()) {
        context_.env().log("a snapshot of the metadata cannot be read");
        return false;
    }
    context_.image = std::move(image);
    next_ = snapshot.end;
    last_epoch_ = snapshot.epoch;
    return true;
}

bool ControllerLink::learn_leader(const protocol::FetchResponsePartition& row) {
    const bool diverges =
        row.diverging_epoch.epoch != no_leader_epoch || row.diverging_epoch.end_offset != no_offset;
    const bool elsewhere = row.error_code == ErrorCode::fenced_leader_epoch ||
                           row.error_code == ErrorCode::unknown_leader_epoch ||
                           row.error_code == ErrorCode::not_leader_or_follower;
    if (!diverges && !elsewhere) return false;
    uncommitted_.clear();  // it may never be committed; what is applied is
    snapshot_.reset();
    if (elsewhere && row.current_leader.leader_epoch >= leader_epoch_) {
        leader_epoch_ = row.current_leader.leader_epoch;
        const BrokerId leader = row.current_leader.leader_id;
        const bool here = context_.settings.controllers[target_].id == leader;
        want_controller(leader);
        fetch_due_ = context_.now() + (here ? Duration{} : retry_backoff);
    } else if (elsewhere) {
        want_controller(no_broker);
        fetch_due_ = context_.now() + retry_backoff;
    }
    return true;
}

bool ControllerLink::apply(ByteView batches, Offset committed) {
    auto image = std::make_shared<metadata::ClusterImage>(*context_.image);
    bool changed = false;
    bool sound = true;
    while (sound && !batches.empty()) {
        std::size_t size = 0;
        if (record::peek_batch(batches, size) != record::Peek::ok) break;
        const record::BatchView batch(batches.first(size));
        batches = batches.subspan(size);
        if (!batch.crc_holds()) sound = false;
        if (batch.base_offset() != next_ || batch.next_offset() > committed) break;
        const bool read =
            record::for_each_record(batch.records(), [&](const record::Record& record) {
                if (batch.is_control() || !record.value) return;
                const auto change = metadata::decode_change(*record.value);
                if (!change.ok()) {
                    context_.env().log("a metadata record is not understood: " +
                                       change.error().text);
                } else if (change->has_value()) {
                    const Status applied =
                        image->apply(**change, record::record_offset(batch, record).value);
                    if (!applied.ok())
                        context_.env().log("a metadata record does not apply: " +
                                           applied.error().text);
                }
            });
        if (!read) sound = false;
        next_ = batch.next_offset();
        last_epoch_ = batch.leader_epoch();
        changed = true;
    }
    if (changed) context_.image = std::move(image);
    return sound;
}

void ControllerLink::publish() {
    for (env::ShardIndex shard = 0; shard < context_.env().shards(); ++shard)
        context_.post(shard, ImageArrived{context_.image, context_.broker_epoch, caught_up_});
}

}  // namespace klamm::server
