// Snapshots on their way: out to other replicas, up to the state machine, and down from it.
#include <algorithm>

#include "core/protocol/messages/quorum_control_records.h"
#include "core/raft/control.h"
#include "core/record/builder.h"
#include "core/record/control.h"
#include "core/server/quorum.h"

namespace klamm::server {

namespace {

constexpr std::uint64_t part_bytes = 9 << 20;  // more than any batch has

}  // namespace

void Quorum::take_snapshot_reads() {
    for (QuorumSnapshots::Read& read : log_.take_snapshot_reads()) {
        if (snapshot_due_.has_value() && read.tag == snapshot_due_->reading) {
            SnapshotDue& due = *snapshot_due_;
            due.reading = 0;
            std::uint64_t whole = 0;
            ByteView rest = read.bytes;
            ByteView one;
            while (record::next_batch(rest, one) == record::Peek::ok) whole += one.size();
            const auto& infos = log_.snapshots().infos();
            const auto info = std::find_if(infos.begin(), infos.end(),
                                           [&](const auto& row) { return row.id == due.id; });
            if (info == infos.end()) {
                replay();  // a newer one has taken its place
                continue;
            }
            if (whole == 0) {
                failure_ = "a snapshot of the metadata log cannot be read";
                return;
            }
            const bool first = due.position == 0;
            due.position += whole;
            const bool last = due.position >= info->size;
            news_.emplace_back(SnapshotPart{
                due.id, read.bytes.slice(0, static_cast<std::size_t>(whole)), first, last});
            if (!last) continue;
            handed_out_ = std::max(handed_out_, due.id.offset);
            snapshot_due_.reset();
            continue;
        }
        const auto row = serving_.find(read.tag);
        if (row == serving_.end()) continue;
        const Serving serving = std::move(row->second);
        serving_.erase(row);
        auto body = std::get<raft::FetchSnapshotResponse>(serving.body);
        if (read.bytes.size() != body.bytes) {
            body.error = protocol::ErrorCode::snapshot_not_found;
            body.bytes = 0;
            respond(serving.ticket, body);
        } else {
            respond(serving.ticket, body, {std::move(read.bytes)});
        }
    }
}

void Quorum::hand_out_snapshot() {
    if (!snapshot_due_.has_value() || snapshot_due_->reading != 0 || cut_pending_) return;
    snapshot_due_->reading = ++tags_;
    log_.snapshots().read(*env_, snapshot_due_->reading, snapshot_due_->id, snapshot_due_->position,
                          part_bytes);
}

bool Quorum::begin_snapshot(env::Env& env, Offset end, Timestamp last) {
    if (!ready() || making_snapshot() || cut_pending_ || log_.cutting()) return false;
    const raft::LogView view = log_.view();
    const raft::LogId id{view.epochs->epoch_for(end - 1), end};
    if (!raft_->may_snapshot(view, id)) return false;
    making_ = {id, Offset(0)};
    log_.snapshots().begin(env, id);
    record::BatchOptions options;
    options.leader_epoch = id.epoch;
    options.control = true;
    record::BatchBuilder builder(options);
    const auto append = [&](record::ControlType type, const Bytes& value) {
        builder.append(env.turn().wall, record::encode_control_key(type), value);
        ++making_.next;
    };
    append(record::ControlType::snapshot_header,
           protocol::encode(protocol::SnapshotHeaderRecord{0, last}, 0).bytes);
    const std::int16_t version = raft_->voters().version_at(end);
    const auto voters = raft_->voters().voters_at(end);
    if (version > 0 && voters.has_value()) {
        // As one control batch, which is read first by whoever begins with this snapshot.
        raft::ControlAppend control{id.epoch, making_.next, {}};
        control.records.emplace_back(raft::VersionChange{version});
        control.records.emplace_back(raft::VotersChange{*voters});
        for (const auto& [type, value] : raft::encode_control_values(control.records))
            append(type, value);
    }
    log_.snapshots().add(env, builder.build());
    return true;
}

void Quorum::add_to_snapshot(env::Env& env, const std::vector<Bytes>& values) {
    if (values.empty()) return;
    record::BatchOptions options;
    options.base_offset = making_.next;
    options.leader_epoch = making_.id.epoch;
    record::BatchBuilder builder(options);
    for (const Bytes& value : values)
        builder.append(env.turn().wall, std::nullopt, ByteView(value));
    making_.next = making_.next + static_cast<std::int64_t>(values.size());
    log_.snapshots().add(env, builder.build());
}

void Quorum::finish_snapshot(env::Env& env) {
    record::BatchOptions options;
    options.base_offset = making_.next;
    options.leader_epoch = making_.id.epoch;
    options.control = true;
    record::BatchBuilder builder(options);
    builder.append(env.turn().wall,
                   record::encode_control_key(record::ControlType::snapshot_footer),
                   protocol::encode(protocol::SnapshotFooterRecord{0}, 0).bytes);
    log_.snapshots().add(env, builder.build());
    log_.snapshots().finish(env);
}

}  // namespace klamm::server
