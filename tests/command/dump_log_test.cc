// klamm dump-log: the lines of kafka-dump-log, and what it finds wrong.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "bindings/command/commands.h"
#include "core/log/producer_state.h"
#include "core/record/builder.h"
#include "core/storage/segment.h"
#include "tests/command/outcome.h"

using namespace klamm;
using namespace klamm::tests;

namespace {

Outcome dump(const std::vector<std::string>& words) {
    std::vector<std::string_view> views = {"dump-log"};
    views.insert(views.end(), words.begin(), words.end());
    return klamm_command(views);
}

struct Room {
    std::string path = KLAMM_BINARY_DIR "/dump_log_test";
    Room() { std::filesystem::create_directories(path); }
    ~Room() { std::filesystem::remove_all(path); }
    std::string write(const std::string& name, std::string_view content) const {
        std::ofstream(path + "/" + name, std::ios::binary) << content;
        return path + "/" + name;
    }
};

Bytes two_records() {
    record::BatchOptions options;
    options.base_offset = Offset(5);
    options.leader_epoch = LeaderEpoch(3);
    options.producer_id = ProducerId(9);
    options.producer_epoch = ProducerEpoch(1);
    options.base_sequence = 4;
    record::BatchBuilder builder(options);
    builder.append(Timestamp(1000), as_bytes("k"), as_bytes("value"));
    builder.append(Timestamp(1001), std::nullopt, std::nullopt);
    return builder.build();
}

}  // namespace

TEST_CASE("dump-log: batches, indexes, producers and checkpoints, line by line") {
    const Room room;
    const Bytes batch = two_records();
    const std::string log = room.write("00000000000000000005.log", as_text(batch));
    const std::string crc = std::to_string(record::BatchView(batch).crc());
    Outcome outcome = dump({"--records", log});
    CHECK(outcome.status == 0);
    CHECK(outcome.out ==
          "Dumping " + log + "\nLog starting offset: 5\n" +
              "baseOffset: 5 lastOffset: 6 count: 2 baseSequence: 4 lastSequence: 5 producerId: 9 "
              "producerEpoch: 1 partitionLeaderEpoch: 3 isTransactional: false isControl: false "
              "deleteHorizonMs: OptionalLong.empty position: 0 CreateTime: 1001 size: " +
              std::to_string(batch.size()) + " magic: 2 compresscodec: none crc: " + crc +
              " isvalid: true\n"
              "| offset: 5 CreateTime: 1000 keySize: 1 valueSize: 5 key: k payload: value\n"
              "| offset: 6 CreateTime: 1001 keySize: -1 valueSize: -1 key: null payload: null\n");
    outcome = dump({"--json", log});
    CHECK(outcome.out.starts_with("{\"file\":\"" + log + "\",\"baseOffset\":5,\"lastOffset\":6,"));

    storage::Segment segment;
    segment.base = Offset(5);
    segment.entries = {{Offset(6), 0}};
    segment.time_entries = {{Timestamp(1001), Offset(6)}};
    const std::string index =
        room.write("00000000000000000005.index", as_text(segment.encode_index(0)));
    const std::string times =
        room.write("00000000000000000005.timeindex", as_text(segment.encode_time_index(0)));
    outcome = dump({index, times});
    CHECK(outcome.status == 0);
    CHECK(outcome.out == "Dumping " + index + "\noffset: 6 position: 0\nDumping " + times +
                             "\ntimestamp: 1001 offset: 6\n");

    log::ProducerStateTable producers;
    producers.append(record::BatchView(batch));
    outcome = dump({room.write("00000000000000000007.snapshot", as_text(producers.to_snapshot()))});
    CHECK(outcome.status == 0);
    CHECK(outcome.out.find("producerId: 9 producerEpoch: 1 coordinatorEpoch: -1 "
                           "currentTxnFirstOffset: None lastTimestamp: 1001 firstSequence: 4 "
                           "lastSequence: 5 lastOffset: 6 offsetDelta: 1 timestamp: 1001\n") !=
          std::string::npos);

    outcome = dump({room.write("recovery-point-offset-checkpoint", "0\n1\na-b 2 77\n"),
                    room.write("leader-epoch-checkpoint", "0\n1\n3 5\n")});
    CHECK(outcome.status == 0);
    CHECK(outcome.out.find("partition: a-b-2 offset: 77\n") != std::string::npos);
    CHECK(outcome.out.find("leaderEpoch: 3 startOffset: 5\n") != std::string::npos);
}

TEST_CASE("dump-log: what is not sound is said, and the status tells") {
    const Room room;
    Bytes batch = two_records();
    Bytes twice = batch;
    twice.insert(twice.end(), batch.begin(), batch.end() - 3);
    CHECK(dump({room.write("00000000000000000005.log", as_text(twice))}).status == 1);
    batch.back() ^= 1;
    const std::string log = room.write("00000000000000000005.log", as_text(batch));
    CHECK(dump({log}).out.find("isvalid: false") != std::string::npos);
    CHECK(dump({log}).status == 1);
    storage::Segment segment;
    segment.base = Offset(5);
    segment.entries = {{Offset(7), 0}};
    CHECK(
        dump({room.write("00000000000000000005.index", as_text(segment.encode_index(0)))}).status ==
        1);
    CHECK(dump({room.write("00000000000000000005.snapshot", "xyz")}).status == 1);
    CHECK(dump({room.write("replication-offset-checkpoint", "0\n2\na 1 1\n")}).status == 1);
    CHECK(dump({room.write("notes.txt", "")}).status == 4);
    CHECK(dump({room.path + "/00000000000000000099.log"}).status == 4);
    CHECK(dump({}).status == 5);
    CHECK(dump({"--nonsense", log}).status == 5);
    CHECK(dump({"--help"}).status == 0);
}
