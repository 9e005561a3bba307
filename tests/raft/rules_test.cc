// The rules one by one: votes, epochs, fetches, what counts, who may vote.
#include <catch2/catch.hpp>

#include "tests/raft/support.h"

using namespace klamm;
using namespace klamm::quorum;

namespace {

/// The effects of a request to a replica, none of which are carried out.
Effects ask(Cluster& cluster, int id, const Request& request) {
    Replica& replica = cluster.at(id);
    return replica.raft->on_request(cluster.turn(replica), replica.view(), 999, request);
}

template <class Response>
Response answer_of(const Effects& effects) {
    for (const Answer& answer : effects.answers)
        if (answer.ticket == 999) return std::get<Response>(answer.body);
    FAIL("there is no answer");
    return {};
}

template <class Response>
Response answer_to(Cluster& cluster, int id, const Request& request) {
    return answer_of<Response>(ask(cluster, id, request));
}

VoteRequest vote(const Cluster& cluster, int candidate, int epoch, LogId last,
                 bool pre_vote = false) {
    return {LeaderEpoch(epoch), cluster.at(candidate).key, {}, last, pre_vote};
}

LogId id_of(int epoch, std::int64_t offset) { return {LeaderEpoch(epoch), Offset(offset)}; }

FetchRequest fetch(const Cluster& cluster, int id, int epoch, LogId last,
                   Duration wait = milliseconds(500)) {
    return {LeaderEpoch(epoch), cluster.at(id).key, last, no_offset, wait};
}

template <class Role>
bool is(const Cluster& cluster, int id) {
    return std::holds_alternative<Role>(cluster.at(id).raft->role());
}

}  // namespace

TEST_CASE("votes: one an epoch, the same candidate gets it again, also after a restart") {
    Cluster cluster(plain(), nullptr);
    const Effects first = ask(cluster, 2, vote(cluster, 1, 4, id_of(0, 0)));
    CHECK(answer_of<VoteResponse>(first).granted);
    // The answer rests on a state that is to be written first.
    REQUIRE(first.persist.has_value());
    CHECK(first.persist->state.voted == cluster.at(1).key);
    CHECK(first.answers[0].after == first.persist->number);
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 1, 4, id_of(0, 0))).granted);
    CHECK_FALSE(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 4, id_of(0, 0))).granted);
    cluster.at(2).disk.state = first.persist->state;
    cluster.power_off(2, 0);
    cluster.restart(2);
    CHECK_FALSE(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 4, id_of(0, 0))).granted);
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 1, 4, id_of(0, 0))).granted);
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 5, id_of(0, 0))).granted);
    // The same id in another directory is another replica.
    VoteRequest stranger = vote(cluster, 3, 5, id_of(0, 0));
    stranger.candidate.directory = cluster.at(1).key.directory;
    CHECK_FALSE(answer_to<VoteResponse>(cluster, 2, stranger).granted);
}

TEST_CASE("votes: what has been read is written anew at the start, before anything is said") {
    Cluster cluster(plain(), nullptr);
    Replica& replica = cluster.at(2);
    const ElectionState stored{LeaderEpoch(4), no_broker, cluster.at(1).key};
    Raft raft(replica.key, replica.settings, replica.configured);
    const Effects effects =
        raft.start(cluster.turn(replica), replica.view(), stored, std::nullopt, {});
    REQUIRE(effects.persist.has_value());
    CHECK(effects.persist->state == stored);
}

TEST_CASE("votes: a shorter log, an older epoch, a wrong address, a senseless request") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));  // epoch 1, one record
    CHECK_FALSE(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 2, id_of(0, 0))).granted);
    CHECK(cluster.at(2).raft->epoch() == LeaderEpoch(2));
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 1, id_of(0, 0))).error ==
          ErrorCode::fenced_leader_epoch);
    VoteRequest other = vote(cluster, 3, 3, id_of(1, 1));
    other.voter = cluster.at(1).key;
    CHECK(answer_to<VoteResponse>(cluster, 2, other).error == ErrorCode::invalid_voter_key);
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 4, id_of(4, 1))).error ==
          ErrorCode::invalid_request);
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 4, id_of(1, -1))).error ==
          ErrorCode::invalid_request);
    CHECK(answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 4, id_of(1, 1))).granted);
}

TEST_CASE(
    "pre-votes: they change no epoch and no vote, and who has fetched from a leader gives none") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    const auto asked = vote(cluster, 3, 1, id_of(1, 1), true);
    REQUIRE(is<Follower>(cluster, 2));
    CHECK_FALSE(answer_to<VoteResponse>(cluster, 2, asked).granted);
    cluster.kill(2);
    cluster.restart(2);  // it follows, but has not heard of its leader yet
    REQUIRE(is<Follower>(cluster, 2));
    CHECK(answer_to<VoteResponse>(cluster, 2, asked).granted);
    CHECK_FALSE(
        answer_to<VoteResponse>(cluster, 2, vote(cluster, 3, 1, id_of(0, 0), true)).granted);
    CHECK(cluster.at(2).raft->epoch() == LeaderEpoch(1));
    CHECK(cluster.at(2).raft->election().voted == cluster.at(1).key);  // of the election before
    CHECK_FALSE(answer_to<VoteResponse>(cluster, 1, asked).granted);
    // A voter that does not know pre-votes: the candidate goes on without them.
    cluster.expire(3);
    REQUIRE(is<Prospective>(cluster, 3));
    Replica& three = cluster.at(3);
    VoteResponse old;
    old.error = ErrorCode::unsupported_version;
    std::uint64_t request = 0;
    while (!three.raft->expects(BrokerId(2), request)) REQUIRE(++request < 1000);
    const Effects effects =
        three.raft->on_response(cluster.turn(three), three.view(), BrokerId(2), request, old);
    CHECK(is<Candidate>(cluster, 3));
    CHECK(effects.persist->state.voted == three.key);
}

TEST_CASE("restart: a leader resigns, and leads its epoch no more") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    cluster.kill(1);
    cluster.restart(1);
    CHECK(is<Resigned>(cluster, 1));
    lose_all(cluster);
    cluster.expire(1);
    CHECK(cluster.at(1).raft->epoch() == LeaderEpoch(2));
    CHECK_FALSE(cluster.at(1).raft->is_leader());
}

TEST_CASE("restart: a candidate with records of its own epoch was leader, and resigns") {
    Options options = plain();
    options.sync_states = false;
    Cluster cluster(options, nullptr);
    for (int id = 1; id <= 3; ++id) cluster.sync_state(id);
    cluster.expire(1);
    pass(cluster, 1, 2, true);
    pass(cluster, 2, 1, false);
    cluster.sync_state(1);
    pass(cluster, 1, 2, true);
    cluster.sync_state(2);
    pass(cluster, 2, 1, false);
    REQUIRE(cluster.at(1).raft->is_leader());
    // The log is flushed, the state that says that it leads is not.
    cluster.power_off(1, 0);
    REQUIRE(cluster.at(1).disk.state->leader == no_broker);
    REQUIRE(cluster.at(1).end() == Offset(1));
    cluster.restart(1);
    CHECK(is<Resigned>(cluster, 1));
    CHECK(cluster.violation() == "");
}

TEST_CASE("restart: a candidate that lost and followed was no leader, whatever its log holds") {
    Cluster cluster(plain(), nullptr);
    Replica& replica = cluster.at(3);
    log::LeaderEpochCache epochs;
    epochs.assign(LeaderEpoch(4), Offset(0));
    const LogView log{Offset(0), Offset(1), Offset(1), &epochs, {}};
    const ElectionState stored{LeaderEpoch(4), BrokerId(1), replica.key};
    Raft raft(replica.key, replica.settings, replica.configured);
    raft.start(cluster.turn(replica), log, stored, std::nullopt, {});
    CHECK(raft.leader() == BrokerId(1));
    CHECK(std::holds_alternative<Follower>(raft.role()));
}

TEST_CASE("resignation: each successor waits twice as long as the one before it") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    const auto wait_of = [&](int id, std::vector<ReplicaKey> preferred) {
        ask(cluster, id,
            EndQuorumEpochRequest{LeaderEpoch(1), BrokerId(1), std::move(preferred), {}});
        const auto* follower = std::get_if<Follower>(&cluster.at(id).raft->role());
        return follower == nullptr ? std::int64_t{0}
                                   : (follower->deadline - cluster.at(id).clock).to_milliseconds();
    };
    const ReplicaKey two = cluster.at(2).key;
    const ReplicaKey three = cluster.at(3).key;
    const ReplicaKey four{BrokerId(4), {}};
    CHECK(wait_of(3, {two, four, three}) == 500);
    CHECK(wait_of(3, {two, three, four}) == 250);
    CHECK(wait_of(3, {two}) == 1000);
    CHECK(wait_of(2, {two, three}) == 0);
    CHECK(is<Prospective>(cluster, 2));
}

TEST_CASE("check-quorum: a leader that too few fetch from resigns after 1.5 fetch timeouts") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    lose_all(cluster);
    Replica& one = cluster.at(1);
    const auto at = [&](std::int64_t after) {
        one.clock = one.clock + milliseconds(after);
        one.raft->tick(cluster.turn(one), one.view());
        return one.raft->is_leader();
    };
    CHECK(at(2999));
    CHECK_FALSE(at(1));
    CHECK(is<Resigned>(cluster, 1));

    Options options = plain();
    options.replicas = 1;
    Cluster alone(options, nullptr);
    REQUIRE(alone.at(1).raft->is_leader());
    alone.expire(1);
    CHECK(alone.at(1).raft->is_leader());
}

TEST_CASE("check-quorum: one of two others that fetches is enough") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    lose_all(cluster);
    Replica& one = cluster.at(1);
    for (int i = 0; i < 5; ++i) {
        one.clock = one.clock + milliseconds(2500);
        ask(cluster, 1, fetch(cluster, 3, 1, id_of(1, 1)));
        REQUIRE(one.raft->is_leader());
    }
}

TEST_CASE("BeginQuorumEpoch goes to all voters again after half a fetch timeout") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    Replica& one = cluster.at(1);
    const auto sent = [&](std::int64_t after) {
        one.clock = one.clock + milliseconds(after);
        return one.raft->tick(cluster.turn(one), one.view()).sends.size();
    };
    CHECK(sent(999) == 0);
    CHECK(sent(1) == 2);
    CHECK(sent(1) == 0);
}

TEST_CASE("fetch: epochs are checked, only a leader answers, a senseless one is refused") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    const auto error = [&](int id, const FetchRequest& request) {
        return answer_to<FetchResponse>(cluster, id, request).error;
    };
    CHECK(error(1, fetch(cluster, 2, 0, id_of(0, 0))) == ErrorCode::fenced_leader_epoch);
    CHECK(error(1, fetch(cluster, 2, 2, id_of(1, 1))) == ErrorCode::unknown_leader_epoch);
    CHECK(error(3, fetch(cluster, 2, 1, id_of(1, 1))) == ErrorCode::not_leader_or_follower);
    CHECK(error(1, fetch(cluster, 2, 1, id_of(2, 1))) == ErrorCode::invalid_request);
    CHECK(error(1, fetch(cluster, 2, 1, id_of(1, -1))) == ErrorCode::invalid_request);
    const auto answer = answer_to<FetchResponse>(cluster, 3, fetch(cluster, 2, 1, id_of(1, 1)));
    CHECK(answer.view.leader == BrokerId(1));  // whoever asks the wrong one learns the leader
}

TEST_CASE("fetch: it waits for records, for the watermark, or for its time") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    lose_all(cluster);
    Replica& one = cluster.at(1);
    const auto parked = [&] { return std::get<Leading>(one.raft->role()).parked.size(); };
    FetchRequest request = fetch(cluster, 2, 1, id_of(1, 1));
    request.high_watermark = Offset(1);
    const std::size_t before = parked();
    CHECK(ask(cluster, 1, request).answers.empty());
    CHECK(parked() == before + 1);
    one.clock = one.clock + milliseconds(500);
    CHECK_FALSE(
        answer_of<FetchResponse>(one.raft->tick(cluster.turn(one), one.view())).has_records);
    CHECK(parked() == 0);
    // One that does not know the watermark is told at once.
    request.high_watermark = no_offset;
    CHECK(answer_to<FetchResponse>(cluster, 1, request).high_watermark == Offset(1));
    request.high_watermark = Offset(1);
    CHECK(ask(cluster, 1, request).answers.empty());
    // A leader that leaves answers those that wait.
    Effects effects = one.raft->resign(cluster.turn(one), one.view(), LeaderEpoch(1));
    CHECK(answer_of<FetchResponse>(effects).error == ErrorCode::not_leader_or_follower);
}

TEST_CASE("watermark: none before a record of the epoch is on a majority, flushed") {
    Options options = plain();
    options.sync_logs = false;
    Cluster cluster(options, nullptr);
    cluster.expire(1);
    for (int i = 0; i < 20 && !cluster.at(1).raft->is_leader(); ++i) cluster.deliver(0);
    REQUIRE(cluster.at(1).raft->is_leader());
    lose_all(cluster);
    const auto watermark = [&] { return cluster.at(1).raft->progress()->high_watermark(); };
    ask(cluster, 1, fetch(cluster, 2, 1, id_of(0, 0)));
    CHECK_FALSE(watermark().has_value());
    ask(cluster, 1, fetch(cluster, 2, 1, id_of(1, 1)));
    CHECK_FALSE(watermark().has_value());  // the leader itself has not flushed it
    cluster.sync_log(1);
    CHECK(watermark() == Offset(1));
    // A replica of the same id in another directory counts for nothing.
    cluster.append(1);
    cluster.sync_log(1);
    FetchRequest stranger = fetch(cluster, 2, 1, id_of(1, 2));
    stranger.replica.directory = cluster.at(3).key.directory;
    CHECK(watermark() == Offset(1));
    FetchRequest observer = fetch(cluster, 2, 1, id_of(1, 2));
    observer.replica.id = BrokerId(9);
    ask(cluster, 1, observer);
    CHECK(watermark() == Offset(1));
    ask(cluster, 1, fetch(cluster, 3, 1, id_of(1, 2)));
    CHECK(watermark() == Offset(2));
}

TEST_CASE("flushing: nobody fetches from beyond what is flushed, or campaigns with it") {
    Options options = plain();
    options.sync_logs = false;
    Cluster cluster(options, nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    cluster.append(1);
    REQUIRE(pass(cluster, 1, 2, false));
    REQUIRE(cluster.at(2).end() == Offset(2));
    CHECK_FALSE(pass(cluster, 2, 1, true));
    cluster.sync_log(2);
    CHECK(pass(cluster, 2, 1, true));

    Cluster other(options, nullptr);
    REQUIRE(elect_and_follow(other, 1));
    other.append(1);
    REQUIRE(pass(other, 1, 2, false));
    lose_all(other);
    other.expire(2);
    REQUIRE(is<Prospective>(other, 2));
    CHECK(other.network().empty());
    other.sync_log(2);
    CHECK(other.network().size() == 2);
}

TEST_CASE("follower: to cut below the high watermark is a fault, never done") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    cluster.tick(2);
    cluster.drain(100);
    REQUIRE(cluster.at(2).raft->high_watermark() == Offset(1));
    Replica& two = cluster.at(2);
    std::uint64_t request = 0;
    while (!two.raft->expects(BrokerId(1), request)) REQUIRE(++request < 1000);
    FetchResponse response;
    response.view = {LeaderEpoch(1), BrokerId(1), {}};
    response.diverging = id_of(0, 0);
    const Effects effects =
        two.raft->on_response(cluster.turn(two), two.view(), BrokerId(1), request, response);
    CHECK_FALSE(effects.truncate.has_value());
    CHECK(effects.fault.find("below the high watermark") != std::string::npos);
}

TEST_CASE("two leaders of one epoch are a fault") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    const Effects effects =
        ask(cluster, 2, BeginQuorumEpochRequest{LeaderEpoch(1), BrokerId(3), {}, {}});
    CHECK(effects.fault.find("contradicts") != std::string::npos);
}

TEST_CASE("voters: static ones cannot be changed, dynamic ones one at a time") {
    Cluster fixed(plain(), nullptr);
    REQUIRE(elect_and_follow(fixed, 1));
    REQUIRE(fixed.remove_voter(3));
    CHECK(fixed.change_answer == ErrorCode::unsupported_version);

    Options options = plain();
    options.replicas = 4;
    options.voters = {1, 2, 3};
    options.dynamic = true;
    Cluster cluster(options, nullptr);
    REQUIRE(cluster.expire(1));
    for (int i = 0; i < 20 && cluster.leader() == 0; ++i) cluster.deliver(0);
    lose_all(cluster);
    REQUIRE(cluster.remove_voter(3));
    CHECK(cluster.change_answer == ErrorCode::request_timed_out);  // nothing is committed yet
    cluster.settle(4);
    REQUIRE(cluster.at(1).raft->progress()->high_watermark().has_value());
    REQUIRE(cluster.add_voter(2));
    CHECK(cluster.change_answer == ErrorCode::duplicate_voter);
    Cluster removing = cluster;
    removing.change_answer.reset();
    REQUIRE(removing.remove_voter(3));
    CHECK_FALSE(removing.change_answer.has_value());  // until it is committed
    lose_all(removing);
    REQUIRE(removing.remove_voter(2));
    CHECK(removing.change_answer == ErrorCode::request_timed_out);
    REQUIRE(cluster.remove_voter(4));
    CHECK(cluster.change_answer == ErrorCode::voter_not_found);
    cluster.change_answer.reset();
    REQUIRE(cluster.add_voter(4));  // it has never fetched
    cluster.drain(100);
    CHECK(cluster.change_answer == ErrorCode::request_timed_out);
    CHECK(cluster.at(1).raft->voters().last().size() == 3);
}

TEST_CASE("voters: kraft.version is raised when all have told their directories") {
    Cluster cluster(plain(), nullptr);
    REQUIRE(elect_and_follow(cluster, 1));
    Replica& one = cluster.at(1);
    ErrorCode error = ErrorCode::none;
    one.raft->upgrade(cluster.turn(one), one.view(), error);
    CHECK(error == ErrorCode::invalid_update_version);
    // Each voter tells the leader of itself after a fetch timeout.
    cluster.settle(40);
    Cluster later = cluster;
    Replica& leader = later.at(1);
    REQUIRE(leader.raft->is_leader());
    const Effects effects = leader.raft->upgrade(later.turn(leader), leader.view(), error);
    CHECK(error == ErrorCode::none);
    REQUIRE(effects.append.has_value());
    REQUIRE(effects.append->records.size() == 2);
    CHECK(std::get<VersionChange>(effects.append->records[0]).version == 1);
    const auto& voters = std::get<VotersChange>(effects.append->records[1]).voters;
    for (int id = 1; id <= 3; ++id) CHECK(voters.find(BrokerId(id))->key == later.at(id).key);
    CHECK(leader.raft->voters().dynamic());
}

TEST_CASE("positions: valid, diverging, or only by a snapshot") {
    log::LeaderEpochCache epochs;
    epochs.assign(LeaderEpoch(2), Offset(10));
    epochs.assign(LeaderEpoch(5), Offset(20));
    const std::vector<SnapshotInfo> snapshots{{id_of(1, 10), 100}};
    const LogView log{Offset(10), Offset(30), Offset(30), &epochs, snapshots};
    using K = Position::Kind;
    CHECK(check_position(log, Offset(30), LeaderEpoch(5)) == Position{});
    CHECK(check_position(log, Offset(10), LeaderEpoch(1)) == Position{});
    CHECK(check_position(log, Offset(20), LeaderEpoch(2)) == Position{});
    CHECK(check_position(log, Offset(31), LeaderEpoch(5)) == Position{K::diverging, id_of(5, 30)});
    CHECK(check_position(log, Offset(25), LeaderEpoch(2)) == Position{K::diverging, id_of(2, 20)});
    CHECK(check_position(log, Offset(25), LeaderEpoch(4)) == Position{K::diverging, id_of(2, 20)});
    CHECK(check_position(log, Offset(30), LeaderEpoch(7)) == Position{K::diverging, id_of(5, 30)});
    CHECK(check_position(log, Offset(9), LeaderEpoch(1)) == Position{K::snapshot, id_of(1, 10)});
    CHECK(check_position(log, Offset(10), LeaderEpoch(2)) == Position{K::snapshot, id_of(1, 10)});
    CHECK(check_position(log, Offset(12), LeaderEpoch(0)) == Position{K::snapshot, id_of(1, 10)});
    CHECK(truncation_point(log, id_of(5, 25)) == Offset(25));
    CHECK(truncation_point(log, id_of(4, 28)) == Offset(20));
    CHECK(truncation_point(log, id_of(2, 15)) == Offset(15));
}

TEST_CASE("voter sets: neighbours' majorities meet, and the history goes with the log") {
    const auto set = [](std::vector<int> ids) {
        std::vector<Voter> voters;
        for (const int id : ids)
            voters.push_back(
                {{BrokerId(id), uuid_from_halves(1, static_cast<std::uint64_t>(id))}, {}, 0, 1});
        return VoterSet(voters);
    };
    CHECK(set({1, 2, 3}).overlaps(set({1, 2, 3, 4})));
    CHECK(set({1, 2, 3}).overlaps(set({1, 2})));
    CHECK(set({1, 2, 3}).overlaps(set({1, 2, 4})));
    CHECK_FALSE(set({1, 2, 3}).overlaps(set({1, 4, 5})));
    CHECK_FALSE(set({1}).without(set({1}).voters()[0].key).has_value());

    VoterHistory history(VoterSet::of_ids({BrokerId(1)}));
    CHECK_FALSE(history.last_offset().has_value());
    REQUIRE(history.add_voters(Offset(4), set({1, 2})));
    REQUIRE(history.add_voters(Offset(9), set({1, 2, 3})));
    CHECK_FALSE(history.add_voters(Offset(12), set({3, 4, 5})));
    CHECK(history.voters_at(Offset(9)) == set({1, 2}));
    CHECK(history.voters_at(Offset(10)) == set({1, 2, 3}));
    history.truncate_from_start(Offset(8));
    CHECK(history.voters_at(Offset(8)) == set({1, 2}));
    history.truncate_from_end(Offset(9));
    CHECK(history.last() == set({1, 2}));
    history.start_at(Offset(20), set({7}), 1);
    CHECK(history.last_offset() == Offset(19));
    CHECK(history.dynamic());
}
