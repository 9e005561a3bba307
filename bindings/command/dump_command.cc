// The command `klamm dump-log`: the files of a log directory, as kafka-dump-log prints them. Which
// kind a file is, its name says.
#include <fmt/format.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "bindings/command/commands.h"
#include "core/log/leader_epoch_cache.h"
#include "core/log/producer_state.h"
#include "core/record/compression.h"
#include "core/record/control.h"
#include "core/record/record.h"
#include "core/storage/files.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::string_view dump_help =
    "usage: klamm dump-log [--json] [--records] FILE...\n"
    "\n"
    "Prints what stands in files of a log directory, as kafka-dump-log does:\n"
    "  *.log                  batches; with --records, their records too\n"
    "  *.index, *.timeindex   entries, held against the log beside them\n"
    "  *.snapshot             producers\n"
    "  *-checkpoint           offsets, or leader epochs\n"
    "A suffix .deleted, .cleaned or .swap behind such a name changes nothing. --json: one object "
    "a\n"
    "line.\n"
    "\n"
    "Exit status: 0 all is sound, 1 something is not, 4 a file cannot be read, 5 usage.\n";

constexpr std::size_t decompressed_bytes_max = 256U << 20;

using Json = nlohmann::ordered_json;

/// One file on its way out.
struct Dump {
    const Console& console;
    std::string path;
    bool json = false;
    bool records = false;
    bool sound = true;

    /// `text` for people, `object` for machines.
    void line(const std::string& text, Json object) const {
        if (!json) {
            console.out(text + "\n");
            return;
        }
        Json out{{"file", path}};
        out.update(object);
        console.out(out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    }
    void wrong(const std::string& sentence) {
        sound = false;
        line(sentence, {{"error", sentence}});
    }
};

std::optional<std::string> content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    std::stringstream content;
    content << file.rdbuf();
    return std::move(content).str();
}

void dump_records(Dump& dump, const record::BatchView& batch) {
    const auto plain = record::plain_records(batch, decompressed_bytes_max);
    if (!plain.ok()) return dump.wrong("records that cannot be read: " + plain.error().text);
    record::RecordIterator records(plain->records);
    for (record::Record record; records.next(record);) {
        const auto size = [](const std::optional<ByteView>& bytes) {
            return bytes ? static_cast<std::int64_t>(bytes->size()) : -1;
        };
        const std::int64_t offset = record::record_offset(batch, record).value;
        const std::int64_t time = record::record_timestamp(batch, record).value;
        const char* type = batch.is_log_append_time() ? "LogAppendTime" : "CreateTime";
        std::string text = fmt::format("| offset: {} {}: {} keySize: {} valueSize: {}", offset,
                                       type, time, size(record.key), size(record.value));
        Json object{{"offset", offset}, {"timestamp", time}};
        if (batch.is_control()) {
            const auto kind = record.key
                                  ? record::decode_control_key(*record.key)
                                  : Result<record::ControlType>(record::ControlType::unknown);
            if (kind.ok() && record.value &&
                (*kind == record::ControlType::commit || *kind == record::ControlType::abort)) {
                const char* name = *kind == record::ControlType::commit ? "COMMIT" : "ABORT";
                const auto marker = record::decode_end_transaction(*kind, *record.value);
                const int epoch = marker.ok() ? marker->coordinator_epoch : -1;
                text += fmt::format(" endTxnMarker: {} coordinatorEpoch: {}", name, epoch);
                object["endTxnMarker"] = name;
            }
        } else {
            const auto in = [](const std::optional<ByteView>& bytes) {
                return bytes ? std::string(as_text(*bytes)) : "null";
            };
            text += fmt::format(" key: {} payload: {}", in(record.key), in(record.value));
            object["key"] = record.key ? Json(in(record.key)) : Json();
            object["value"] = record.value ? Json(in(record.value)) : Json();
        }
        dump.line(text, object);
    }
    if (records.failed()) dump.wrong("bytes behind the records");
}

void dump_log(Dump& dump, std::string_view bytes, std::string_view base) {
    if (!dump.json) dump.console.out(fmt::format("Log starting offset: {}\n", base));
    ByteView rest = as_bytes(bytes);
    ByteView one;
    record::Peek peek{};
    while ((peek = record::next_batch(rest, one)) == record::Peek::ok) {
        const record::BatchView batch(one);
        const std::size_t position = bytes.size() - rest.size() - one.size();
        const bool valid = batch.crc_holds();
        const char* codec = batch.compression_id() < record::compression_count
                                ? record::to_string(batch.compression())
                                : "unknown";
        const std::string horizon =
            batch.has_delete_horizon()
                ? fmt::format("OptionalLong[{}]", batch.base_timestamp().value)
                : "OptionalLong.empty";
        dump.line(
            fmt::format(
                "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} "
                "producerId: {} producerEpoch: {} partitionLeaderEpoch: {} isTransactional: "
                "{} isControl: {} deleteHorizonMs: {} position: {} {}: {} size: {} magic: "
                "{} compresscodec: {} crc: {} isvalid: {}",
                batch.base_offset().value, batch.last_offset().value, batch.record_count(),
                batch.base_sequence(), batch.last_sequence(), batch.producer_id().value,
                batch.producer_epoch().value, batch.leader_epoch().value, batch.is_transactional(),
                batch.is_control(), horizon, position,
                batch.is_log_append_time() ? "LogAppendTime" : "CreateTime",
                batch.max_timestamp().value, one.size(), batch.magic(), codec, batch.crc(), valid),
            {{"baseOffset", batch.base_offset().value},
             {"lastOffset", batch.last_offset().value},
             {"count", batch.record_count()},
             {"baseSequence", batch.base_sequence()},
             {"lastSequence", batch.last_sequence()},
             {"producerId", batch.producer_id().value},
             {"producerEpoch", batch.producer_epoch().value},
             {"partitionLeaderEpoch", batch.leader_epoch().value},
             {"isTransactional", batch.is_transactional()},
             {"isControl", batch.is_control()},
             {"deleteHorizonMs",
              batch.has_delete_horizon() ? Json(batch.base_timestamp().value) : Json()},
             {"position", position},
             {"maxTimestamp", batch.max_timestamp().value},
             {"size", one.size()},
             {"compression", codec},
             {"crc", batch.crc()},
             {"valid", valid}});
        dump.sound = dump.sound && valid;
        if (dump.records && valid) dump_records(dump, batch);
    }
    if (!rest.empty())
        dump.wrong(fmt::format("no whole batch stands at position {}", bytes.size() - rest.size()));
}

/// The last offset of the batch at `position` of the log beside the index; nothing without one.
std::optional<std::int64_t> last_offset_at(const std::optional<std::string>& log,
                                           std::size_t position) {
    std::size_t size = 0;
    if (!log || position > log->size()) return std::nullopt;
    const ByteView rest = as_bytes(std::string_view(*log).substr(position));
    if (record::peek_batch(rest, size) != record::Peek::ok) return -1;
    return record::BatchView(rest.first(size)).last_offset().value;
}

void dump_index(Dump& dump, std::string_view bytes, std::int64_t base,
                const std::optional<std::string>& log) {
    const ByteView view = as_bytes(bytes);
    std::int64_t before = -1;
    for (std::size_t at = 0; at + storage::index_entry_bytes <= view.size();
         at += storage::index_entry_bytes) {
        const std::int64_t offset = base + load_big_endian<std::int32_t>(view.data() + at);
        const auto position = load_big_endian<std::uint32_t>(view.data() + at + 4);
        dump.line(fmt::format("offset: {} position: {}", offset, position),
                  {{"offset", offset}, {"position", position}});
        if (offset <= before) dump.wrong(fmt::format("offset {} is out of order", offset));
        if (last_offset_at(log, position).value_or(offset) != offset)
            dump.wrong(fmt::format("no batch that ends at {} begins at {}", offset, position));
        before = offset;
    }
    if (view.size() % storage::index_entry_bytes != 0) dump.wrong("a cut entry at the end");
}

void dump_time_index(Dump& dump, std::string_view bytes, std::int64_t base) {
    const ByteView view = as_bytes(bytes);
    std::int64_t before = std::numeric_limits<std::int64_t>::min();
    for (std::size_t at = 0; at + storage::time_index_entry_bytes <= view.size();
         at += storage::time_index_entry_bytes) {
        const auto time = load_big_endian<std::int64_t>(view.data() + at);
        const std::int64_t offset = base + load_big_endian<std::int32_t>(view.data() + at + 8);
        dump.line(fmt::format("timestamp: {} offset: {}", time, offset),
                  {{"timestamp", time}, {"offset", offset}});
        if (time < before) dump.wrong(fmt::format("timestamp {} is out of order", time));
        before = time;
    }
    if (view.size() % storage::time_index_entry_bytes != 0) dump.wrong("a cut entry at the end");
}

void dump_snapshot(Dump& dump, std::string_view bytes, std::int64_t base) {
    const auto producers = log::ProducerStateTable::from_snapshot(as_bytes(bytes), Offset(base));
    if (!producers.ok()) return dump.wrong(producers.error().text);
    for (const auto& [id, entry] : producers->entries()) {
        const std::string first = entry.transaction_start == no_offset
                                      ? "None"
                                      : fmt::format("Some({})", entry.transaction_start.value);
        std::string text = fmt::format(
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} "
            "lastTimestamp: {}",
            id.value, entry.epoch.value, entry.coordinator_epoch, first,
            entry.last_timestamp.value);
        Json object{{"producerId", id.value},
                    {"producerEpoch", entry.epoch.value},
                    {"coordinatorEpoch", entry.coordinator_epoch},
                    {"lastTimestamp", entry.last_timestamp.value},
                    {"lastSequence", entry.last_sequence()},
                    {"lastOffset", entry.last_offset().value}};
        if (entry.batch_count > 0) {
            const log::ProducerBatch& last = entry.batches[entry.batch_count - 1U];
            text += fmt::format(
                " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} "
                "timestamp: {}",
                last.base_sequence(), last.last_sequence, last.last_offset.value, last.offset_delta,
                last.timestamp.value);
        }
        dump.line(text, object);
    }
}

void dump_checkpoint(Dump& dump, std::string_view text, std::string_view name) {
    if (name == storage::epoch_checkpoint_file) {
        const auto cache = log::LeaderEpochCache::from_text(text);
        if (!cache.ok()) return dump.wrong(cache.error().text);
        for (const log::EpochEntry& entry : cache->entries())
            dump.line(fmt::format("leaderEpoch: {} startOffset: {}", entry.epoch.value,
                                  entry.start.value),
                      {{"leaderEpoch", entry.epoch.value}, {"startOffset", entry.start.value}});
        return;
    }
    const auto offsets = storage::offsets_from_text(text);
    if (!offsets.ok()) return dump.wrong(offsets.error().text);
    for (const auto& [partition, offset] : *offsets)
        dump.line(fmt::format("partition: {} offset: {}", partition, offset.value),
                  {{"partition", partition}, {"offset", offset.value}});
}

/// False when the name is that of no such file.
bool dump_file(Dump& dump, std::string_view content) {
    std::string_view name = dump.path;
    if (const std::size_t slash = name.rfind('/'); slash != std::string_view::npos)
        name.remove_prefix(slash + 1);
    std::string_view path = dump.path;
    for (const std::string_view suffix :
         {storage::deleted_suffix, storage::cleaned_suffix, storage::swap_suffix}) {
        if (!name.ends_with(suffix)) continue;
        name.remove_suffix(suffix.size());
        path = {};
    }
    if (name.ends_with("-checkpoint")) {
        dump_checkpoint(dump, content, name);
        return true;
    }
    constexpr std::size_t digits = 20;
    if (name.size() <= digits || name.find_first_not_of("0123456789") != digits) return false;
    const std::int64_t base =
        std::strtoll(std::string(name.substr(0, digits)).c_str(), nullptr, 10);
    const std::string_view kind = name.substr(digits);
    std::optional<std::string> log;
    if (kind == ".index" && !path.empty())
        log = content_of(std::string(path.substr(0, path.size() - kind.size())) + ".log");
    if (kind == ".log")
        dump_log(dump, content, std::to_string(base));
    else if (kind == ".index")
        dump_index(dump, content, base, log);
    else if (kind == ".timeindex")
        dump_time_index(dump, content, base);
    else if (kind == ".snapshot")
        dump_snapshot(dump, content, base);
    else
        return false;
    return true;
}

}  // namespace

int dump_log_command(Words words, const Console& console) {
    bool json = false;
    bool records = false;
    std::vector<std::string> files;
    for (const std::string_view word : words) {
        if (word == "--help" || word == "-h") {
            console.out(dump_help);
            return 0;
        }
        if (word == "--json")
            json = true;
        else if (word == "--records" || word == "--print-data-log")
            records = true;
        else if (word.starts_with("--"))
            return complain(console, "dump-log", fmt::format("{}: no such option", word));
        else
            files.emplace_back(word);
    }
    if (files.empty()) return complain(console, "dump-log", "names of files are missing");
    bool sound = true;
    for (const std::string& path : files) {
        const auto content = content_of(path);
        Dump dump{console, path, json, records};
        if (!json && content) console.out(fmt::format("Dumping {}\n", path));
        if (!content || !dump_file(dump, *content)) {
            console.err(
                fmt::format("klamm dump-log: {}: {}\n", path,
                            content ? "its name is that of no file of a log" : "cannot be read"));
            return static_cast<int>(sim::Verdict::harness_error);
        }
        sound = sound && dump.sound;
    }
    return sound ? 0 : static_cast<int>(sim::Verdict::safety);
}

}  // namespace klamm::command
