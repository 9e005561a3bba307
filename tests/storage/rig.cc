#include "tests/storage/rig.h"

#include <algorithm>

namespace klamm::tests {

std::string inconsistency(const Rig& rig, const RecordingDisk& disk,
                          const storage::LogConfig& config) {
    log::LeaderEpochCache epochs;
    log::ProducerStateTable producers;
    producers.clear(rig.log->log_start());
    Offset next = rig.log->log_start();
    for (const storage::Segment& segment : rig.log->segments()) {
        if (segment.base != next) return "a segment does not begin where the one before ends";
        storage::Segment again;
        again.base = again.end = segment.base;
        const Bytes content = disk.content(segment.log);
        ByteView rest = content;
        ByteView bytes;
        std::vector<storage::TimeIndexEntry> greatest;
        while (record::next_batch(rest, bytes) == record::Peek::ok) {
            const record::BatchView batch(bytes);
            if (batch.base_offset() != next) return "offsets are not contiguous";
            if (!batch.crc_holds()) return "a bad checksum was accepted";
            again.note_batch(batch, config.index_interval_bytes);
            if (again.timestamp_max_offset == batch.last_offset()) {
                greatest.push_back({again.timestamp_max, again.timestamp_max_offset});
            }
            if (batch.leader_epoch() > epochs.latest_epoch()) {
                epochs.assign(batch.leader_epoch(), batch.base_offset());
            }
            again.note_aborted(producers.append(batch));
            next = batch.next_offset();
        }
        if (!rest.empty()) return "a segment ends in something else than a batch";
        if (segment.size != content.size()) return "a segment's size is wrong";
        if (segment.end != next) return "a segment's end is wrong";
        if (segment.entries != again.entries) return "the offset index differs";
        if (!(segment.aborted == again.aborted)) return "the aborted transactions differ";
        const Bytes index = disk.content(segment.index);
        const Bytes time_index = disk.content(segment.time_index);
        if (index != segment.encode_index(0)) return "the offset index file differs";
        if (time_index != segment.encode_time_index(0)) return "the time index file differs";
        // The time index has what recomputation gives, and may have the entry of a clean close.
        for (const storage::TimeIndexEntry& entry : segment.time_entries) {
            if (std::find(greatest.begin(), greatest.end(), entry) == greatest.end()) {
                return "a time index entry is not a greatest timestamp";
            }
        }
        for (const storage::TimeIndexEntry& entry : again.time_entries) {
            const auto& all = segment.time_entries;
            if (std::find(all.begin(), all.end(), entry) == all.end()) {
                return "a time index entry is missing";
            }
        }
        if (segment.timestamp_max != again.timestamp_max) return "the greatest timestamp differs";
        if (&segment != &rig.log->segments().back()) continue;
        if (segment.timestamp_first != again.timestamp_first) return "the first timestamp differs";
        if (segment.bytes_since_entry != again.bytes_since_entry) return "the index would drift";
    }
    if (next != rig.log->log_end()) return "the log end is wrong";
    const auto& had = rig.log->epoch_cache().entries();
    if (had != epochs.entries()) return "the epoch cache differs";
    const auto& known = rig.log->producer_state();
    if (known.end() != next) return "the producers' offset is wrong";
    if (known.entries().size() != producers.entries().size()) return "the producers differ";
    for (const auto& [id, entry] : producers.entries()) {
        const log::ProducerEntry* found = known.find(id);
        if (found == nullptr) return "a producer is missing";
        if (found->epoch != entry.epoch || found->last_sequence() != entry.last_sequence() ||
            found->last_offset() != entry.last_offset() ||
            found->last_timestamp != entry.last_timestamp) {
            return "a producer's last batch differs";
        }
        for (std::size_t i = 1; i <= found->batch_count; ++i) {
            if (i > entry.batch_count) return "a producer remembers too much";
            if (found->batches[found->batch_count - i] != entry.batches[entry.batch_count - i]) {
                return "a producer's batches differ";
            }
        }
    }
    return "";
}

}  // namespace klamm::tests
