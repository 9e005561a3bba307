#pragma once
// What a log remembers of its producers, so that (id, epoch, sequence) is unique and gapless in it
// (contract I7): for each id its epoch and its last five batches. A function of the batches below
// end(); rules and file format are those of Kafka 4.1 (ProducerAppendInfo, ProducerStateManager).
//
// A reload from a snapshot remembers one batch a producer, as Kafka's format has room for no more.
// Transaction markers move epochs and close transactions; what they close is remembered until the
// high watermark has passed the marker: before, another leader may yet decide otherwise.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/log/aborted_index.h"
#include "core/record/batch.h"

namespace klamm::log {

constexpr std::size_t producer_batches_kept = 5;

/// One appended batch of a producer.
struct ProducerBatch {
    std::int32_t last_sequence = -1;
    Offset last_offset = no_offset;
    std::int32_t offset_delta = 0;  // last offset minus base offset
    Timestamp timestamp = no_timestamp;

    [[nodiscard]] std::int32_t base_sequence() const;
    [[nodiscard]] Offset base_offset() const { return last_offset - offset_delta; }
    friend bool operator==(const ProducerBatch&, const ProducerBatch&) = default;
};

struct ProducerEntry {
    ProducerEpoch epoch = no_producer_epoch;
    std::int32_t coordinator_epoch = -1;
    Timestamp last_timestamp = no_timestamp;
    Offset transaction_start = no_offset;                        // -1: no transaction is open
    std::array<ProducerBatch, producer_batches_kept> batches{};  // oldest first
    std::uint8_t batch_count = 0;

    [[nodiscard]] std::int32_t last_sequence() const;
    [[nodiscard]] Offset last_offset() const;
    friend bool operator==(const ProducerEntry&, const ProducerEntry&) = default;
};

/// Who wrote what is being appended: clients are held to their sequences, the rest of the cluster
/// is believed.
enum class Origin : std::uint8_t { client, replication, coordinator };

enum class ProducerVerdict : std::uint8_t {
    in_order,                // append it
    duplicate,               // it is here already; answer with the batch that is
    out_of_order_sequence,   // OUT_OF_ORDER_SEQUENCE_NUMBER
    invalid_producer_epoch,  // INVALID_PRODUCER_EPOCH
    invalid_transaction,     // INVALID_TXN_STATE: plain records inside an open transaction
    coordinator_fenced,      // TRANSACTION_COORDINATOR_FENCED: a marker of an older coordinator
};

struct ProducerCheck {
    ProducerVerdict verdict = ProducerVerdict::in_order;
    ProducerBatch known{};  // when duplicate
};

class ProducerStateTable {
  public:
    /// Whether `batch`, not yet appended, may follow. A batch without a producer id always may.
    [[nodiscard]] ProducerCheck check(const record::BatchView& batch, Origin origin) const;
    /// Notes `batch` as appended at its offsets, which are not below end(). It is not checked.
    /// Gives the transaction that it ends by an abort.
    std::optional<AbortedTransaction> append(const record::BatchView& batch) {
        return append(batch, batch.records());
    }
    /// The same when the header and the records do not lie together.
    std::optional<AbortedTransaction> append(const record::BatchView& header, ByteView records);

    /// The offset up to which batches are taken into account.
    [[nodiscard]] Offset end() const { return end_; }
    void set_end(Offset end) { end_ = end; }
    [[nodiscard]] const ProducerEntry* find(ProducerId id) const;
    [[nodiscard]] const std::map<ProducerId, ProducerEntry>& entries() const { return entries_; }
    /// The start of the earliest open transaction.
    [[nodiscard]] std::optional<Offset> first_open_transaction() const;
    /// Whether (id, epoch) has a transaction open.
    [[nodiscard]] bool in_transaction(ProducerId id, ProducerEpoch epoch) const;
    /// The last stable offset: everything below it is decided for good, at most `high_watermark`.
    /// Nothing is known to be, which is offset 0, while the high watermark lies below the place
    /// from which on transactions that ended are remembered.
    [[nodiscard]] Offset stable_end(Offset high_watermark) const;
    /// Transactions whose marker lies below `high_watermark` need not be remembered any more.
    void forget_decided(Offset high_watermark);
    /// Forgets producers idle since before now - expiration, except those inside a transaction.
    void remove_expired(Timestamp now, std::int64_t expiration_ms);
    /// Forgets everything; the table then stands at `end`.
    void clear(Offset end);

    /// The content of the file `<end>.snapshot`; producers in ascending order of their ids.
    [[nodiscard]] Bytes to_snapshot() const;
    /// The table as of `end`. Failure::corrupt when the checksum does not hold, unsupported for
    /// another version, invalid or truncated for anything else that is wrong.
    static Result<ProducerStateTable> from_snapshot(ByteView bytes, Offset end);

    /// What a snapshot keeps.
    friend bool operator==(const ProducerStateTable& a, const ProducerStateTable& b) {
        return a.entries_ == b.entries_ && a.end_ == b.end_;
    }

  private:
    std::optional<AbortedTransaction> append_marker(const record::BatchView& header,
                                                    ByteView records);

    std::map<ProducerId, ProducerEntry> entries_;
    Offset end_{0};
    std::set<std::pair<Offset, ProducerId>> open_;  // the entries' open transactions, by start
    std::map<Offset, Offset> decided_;              // ended ones, start and marker
    Offset decided_from_{0};                        // markers below are not in decided_
};

}  // namespace klamm::log
