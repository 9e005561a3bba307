#pragma once
// A history: what clients asked of partition logs and what they were told, as values in the order
// of time. It names no broker and no protocol, so anyone's history can be judged.
//
// Always: events are in time order; an operation is invoked once and returns at most once; a value
// names one record for the whole history. An operation that never returns is of unknown outcome.
//
// Not here: how a history is stored (jsonl.h, FORMAT.md) and what is lawful (log_checker.h).

#include <cstdint>
#include <vector>

namespace klamm::checkers {

enum class Kind : std::uint8_t {
    send_invoked,     // partition, value, acks
    send_returned,    // outcome; offset when ok (-1 with acks=0)
    poll_invoked,     // partition, offset: where the consumer reads from
    poll_returned,    // outcome; when ok: records, log_start, high_watermark
    latest_invoked,   // partition
    latest_returned,  // outcome; when ok: offset, epoch
    reset_told,       // partition, offset: a consumer learnt that what it had read is gone; it goes
                      // on at offset (-1: not known yet)
    final_reads,      // from here on polls are the final reads; no other field
    // What services promise besides (service_checker.h):
    owner_told,          // partition, value: group, epoch: generation; the client owns the
                         // partition in it, or with -1 no longer
    commit_invoked,      // partition, value: group, epoch: generation, offset
    commit_returned,     // outcome
    committed_invoked,   // partition, value: group
    committed_returned,  // outcome; when ok: offset, -1 when there is none
    leader_told,         // partition, epoch, value: the node that leads in it
    sends_promised,      // offset: nanoseconds within which this client's sends end, -1: no longer;
                         // acks: 1 when they are written in the order of invocation
    resource_told,       // value: which resource, offset: how much of it is held
    key_told,            // partition, value: of a record, offset: its key in a compacted log, acks:
                         // 1 when it deletes the key
};

enum class Outcome : std::uint8_t {
    ok,
    failed,   // certainly without effect
    unknown,  // may or may not have had an effect, now or later
};

struct Record {
    std::int64_t offset = -1;
    std::uint64_t value = 0;
    friend bool operator==(const Record&, const Record&) = default;
};

/// One event. A field means something only for the kinds named at Kind; elsewhere it keeps its
/// default.
struct Event {
    std::int64_t time = 0;        // nanoseconds, never decreasing along a history
    std::int32_t client = 0;      // who asked
    std::uint64_t operation = 0;  // unique within the client; joins invoked and returned
    Kind kind = Kind::send_invoked;
    std::int32_t partition = 0;
    Outcome outcome = Outcome::ok;
    std::uint64_t value = 0;
    std::int16_t acks = -1;  // -1 is all
    std::int64_t offset = -1;
    std::int32_t epoch = -1;           // leader epoch of a LATEST answer; -1 when not told
    std::int64_t log_start = -1;       // -1 when not told
    std::int64_t high_watermark = -1;  // -1 when not told
    std::vector<Record> records;
    friend bool operator==(const Event&, const Event&) = default;
};

using History = std::vector<Event>;

/// "send_invoked" and so on, as FORMAT.md spells them.
const char* to_string(Kind kind);
const char* to_string(Outcome outcome);

}  // namespace klamm::checkers
