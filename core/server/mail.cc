#include "core/server/mail.h"

#include "core/base/checksum.h"
#include "core/metadata/image.h"

namespace klamm::server {

namespace {

std::uint64_t fold(std::uint64_t digest, const ReplyTo& reply) {
    return fold64(fold64(digest, reply.pending), (std::uint64_t{reply.shard} << 32) | reply.part);
}

std::uint64_t fold(std::uint64_t digest, const TopicPartition& partition) {
    return fold64(digest64(partition.topic.bytes, digest),
                  static_cast<std::uint64_t>(partition.partition.value));
}

std::uint64_t fold(std::uint64_t digest, std::int64_t number) {
    return fold64(digest, static_cast<std::uint64_t>(number));
}

// Enough of each value to tell two runs apart; no addresses.
struct Digest {
    std::uint64_t seed;

    std::uint64_t operator()(const ProduceCommand& v) const {
        return digest64(v.batch, fold(fold(seed, v.reply), v.partition));
    }
    std::uint64_t operator()(const ProduceOutcome& v) const {
        return fold(fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error)),
                    v.base_offset.value);
    }
    std::uint64_t operator()(const MarkerCommand& v) const {
        return fold(fold(fold(fold(seed, v.reply), v.partition), v.producer.value),
                    v.commit ? 1 : 0);
    }
    std::uint64_t operator()(const MarkerOutcome& v) const {
        return fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error));
    }
    std::uint64_t operator()(const ProducersCommand& v) const {
        return fold(fold(seed, v.reply), v.partition);
    }
    std::uint64_t operator()(const ProducersOutcome& v) const {
        return fold(fold(seed, v.reply), static_cast<std::int64_t>(v.producers.size()));
    }
    std::uint64_t operator()(const VerifyCommand& v) const {
        return fold(fold(seed, v.partition), v.producer.value);
    }
    std::uint64_t operator()(const VerifyOutcome& v) const {
        return fold(fold(seed, v.partition), static_cast<std::int64_t>(v.error));
    }
    std::uint64_t operator()(const ReadCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.offset.value);
    }
    std::uint64_t operator()(const ReadOutcome& v) const {
        const std::uint64_t base = fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error));
        return fold(fold(base, v.high_watermark.value), static_cast<std::int64_t>(v.bytes));
    }
    std::uint64_t operator()(const WatchCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.seen_end.value);
    }
    std::uint64_t operator()(const WatchFired& v) const { return fold(seed, v.reply); }
    std::uint64_t operator()(const OffsetCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.timestamp);
    }
    std::uint64_t operator()(const OffsetOutcome& v) const {
        return fold(fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error)), v.offset.value);
    }
    std::uint64_t operator()(const EpochEndCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.epoch.value);
    }
    std::uint64_t operator()(const EpochEndOutcome& v) const {
        return fold(fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error)), v.end.value);
    }
    std::uint64_t operator()(const DeleteRecordsCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.offset.value);
    }
    std::uint64_t operator()(const DeleteRecordsOutcome& v) const {
        return fold(fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error)),
                    v.low_watermark.value);
    }
    std::uint64_t operator()(const LogDirCommand& v) const { return fold(seed, v.reply); }
    std::uint64_t operator()(const LogDirOutcome& v) const {
        return fold(fold(seed, v.reply), static_cast<std::int64_t>(v.rows.size()));
    }
    std::uint64_t operator()(const ImageArrived& v) const {
        return fold(fold(seed, v.image->offset()), v.broker_epoch.value);
    }
    std::uint64_t operator()(const AlterIsrCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.partition_epoch.value);
    }
    std::uint64_t operator()(const AlterIsrOutcome& v) const {
        return fold(fold(fold(seed, v.reply), v.partition), v.partition_epoch.value);
    }
    std::uint64_t operator()(const DirectoryStarted& v) const {
        return fold(fold(seed, v.ready ? 1 : 0), v.previous_epoch.value);
    }
    std::uint64_t operator()(const CutNow& v) const { return fold(seed, v.partition); }
    std::uint64_t operator()(const ForwardCommand& v) const {
        return digest64(v.frame, fold(seed, v.reply));
    }
    std::uint64_t operator()(const ForwardOutcome& v) const {
        return digest64(v.frame, fold(fold(seed, v.reply), static_cast<std::int64_t>(v.error)));
    }
    std::uint64_t operator()(const CreateTopicCommand& v) const {
        return digest64(as_bytes(v.name), fold(seed, v.partitions));
    }
    std::uint64_t operator()(const RemoveNow& v) const { return fold(seed, v.partition); }
    std::uint64_t operator()(const GroupCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition),
                    static_cast<std::int64_t>(v.command->index()));
    }
    std::uint64_t operator()(const GroupOutcome& v) const {
        return fold(fold(seed, v.reply), static_cast<std::int64_t>(v.answer->index()));
    }
    std::uint64_t operator()(const TransactionCommand& v) const {
        return fold(fold(fold(seed, v.reply), v.partition),
                    static_cast<std::int64_t>(v.command->index()));
    }
    std::uint64_t operator()(const TransactionOutcome& v) const {
        return fold(fold(seed, v.reply), static_cast<std::int64_t>(v.answer->index()));
    }
    std::uint64_t operator()(const MarkersCommand& v) const {
        return fold(fold(seed, v.partition), v.markers.producer.value);
    }
    std::uint64_t operator()(const MarkersOutcome& v) const {
        return fold(fold(seed, v.partition), v.markers.producer.value);
    }
    std::uint64_t operator()(const LoadNext& v) const { return fold(seed, v.partition); }
    std::uint64_t operator()(const LogsOpened&) const { return seed; }
    std::uint64_t operator()(const CloseLogs& v) const { return fold(seed, v.broker_epoch.value); }
    std::uint64_t operator()(const LogsClosed& v) const { return fold(seed, v.clean ? 1 : 0); }
    std::uint64_t operator()(const DirectoryFailed&) const { return seed; }
    std::uint64_t operator()(const ProducerIdsCommand& v) const { return fold(seed, v.reply); }
    std::uint64_t operator()(const ProducerIdsOutcome& v) const {
        return fold(fold(seed, v.reply), v.first.value);
    }
};

}  // namespace

std::uint64_t ShardMail::digest() const { return std::visit(Digest{value.index() + 1}, value); }

}  // namespace klamm::server
