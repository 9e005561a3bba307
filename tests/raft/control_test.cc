// The quorum's control records against Kafka's own bytes, and back.
#include "core/raft/control.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "core/record/record.h"

using namespace klamm;
using namespace klamm::raft;
using record::ControlType;

namespace {

Bytes golden(const std::string& name) {
    std::ifstream file(std::string(KLAMM_SOURCE_DIR) + "/tests/golden/record/" + name);
    std::string text;
    for (std::string line; std::getline(file, line);) text += line;
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

/// What the records of a batch say.
std::vector<ControlValue> values_in(const Bytes& batch) {
    std::vector<ControlValue> values;
    const record::BatchView view(batch);
    REQUIRE(view.is_control());
    record::RecordIterator records(view.records());
    record::Record one;
    for (std::int32_t i = 0; i < view.record_count(); ++i) {
        REQUIRE(records.next(one));
        const auto type = record::decode_control_key(*one.key);
        REQUIRE(type.ok());
        const auto value = decode_control_value(*type, *one.value);
        REQUIRE(value.ok());
        REQUIRE(value->has_value());
        values.push_back(**value);
    }
    return values;
}

}  // namespace

TEST_CASE("control records: a leader change is Kafka's, byte for byte") {
    const ControlAppend append{
        LeaderEpoch(8), Offset(13), {LeaderChange{BrokerId(2), {BrokerId(2), BrokerId(3)}, {}}}};
    const Bytes batch = encode_control_batch(append, Timestamp(1700000000000));
    CHECK(batch == golden("leader-change.hex"));
    CHECK(values_in(batch) == append.records);
}

TEST_CASE("control records: a leader's first batch with version and voters comes back") {
    const Voter one{{BrokerId(1), uuid_from_halves(1, 2)}, {{"CONTROLLER", "k1", 9093}}, 0, 1};
    const Voter two{{BrokerId(2), uuid_from_halves(1, 3)}, {}, 0, 1};
    const ControlAppend append{
        LeaderEpoch(3),
        Offset(40),
        {LeaderChange{BrokerId(1), {BrokerId(1), BrokerId(2)}, {BrokerId(1)}}, VersionChange{1},
         VotersChange{VoterSet({two, one})}}};
    CHECK(values_in(encode_control_batch(append, Timestamp(5))) == append.records);
}

TEST_CASE("control records: what is cut or contradicts itself is refused, others say nothing") {
    const Bytes garbage{1};
    for (const auto type :
         {ControlType::leader_change, ControlType::kraft_version, ControlType::kraft_voters})
        CHECK_FALSE(decode_control_value(type, garbage).ok());
    CHECK_FALSE(decode_control_value(ControlType::snapshot_footer, garbage)->has_value());
    // Version 0, two voters 1 without endpoints, each with versions 0 to 0.
    Bytes twice{0, 0, 3};
    for (int i = 0; i < 2; ++i) {
        twice.insert(twice.end(), {0, 0, 0, 1});
        twice.insert(twice.end(), 16, 0);
        twice.insert(twice.end(), {1, 0, 0, 0, 0, 0, 0});
    }
    twice.push_back(0);
    CHECK(decode_control_value(ControlType::kraft_voters, twice).failure() == Failure::invalid);
}
