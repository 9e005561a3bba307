#pragma once
// What clients are asked to do in a scenario, as values. Every draw of operation i is keyed by
// (client, i), and its moment is the sum of the drawn gaps up to it, whether or not earlier
// operations were skipped, dropped or are still under way: leaving out one operation leaves the
// others as they were. Durations are nanoseconds of the client node's monotonic clock.

#include <cstdint>
#include <set>
#include <string>

#include "core/base/time.h"
#include "core/config/options.h"

namespace klamm::workload {

/// A gap between operations: `base` plus about exponential with `mean`.
struct Gap {
    Duration base;
    Duration mean;
};

/// When operations happen. Operation i begins at Started + start + the sum of the gaps of 1..i.
struct Pacing {
    std::uint32_t operations = 100;  // 0 .. operations-1
    Duration start = milliseconds(100);
    Gap gap{milliseconds(1), milliseconds(10)};
    /// No operation begins later than this after Started; zero: no such limit.
    Duration stop_after;
    /// Operations left out, for shrinking.
    std::set<std::uint32_t> skip;
};

/// A producer of numbered records. Operation i sends 1..records_max records to one partition; its
/// r-th record is fact operation number i * records_max + r, and its value begins with the 64 bits
/// client << 32 | number, big-endian.
struct ProducerWorkload {
    std::uint32_t client = 1;         // names it in draws and values; unique in a world
    config::ProducerOptions options;  // acks too; client.bootstrap_servers as "host:port"
    std::string topic = "trial";
    std::int32_t partitions = 1;  // a drawn one of 0 .. partitions-1 per operation
    Pacing pacing;
    std::uint32_t records_max = 1;
    std::uint32_t key_bytes_max = 8;  // 0: always a null key
    /// How many different keys there are, each of 8 bytes; 0: every operation has one of its own.
    std::uint32_t keys = 0;
    bool skewed = false;  // key k is drawn about half as often as key k / 2, not all alike
    std::uint32_t value_bytes_min = 8;   // at least 8
    std::uint32_t value_bytes_max = 64;  // at least value_bytes_min
    /// Records sent and not returned yet; an operation that would pass it is dropped and counted.
    std::uint32_t outstanding_max = 1'000;
};

/// A consumer. Operation j is drawn to be a LATEST query, a seek, or else a poll, of one partition.
/// A poll of a partition whose last poll has not returned, or whose position is not known yet, is
/// dropped and counted.
struct ConsumerWorkload {
    std::uint32_t client = 2;
    config::ConsumerOptions options;
    std::string topic = "trial";
    std::int32_t partitions = 1;
    Pacing pacing;
    bool from_earliest = true;            // where it begins; else at LATEST
    std::int64_t latest_rate = 50'000;    // of a million operations that ask for LATEST
    std::int64_t restart_rate = 0;        // of a million that begin anew, at a drawn end of the log
    std::uint32_t outstanding_max = 100;  // LATEST queries under way
};

/// Reads every partition from its start to the end that LATEST told, once everything is healed.
struct FinalReaderWorkload {
    std::uint32_t client = 3;
    config::ConsumerOptions options;
    std::string topic = "trial";
    std::int32_t partitions = 1;
    Duration pause = milliseconds(1);    // between polls
    Duration retry = milliseconds(100);  // after a poll or query that failed
};

/// A fresh producer that must get one record acknowledged in each partition.
struct ProbeWorkload {
    std::uint32_t client = 4;
    config::ProducerOptions options;
    std::string topic = "trial";
    std::int32_t partitions = 1;
    Duration bound = seconds(60);        // from Started
    Duration retry = milliseconds(100);  // after a send that was not acknowledged
};

/// A member of a consumer group, for as long as its process lives; a new process joins anew.
/// Operation j is drawn to be a commit of all that it has read, a question what is committed, or
/// else a poll of a partition that it owns; one that cannot begin is dropped and counted. What is
/// revoked it commits first. Asked to stop, it leaves; told that it can be no member, it ends with
/// status 1.
struct MemberWorkload {
    std::uint32_t client = 5;
    config::ConsumerOptions options;  // group.id and all of its timeouts
    std::string topic = "trial";
    std::int32_t partitions = 1;
    Duration start = milliseconds(300);
    Gap gap{milliseconds(5), milliseconds(50)};
    std::int64_t commit_rate = 150'000;  // of a million operations
    std::int64_t ask_rate = 50'000;
    Duration patience = seconds(10);  // of commits and questions
};

/// Operations of a client: every one begun is returned, dropped, or still under way.
struct Counts {
    std::uint64_t invoked = 0;
    std::uint64_t ok = 0;
    std::uint64_t failed = 0;   // certainly without effect
    std::uint64_t unknown = 0;  // may have had one
    std::uint64_t dropped = 0;  // not begun: a limit was reached
    std::uint64_t skipped = 0;  // not begun: asked to leave them out

    [[nodiscard]] std::uint64_t outstanding() const { return invoked - ok - failed - unknown; }
    friend bool operator==(const Counts&, const Counts&) = default;
};

}  // namespace klamm::workload
