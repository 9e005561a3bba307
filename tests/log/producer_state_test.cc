// Producer state: the checks of Kafka 4.1, a model of them, and the snapshot's bytes.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>
#include <map>

#include "core/log/producer_state.h"
#include "core/record/builder.h"
#include "core/record/control.h"

using namespace klamm;
using namespace klamm::log;

namespace {

Bytes batch(std::int64_t base, int records, std::int64_t id, std::int16_t epoch, int sequence,
            bool transactional = false, std::int64_t timestamp = 1000) {
    record::BatchOptions options;
    options.base_offset = Offset(base);
    options.producer_id = ProducerId(id);
    options.producer_epoch = ProducerEpoch(epoch);
    options.base_sequence = sequence;
    options.transactional = transactional;
    record::BatchBuilder builder(options);
    for (int i = 0; i < records; ++i)
        builder.append(Timestamp(timestamp), std::nullopt, as_bytes("v"));
    return builder.build();
}

ProducerVerdict ask(const ProducerStateTable& table, const Bytes& bytes,
                    Origin origin = Origin::client) {
    return table.check(record::BatchView(bytes), origin).verdict;
}

// Written by ProducerStateManager.writeSnapshot of kafka-storage 4.1.0 for producers 4000 (epoch 3,
// batch 37 to 41 with last sequence 7), 4001 (in a transaction from 42, coordinator epoch 9) and
// 4002 (epoch 5, no batch, coordinator epoch 2).
constexpr const char* kafka_snapshot =
    "0001e601bff3000000030000000000000fa00003000000070000000000000029000000040000"
    "018bcfe5687bffffffffffffffffffffffff0000000000000fa1000000000000000000000000"
    "002c000000020000018bcfe569c800000009000000000000002a0000000000000fa20005ffff"
    "ffffffffffffffffffff000000000000018bcfe56b1500000002ffffffffffffffff";

Bytes from_hex(std::string_view hex) {
    Bytes bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        bytes.push_back(
            static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    }
    return bytes;
}

}  // namespace

TEST_CASE("producers: sequences follow each other, wrap after 2^31-1, and start anew per epoch") {
    ProducerStateTable table;
    // Whoever is unknown may begin anywhere.
    const Bytes first = batch(0, 3, 5, 0, 0x7ffffffe);
    REQUIRE(ask(table, first) == ProducerVerdict::in_order);
    table.append(record::BatchView(first));
    CHECK(table.find(ProducerId(5))->last_sequence() == 0);
    CHECK(table.find(ProducerId(5))->batches[0].base_sequence() == 0x7ffffffe);
    CHECK(ask(table, first) == ProducerVerdict::duplicate);
    CHECK(ask(table, batch(3, 1, 5, 0, 1)) == ProducerVerdict::in_order);
    CHECK(ask(table, batch(3, 1, 5, 0, 2)) == ProducerVerdict::out_of_order_sequence);
    // Part of a known batch is neither a repetition nor in order.
    CHECK(ask(table, batch(3, 2, 5, 0, 0x7ffffffe)) == ProducerVerdict::out_of_order_sequence);
    CHECK(ask(table, batch(3, 1, 5, 1, 1)) == ProducerVerdict::out_of_order_sequence);
    CHECK(ask(table, batch(3, 1, 5, 1, 0)) == ProducerVerdict::in_order);
    table.append(record::BatchView(batch(3, 1, 5, 1, 0)));
    CHECK(ask(table, first) == ProducerVerdict::invalid_producer_epoch);
    CHECK(ask(table, batch(4, 1, 5, 0, 1)) == ProducerVerdict::invalid_producer_epoch);
    // Replication is believed.
    CHECK(ask(table, batch(4, 1, 5, 0, 9), Origin::replication) == ProducerVerdict::in_order);
    CHECK(ask(table, batch(4, 1, -1, -1, -1)) == ProducerVerdict::in_order);
}

TEST_CASE("producers: the last five batches are known again, the sixth is not") {
    ProducerStateTable table;
    for (int i = 0; i < 6; ++i) table.append(record::BatchView(batch(2 * i, 2, 5, 0, 2 * i)));
    CHECK(ask(table, batch(12, 2, 5, 0, 0)) == ProducerVerdict::out_of_order_sequence);
    for (int i = 1; i < 6; ++i) {
        const Bytes again = batch(12, 2, 5, 0, 2 * i);
        const ProducerCheck check = table.check(record::BatchView(again), Origin::client);
        REQUIRE(check.verdict == ProducerVerdict::duplicate);
        CHECK(check.known.base_offset() == Offset(2 * i));
        CHECK(check.known.last_offset == Offset(2 * i + 1));
    }
}

TEST_CASE("producers: a transaction is open from its first batch to its marker") {
    ProducerStateTable table;
    table.append(record::BatchView(batch(0, 2, 5, 3, 0, true)));
    table.append(record::BatchView(batch(2, 2, 6, 0, 0, true)));
    CHECK(table.first_open_transaction() == Offset(0));
    CHECK(ask(table, batch(4, 1, 5, 3, 2, false)) == ProducerVerdict::invalid_transaction);
    const Bytes marker =
        record::end_transaction_batch(Offset(4), LeaderEpoch(1), Timestamp(2000), ProducerId(5),
                                      ProducerEpoch(3), {record::ControlType::commit, 11});
    REQUIRE(ask(table, marker, Origin::coordinator) == ProducerVerdict::in_order);
    table.append(record::BatchView(marker));
    CHECK(table.find(ProducerId(5))->coordinator_epoch == 11);
    CHECK(table.find(ProducerId(5))->last_sequence() == 1);
    CHECK(table.first_open_transaction() == Offset(2));
    // An open transaction keeps its producer.
    table.remove_expired(Timestamp(1'000'000), 10);
    CHECK(table.find(ProducerId(5)) == nullptr);
    CHECK(table.find(ProducerId(6)) != nullptr);
}

TEST_CASE("producers: a snapshot by Kafka 4.1 is read, and written again byte for byte") {
    const Bytes bytes = from_hex(kafka_snapshot);
    const auto table = ProducerStateTable::from_snapshot(bytes, Offset(45));
    REQUIRE(table.ok());
    REQUIRE(table->entries().size() == 3);
    const ProducerEntry& first = *table->find(ProducerId(4000));
    CHECK(first.epoch == ProducerEpoch(3));
    CHECK(first.last_sequence() == 7);
    CHECK(first.batches[0].base_sequence() == 3);
    CHECK(first.batches[0].base_offset() == Offset(37));
    CHECK(table->find(ProducerId(4001))->transaction_start == Offset(42));
    CHECK(table->find(ProducerId(4002))->batch_count == 0);
    CHECK(table->find(ProducerId(4002))->coordinator_epoch == 2);
    CHECK(table->to_snapshot() == bytes);

    for (std::size_t i = 0; i < bytes.size(); ++i) {
        Bytes bad = bytes;
        bad[i] ^= 0x10;
        CHECK_FALSE(ProducerStateTable::from_snapshot(bad, Offset(45)).ok());
        CHECK_FALSE(ProducerStateTable::from_snapshot(ByteView(bytes).first(i), Offset(45)).ok());
    }
}

TEST_CASE("producers: the table agrees with a model that remembers every batch") {
    struct Known {
        int sequence;
        int records;
        std::int64_t base;
    };
    rc::prop("appends, repetitions and reloads", [] {
        ProducerStateTable table;
        std::map<std::pair<int, int>, std::vector<Known>> all;  // (id, epoch) → batches in order
        std::map<int, int> epoch_of;
        std::size_t remembered_max = producer_batches_kept;
        std::int64_t end = 0;
        const int steps = *rc::gen::inRange(1, 60);
        for (int step = 0; step < steps; ++step) {
            const int id = *rc::gen::inRange(1, 4);
            const int epoch = *rc::gen::inRange(0, 3);
            const int sequence = *rc::gen::inRange(0, 12);
            const int records = *rc::gen::inRange(1, 3);
            const Bytes one = batch(end, records, id, static_cast<std::int16_t>(epoch), sequence);
            const ProducerCheck check = table.check(record::BatchView(one), Origin::client);
            const auto current = epoch_of.find(id);
            ProducerVerdict expected = ProducerVerdict::in_order;
            if (current != epoch_of.end()) {
                const auto& known = all[{id, current->second}];
                const bool same = epoch == current->second;
                const int next = same ? known.back().sequence + known.back().records : 0;
                if (epoch < current->second)
                    expected = ProducerVerdict::invalid_producer_epoch;
                else if (sequence != next)
                    expected = ProducerVerdict::out_of_order_sequence;
                for (std::size_t i = 0; same && i < known.size() && i < remembered_max; ++i) {
                    const Known& old = known[known.size() - 1 - i];
                    if (old.sequence != sequence || old.records != records) continue;
                    expected = ProducerVerdict::duplicate;
                    RC_ASSERT(check.known.base_offset() == Offset(old.base));
                    break;
                }
            }
            RC_ASSERT(check.verdict == expected);
            if (expected != ProducerVerdict::in_order) continue;
            table.append(record::BatchView(one));
            epoch_of[id] = epoch;
            all[{id, epoch}].push_back({sequence, records, end});
            end += records;
        }
        RC_ASSERT(table.end() == Offset(end));
        // A reload knows the last batch of each producer.
        const auto again = ProducerStateTable::from_snapshot(table.to_snapshot(), table.end());
        RC_ASSERT(again.ok());
        RC_ASSERT(again->entries().size() == table.entries().size());
        for (const auto& [id, entry] : table.entries()) {
            const ProducerEntry* found = again->find(id);
            RC_ASSERT(found->epoch == entry.epoch);
            RC_ASSERT(found->last_sequence() == entry.last_sequence());
            RC_ASSERT(found->last_offset() == entry.last_offset());
            RC_ASSERT(found->batch_count == 1);
        }
    });
}
