#include "core/server/group_host.h"

#include <fmt/format.h>

#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/record.h"

namespace klamm::server {

namespace {

/// Of a log, in one turn; a batch that is larger comes whole.
constexpr std::uint64_t load_bytes_max = 256 * 1024;
constexpr std::size_t decompressed_bytes_max = 64 * 1024 * 1024;
constexpr unsigned shard_bits = 8;  // of a caller

group::Caller caller_of(const ReplyTo& reply) {
    KLAMM_ASSERT(reply.shard < (1U << shard_bits));
    KLAMM_ASSERT(reply.pending < (std::uint64_t{1} << 40));
    return (reply.pending << (16 + shard_bits)) | (std::uint64_t{reply.part} << shard_bits) |
           reply.shard;
}
ReplyTo reply_of(group::Caller caller) {
    return {static_cast<env::ShardIndex>(caller & ((1U << shard_bits) - 1)),
            caller >> (16 + shard_bits),
            static_cast<std::uint32_t>((caller >> shard_bits) & 0xffff)};
}

Bytes batch_of(const std::vector<group::GroupLogRecord>& records, Timestamp wall) {
    record::BatchBuilder builder;
    for (const group::GroupLogRecord& one : records) {
        const group::KeyAndValue bytes = group::encode(one);
        builder.append(wall, ByteView(bytes.key),
                       bytes.value ? std::optional<ByteView>(*bytes.value) : std::nullopt);
    }
    return builder.build();
}

}  // namespace

group::Settings GroupHost::settings() const {
    const config::BrokerOptions& options = context_.settings.options;
    group::Settings settings;
    settings.session_ms_min = options.group_min_session_timeout_ms;
    settings.session_ms_max = options.group_max_session_timeout_ms;
    settings.initial_delay = milliseconds(options.group_initial_rebalance_delay_ms);
    settings.members_max = static_cast<std::size_t>(options.group_max_size);
    settings.metadata_bytes_max = static_cast<std::size_t>(options.offset_metadata_max_bytes);
    settings.retention = seconds(std::int64_t{options.offsets_retention_minutes} * 60);
    settings.retention_check = milliseconds(options.offsets_retention_check_interval_ms);
    settings.commit_timeout = milliseconds(options.offsets_commit_timeout_ms);
    return settings;
}

const ReplicaHost* GroupHost::look(const TopicPartition& partition) const {
    const auto at = hosts_.hosts().find(partition);
    return at == hosts_.hosts().end() ? nullptr : at->second.get();
}

const group::Coordinator* GroupHost::find(const TopicPartition& partition) const {
    const auto at = rows_.find(partition);
    return at == rows_.end() ? nullptr : &at->second.coordinator;
}

void GroupHost::on(const GroupCommand& command) {
    const auto at = rows_.find(command.partition);
    if (at == rows_.end()) {
        context_.post(
            command.reply.shard,
            GroupOutcome{command.reply, std::make_shared<const group::AnswerBody>(group::refusal(
                                            *command.command, ErrorCode::not_coordinator))});
        return;
    }
    follow_role(command.partition);
    const auto row = rows_.find(command.partition);
    if (row == rows_.end()) return on(command);
    row->second.coordinator.handle(context_.turn(), caller_of(command.reply), *command.command);
    settle(row->first, row->second);
}

// --- roles

void GroupHost::tick() {
    for (const TopicPartition& partition : context_.take_coordinated()) follow_role(partition);
    while (!deadlines_.empty() && deadlines_.begin()->first <= context_.now()) {
        const TopicPartition partition = deadlines_.begin()->second;
        Row& row = rows_.at(partition);
        row.coordinator.advance(context_.turn());
        settle(partition, row);
        if (row.deadline <= context_.now()) break;  // nothing was due after all
    }
}

Instant GroupHost::deadline_min() const {
    return deadlines_.empty() ? instant_never : deadlines_.begin()->first;
}

void GroupHost::follow_role(const TopicPartition& partition) {
    const ReplicaHost* host = look(partition);
    const LeaderEpoch leads = host == nullptr ? no_leader_epoch : host->leads_in();
    auto at = rows_.find(partition);
    if (at == rows_.end()) {
        if (leads == no_leader_epoch) return;
        at = rows_.emplace(partition, Row(settings())).first;
    }
    Row& row = at->second;
    const auto& log = row.coordinator.log();
    if (log.phase() != replicated::Phase::following && log.epoch() != leads) {
        row.coordinator.resign();
        row.reading = 0;
        row.corrupt = false;
        give_answers(row);
    }
    if (leads == no_leader_epoch) {
        deadlines_.erase({row.deadline, partition});
        rows_.erase(at);
        return;
    }
    if (log.phase() == replicated::Phase::following) return begin(partition, row, *host);
    if (log.phase() == replicated::Phase::loading) return read(partition, row);
    if (log.pending() || log.waiting() > 0) settle(partition, row);
}

void GroupHost::begin(const TopicPartition& partition, Row& row, const ReplicaHost& host) {
    row.coordinator.begin_loading(host.leads_in(), host.log_start());
    read(partition, row);
}

// --- loading

void GroupHost::read(const TopicPartition& partition, Row& row) {
    if (row.reading != 0 || row.corrupt) return;
    const ReplicaHost& host = *look(partition);
    const Offset next = row.coordinator.log().end();
    if (next == host.log_end() && next <= host.high_watermark()) {
        row.coordinator.lead(context_.turn());
        if (const std::size_t groups = row.coordinator.groups().size(); groups > 0)
            context_.env().log(fmt::format(
                "coordinates {} groups at {} in epoch {}", groups,
                partition_name(group::offsets_topic, partition.partition), host.leads_in().value));
        return settle(partition, row);
    }
    if (next >= host.high_watermark()) return;  // its moving is told
    row.reading = ++reads_made_;
    reads_[row.reading] = partition;
    context_.post(context_.env().shard(),
                  ReadCommand{.reply = {context_.env().shard(), read_mark | row.reading, 0},
                              .partition = partition,
                              .offset = next,
                              .current_epoch = row.coordinator.log().epoch(),
                              .bytes_max = load_bytes_max,
                              .min_one = true,
                              .copied = true});
}

void GroupHost::on(const ReadOutcome& outcome) {
    const auto read_row = reads_.extract(outcome.reply.pending & ~read_mark);
    KLAMM_ASSERT(!read_row.empty());
    const TopicPartition partition = read_row.mapped();
    const auto at = rows_.find(partition);
    // Of a leadership that is over.
    if (at == rows_.end() || at->second.reading != read_row.key()) return;
    Row& row = at->second;
    row.reading = 0;
    if (outcome.error == ErrorCode::offset_out_of_range) {
        // The log's start has moved past it.
        row.coordinator.resign();
        give_answers(row);
        return follow_role(partition);
    }
    if (outcome.error != ErrorCode::none) return;  // the role follows, and is told
    for (const env::Piece& piece : outcome.pieces) {
        const Status loaded = load(row, std::get<Buffer>(piece).view());
        if (loaded.ok()) continue;
        row.corrupt = true;
        context_.env().log(fmt::format("the groups of partition {} cannot be loaded: {}",
                                       partition.partition.value, loaded.error().text));
        return;
    }
    if (outcome.served_to > row.coordinator.log().end())
        row.coordinator.loaded_to(outcome.served_to);
    // The next slice in a later turn.
    context_.post_later(LoadNext{partition});
}

void GroupHost::on(const LoadNext& next) { follow_role(next.partition); }

Status GroupHost::load(Row& row, ByteView batches) {
    const Offset from = row.coordinator.log().end();
    ByteView rest = batches;
    ByteView bytes;
    while (record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        if (!batch.crc_holds()) return Error{Failure::corrupt, "a batch fails its checksum"};
        if (batch.is_control() || batch.is_transactional()) continue;  // no transactions yet
        auto plain = record::plain_records(batch, decompressed_bytes_max);
        if (!plain.ok()) return plain.error();
        Status status;
        const bool whole = record::for_each_record(plain->records, [&](const record::Record& one) {
            if (!status.ok() || !one.key || record::record_offset(batch, one) < from) return;
            auto decoded = group::decode(*one.key, one.value);
            if (!decoded.ok())
                status = decoded.error();
            else if (*decoded)
                row.coordinator.load(**decoded);
        });
        KLAMM_TRY(status);
        if (!whole) return Error{Failure::corrupt, "a batch ends within a record"};
    }
    return {};
}

// --- writes and answers

void GroupHost::settle(const TopicPartition& partition, Row& row) {
    const auto& log = row.coordinator.log();
    for (bool again = true; again;) {
        again = false;
        while (row.coordinator.has_write()) append(row, *hosts_.find(partition));
        if (log.leading() && (log.pending() || log.waiting() > 0)) {
            const Offset watermark = look(partition)->high_watermark();
            row.coordinator.on_high_watermark(context_.turn(), watermark);
            again = row.coordinator.has_write();
        }
    }
    give_answers(row);
    const Instant deadline = row.coordinator.deadline_min();
    if (deadline == row.deadline) return;
    deadlines_.erase({row.deadline, partition});
    row.deadline = deadline;
    if (deadline != instant_never) deadlines_.emplace(deadline, partition);
}

void GroupHost::append(Row& row, ReplicaHost& host) {
    group::Write write = row.coordinator.take_write();
    const Turn& turn = context_.turn();
    const auto appended = host.append(Buffer::from(batch_of(write.records, turn.wall)),
                                      row.coordinator.log().epoch());
    if (appended.error == ErrorCode::none)
        row.coordinator.written(turn, std::move(write), appended.last);
    else
        row.coordinator.write_failed(turn, std::move(write), appended.error);
}

void GroupHost::give_answers(Row& row) {
    for (group::Answer& answer : row.coordinator.take_answers()) {
        const ReplyTo reply = reply_of(answer.caller);
        context_.post(
            reply.shard,
            GroupOutcome{reply, std::make_shared<const group::AnswerBody>(std::move(answer.body))});
    }
}

void GroupHost::follow_image() {
    std::set<std::string> topics;
    for (const auto& [id, topic] : context_.image->topics()) topics.insert(topic.name);
    std::set<std::string> gone;
    for (const std::string& name : topics_)
        if (!topics.contains(name)) gone.insert(name);
    topics_ = std::move(topics);
    if (gone.empty()) return;
    for (auto& [partition, row] : rows_) {
        row.coordinator.forget_topics(gone);
        settle(partition, row);
    }
}

}  // namespace klamm::server
