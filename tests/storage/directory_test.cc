// The files of a log directory: texts as Kafka has them, identity, marker, checkpoints.

#include <catch2/catch.hpp>

#include "core/storage/files.h"
#include "tests/storage/rig.h"

using namespace klamm;
using namespace klamm::tests;
using storage::DirectoryPhase;

namespace {

std::string text(const FileTree& tree, const std::string& path) {
    const Bytes& bytes = tree.at(path);
    return {bytes.begin(), bytes.end()};
}

}  // namespace

TEST_CASE("directory: after a clean stop every file reads as Kafka 4.1 writes it") {
    RecordingDisk disk;
    {
        Rig rig(disk, {});
        REQUIRE(rig.open());
        rig.lead(batch(3, 10, Timestamp(1000)), 2);
        rig.directory.note_high_watermark(trial_name, Offset(1));
        rig.directory.close(rig.env, BrokerEpoch(17));
        rig.pump();
        REQUIRE(rig.directory.phase() == DirectoryPhase::closed);
    }
    const FileTree tree = disk.cached();
    CHECK(text(tree, "d/.kafka_cleanshutdown") == R"({"version":0,"brokerEpoch":17})");
    CHECK(text(tree, "d/recovery-point-offset-checkpoint") == "0\n1\ntrial 0 3\n");
    CHECK(text(tree, "d/replication-offset-checkpoint") == "0\n1\ntrial 0 1\n");
    CHECK(text(tree, "d/trial-0/leader-epoch-checkpoint") == "0\n1\n2 0\n");
    CHECK(text(tree, "d/trial-0/partition.metadata") ==
          "version: 0\ntopic_id: AAAAAAAAAAcAAAAAAAAACQ");
    CHECK(text(tree, "d/meta.properties") ==
          "#\ncluster.id=cluster\ndirectory.id=AAAAAAAAAAEAAAAAAAAAAg\nnode.id=1\nversion=1\n");
    CHECK(tree.contains("d/trial-0/00000000000000000003.snapshot"));
    // The time index of the last segment ends with its greatest timestamp.
    const Bytes time_index{0, 0, 0, 0, 0, 0, 0x03, 0xea, 0, 0, 0, 2};
    CHECK(tree.at("d/trial-0/00000000000000000000.timeindex") == time_index);
    for (const auto& [path, bytes] : tree) CHECK_FALSE(path.ends_with(".tmp"));

    // The marker counts once.
    RecordingDisk next(tree);
    Rig rig(next, {});
    REQUIRE(rig.open());
    CHECK(rig.directory.clean_start());
    CHECK(rig.directory.previous_epoch() == BrokerEpoch(17));
    CHECK(rig.directory.checkpointed_high_watermark(trial_name) == Offset(1));
    const auto opened = rig.env.facts.of<facts::LogOpened>();
    REQUIRE(opened.size() == 1);
    CHECK(opened.front().clean);
    CHECK_FALSE(opened.front().created);
    CHECK(opened.front().recovery_point == Offset(3));
    RecordingDisk after(next.cached());
    Rig killed(after, {});
    REQUIRE(killed.open());
    CHECK_FALSE(killed.directory.clean_start());
    CHECK(killed.directory.previous_epoch() == no_broker_epoch);
    CHECK(killed.log->log_end() == Offset(3));
}

TEST_CASE("directory: a log that nobody has opened since an unclean stop has not stopped cleanly") {
    const bool clean_before = GENERATE(false, true);
    const bool all_opened = GENERATE(false, true);
    RecordingDisk disk;
    {
        Rig rig(disk, {});
        REQUIRE(rig.open());
        rig.lead(batch(3, 10, Timestamp(1000)), 2);
        if (clean_before) rig.directory.close(rig.env, BrokerEpoch(17));
        rig.pump();
    }
    RecordingDisk next(disk.cached());
    {
        // Asked to stop before the metadata has named a single partition, or naming none.
        Rig rig(next, {});
        rig.directory.start(rig.env, {"cluster", BrokerId(1), uuid_from_halves(1, 2)});
        rig.pump();
        REQUIRE(rig.directory.clean_start() == clean_before);
        rig.directory.close(rig.env, BrokerEpoch(18), all_opened);
        rig.pump();
        REQUIRE(rig.directory.phase() == DirectoryPhase::closed);
    }
    RecordingDisk last(next.cached());
    Rig rig(last, {});
    REQUIRE(rig.open());
    CHECK(rig.directory.clean_start() == (clean_before || all_opened));
    CHECK(rig.log->log_end() == Offset(3));
}

TEST_CASE("directory: another cluster's or node's directory is refused") {
    RecordingDisk disk;
    {
        Rig rig(disk, {});
        REQUIRE(rig.open());
    }
    TestEnv env(disk);
    storage::LogDirectory directory(root, 1, 9);
    directory.start(env, {"cluster", BrokerId(2), uuid_from_halves(5, 5)});
    while (auto event = disk.answer()) {
        if (auto* read = std::get_if<env::ReadDone>(&*event)) directory.on_event(env, *read);
        if (auto* listed = std::get_if<env::Listed>(&*event)) directory.on_event(env, *listed);
    }
    REQUIRE(directory.phase() == DirectoryPhase::offline);
}

TEST_CASE("directory: a directory of another topic id is not opened") {
    RecordingDisk disk;
    {
        Rig rig(disk, {});
        REQUIRE(rig.open());
        rig.lead(batch(1, 10, Timestamp(1)), 1);
    }
    RecordingDisk again(disk.cached());
    Rig rig(again, {});
    rig.directory.start(rig.env, {"cluster", BrokerId(1), Uuid{}});
    rig.pump();
    auto& log = rig.directory.open_log(rig.env, {uuid_from_halves(8, 8), PartitionIndex(0)},
                                       trial_name, {});
    rig.pump();
    REQUIRE(log.phase() == storage::LogPhase::offline);
}

TEST_CASE("directory: offset checkpoints, names with dashes included, survive their text") {
    const storage::OffsetsByName offsets{{"a-0", Offset(5)}, {"a-b-12", Offset(0)}};
    const std::string written = storage::offsets_to_text(offsets);
    CHECK(written == "0\n2\na 0 5\na-b 12 0\n");
    const auto read = storage::offsets_from_text(written);
    REQUIRE(read.ok());
    CHECK(*read == offsets);
    for (const char* bad : {"", "1\n0\n", "0\n2\na 0 5\n", "0\n1\na 0\n", "0\n1\na 0 -5\n",
                            "0\n1\na x 5\n", "0\n1\na 0 5\nmore", "0\n1\n 0 5\n"}) {
        CHECK_FALSE(storage::offsets_from_text(bad).ok());
    }
    CHECK(storage::clean_shutdown_epoch("{\"version\":0,\"brokerEpoch\":9}") == BrokerEpoch(9));
    CHECK(storage::clean_shutdown_epoch("{\"version\":0,\"brokerEpoch\":9") == no_broker_epoch);
    CHECK(storage::clean_shutdown_epoch("") == no_broker_epoch);
}
