// The quorum-state file: Kafka's own bytes, and what is not one.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "core/raft/quorum_state.h"

using namespace klamm;
using namespace klamm::raft;

TEST_CASE("quorum-state: what Kafka writes is read, and written again byte for byte") {
    std::ifstream file(std::string(KLAMM_SOURCE_DIR) + "/tests/golden/protocol/quorum-state.txt");
    const std::vector<BrokerId> voters{BrokerId(1), BrokerId(2), BrokerId(3)};
    int checked = 0;
    for (std::string says, text; std::getline(file, says) && std::getline(file, text); ++checked) {
        std::istringstream words(says);
        int epoch = 0;
        int leader = 0;
        int voted = 0;
        std::string directory;
        words >> epoch >> leader >> voted >> directory;
        INFO(text);
        const int version = text.find("\"data_version\":1") != std::string::npos ? 1 : 0;
        ElectionState expected{LeaderEpoch(epoch), BrokerId(leader), std::nullopt};
        // Version 0 does not keep the directory.
        if (voted >= 0)
            expected.voted =
                ReplicaKey{BrokerId(voted), version == 1 ? uuid_from_string(directory) : Uuid()};
        const auto read = decode_quorum_state(text);
        REQUIRE(read.ok());
        CHECK(*read == expected);
        CHECK(encode_quorum_state(expected, version, voters) == text);
    }
    CHECK(checked == 8);
}

TEST_CASE("quorum-state: what is no quorum-state is refused, whatever is wrong") {
    const std::string good =
        R"({"leaderId":-1,"leaderEpoch":5,"votedId":2,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1})";
    REQUIRE(decode_quorum_state(good).ok());
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_FALSE(decode_quorum_state(std::string_view(good).substr(0, size)).ok());
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        return decode_quorum_state(text.replace(text.find(from), from.size(), to));
    };
    CHECK(with("\"data_version\":1", "\"data_version\":2").failure() == Failure::unsupported);
    CHECK(with("\"data_version\":1", "\"version\":1").failure() == Failure::invalid);
    CHECK(with("\"leaderEpoch\":5", "\"leaderEpoch\":\"5\"").failure() == Failure::invalid);
    CHECK(with("\"leaderEpoch\":5", "\"leaderEpoch\":99999999999").failure() == Failure::invalid);
    CHECK(with("\"leaderEpoch\":5", "\"leaderEpoch\":-7").failure() == Failure::invalid);
    CHECK(with("\"votedDirectoryId\"", "\"directory\"").failure() == Failure::invalid);
    CHECK(decode_quorum_state("[]").failure() == Failure::invalid);
}
