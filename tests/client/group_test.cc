// Members of consumer groups against the real server, three brokers of it: rebalances, members and
// coordinators that fail, static and cooperative members; and how partitions are shared out.

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

#include "core/workload/member_node.h"
#include "core/workload/producer_node.h"
#include "tests/server/cluster.h"

namespace klamm::client::test {

namespace {

using facts::Outcome;
using workload::MemberNode;
using Phase = GroupConsumer::Phase;

struct GroupFact {
    Instant time;
    sim::NodeId node;
    facts::Fact fact;
};

server::test::ClusterOptions grouped(std::int32_t partitions, std::uint64_t seed) {
    server::test::ClusterOptions options;
    options.seed = seed;
    for (const auto& [name, count] : {std::pair<std::string, int>{"__consumer_offsets", 1},
                                      std::pair<std::string, int>{"many", partitions}}) {
        server::TopicPlan topic{
            .name = name, .id = uuid_from_halves(9, name.size()), .assignments = {}, .configs = {}};
        for (int p = 0; p < count; ++p) {
            topic.assignments.emplace_back();
            for (int i = 0; i < 3; ++i)
                topic.assignments.back().push_back(BrokerId(1 + (p + i) % 3));
        }
        options.more_topics.push_back(std::move(topic));
    }
    return options;
}

/// Three brokers, a producer into `many`, and members of the group "g".
class Groups final : public sim::WorldObserver {
  public:
    explicit Groups(std::int32_t partitions, std::uint64_t seed = 1)
        : cluster(grouped(partitions, seed)), world(cluster.world), count(partitions) {
        world.set_observer(this);
        REQUIRE(cluster.ready());
    }
    void on_fact(sim::NodeId node, env::ShardIndex, Instant time,
                 const facts::Fact& fact) override {
        stated.push_back({time, node, fact});
    }

    [[nodiscard]] workload::MemberWorkload workload(std::uint32_t client) const {
        workload::MemberWorkload made;
        made.client = client;
        made.topic = "many";
        made.partitions = count;
        made.options.client.client_id = "member";
        for (int i = 1; i <= 3; ++i)
            made.options.client.bootstrap_servers.push_back("broker-" + std::to_string(i) +
                                                            ":9092");
        made.options.client.request_timeout_ms = 3'000;
        made.options.group_id = "g";
        made.options.session_timeout_ms = 6'000;
        made.options.heartbeat_interval_ms = 500;
        made.options.max_poll_interval_ms = 8'000;
        made.options.auto_offset_reset = config::OffsetReset::earliest;
        made.options.fetch_max_wait_ms = 100;
        made.options.enable_auto_commit = false;
        return made;
    }
    sim::NodeId add(const workload::MemberWorkload& made) {
        const std::string name = "member-" + std::to_string(made.client);
        members.push_back(start(name, workload::member_factory(made)));
        return members.back();
    }
    sim::NodeId start(const std::string& name, env::NodeFactory factory) {
        sim::NodeSpec spec;
        spec.name = name;
        spec.factory = std::move(factory);
        const sim::NodeId id = world.add_node(std::move(spec));
        world.start(id);
        return id;
    }
    void produce(std::uint32_t operations) {
        workload::ProducerWorkload made;
        made.options.client = workload(1).options.client;
        made.topic = "many";
        made.partitions = count;
        made.pacing.operations = operations;
        made.pacing.gap = {milliseconds(5), milliseconds(5)};
        start("producer", workload::producer_factory(made));
    }

    const GroupConsumer* member(sim::NodeId id) {
        const auto* node = static_cast<const MemberNode*>(world.shard_object(id));
        return node == nullptr ? nullptr : &node->member();
    }
    const MemberNode& node(sim::NodeId id) {
        return static_cast<const MemberNode&>(*world.shard_object(id));
    }
    /// All that are alive are in one generation, and each partition is owned by one of them.
    bool settled() {
        std::set<std::int32_t> generations;
        std::multiset<std::int32_t> owned;
        for (const sim::NodeId id : members) {
            const GroupConsumer* one = member(id);
            if (one == nullptr || one->phase() == Phase::over) continue;
            if (one->phase() != Phase::stable) return false;
            generations.insert(one->generation());
            for (const auto& [topic, partition] : one->owned()) owned.insert(partition);
        }
        if (generations.size() != 1 || owned.size() != static_cast<std::size_t>(count))
            return false;
        return std::set<std::int32_t>(owned.begin(), owned.end()).size() == owned.size();
    }
    bool settles(Duration limit = seconds(30)) {
        return world.run_until([this] { return settled(); }, limit);
    }
    std::size_t size_of(sim::NodeId id) {
        return member(id) == nullptr ? 0 : member(id)->owned().size();
    }

    template <class Kind>
    std::vector<std::pair<sim::NodeId, Kind>> all(Instant since = Instant{0}) const {
        std::vector<std::pair<sim::NodeId, Kind>> found;
        for (const GroupFact& one : stated)
            if (const auto* fact = std::get_if<Kind>(&one.fact);
                fact != nullptr && one.time >= since)
                found.emplace_back(one.node, *fact);
        return found;
    }
    /// What is acknowledged last for each partition.
    std::map<std::int32_t, std::int64_t> committed() const {
        std::map<std::pair<sim::NodeId, std::uint64_t>, facts::GroupCommitInvoked> open;
        std::map<std::int32_t, std::int64_t> last;
        for (const GroupFact& one : stated) {
            if (const auto* asked = std::get_if<facts::GroupCommitInvoked>(&one.fact))
                open[{one.node, asked->operation}] = *asked;
            const auto* done = std::get_if<facts::GroupCommitReturned>(&one.fact);
            if (done == nullptr || done->outcome != Outcome::ok) continue;
            for (const auto& at : open.at({one.node, done->operation}).offsets)
                last[at.partition] = at.offset.value;
        }
        return last;
    }
    /// No two members of a generation were given the same partition. (A static member that comes
    /// back has another id.)
    void check_ownership() const {
        std::map<std::pair<std::int32_t, std::int32_t>, sim::NodeId> owners;
        for (const auto& [node, fact] : all<facts::GroupAssigned>())
            for (const auto& part : fact.owned)
                CHECK(owners.emplace(std::pair(fact.generation, part.partition), node)
                          .first->second == node);
    }

    server::test::Cluster cluster;
    sim::World& world;
    std::int32_t count;
    std::vector<sim::NodeId> members;
    std::vector<GroupFact> stated;
};

GroupMember member_of(const std::string& id, std::set<std::string> topics,
                      std::set<TopicAndIndex> owned = {}, std::int32_t generation = -1) {
    return {id, std::nullopt, {std::move(topics), std::move(owned), generation}};
}

}  // namespace

TEST_CASE("group members: partitions are shared out, and read and committed by their owners") {
    Groups groups(6);
    groups.produce(400);
    for (std::uint32_t i = 0; i < 3; ++i) groups.add(groups.workload(10 + i));
    REQUIRE(groups.settles());
    for (const sim::NodeId id : groups.members) CHECK(groups.size_of(id) == 2);
    REQUIRE(groups.world.run_for(seconds(6)));
    groups.check_ownership();
    std::uint64_t records = 0;
    for (const sim::NodeId id : groups.members) {
        CHECK(groups.node(id).commits().ok > 3);
        CHECK(groups.node(id).commits().failed == 0);
        records += groups.node(id).records();
    }
    CHECK(records == 400);
    CHECK(groups.committed().size() == 6);
}

TEST_CASE(
    "group members: who is killed is missed within a session, and goes on where it committed") {
    Groups groups(4);
    groups.produce(2'000);
    for (std::uint32_t i = 0; i < 2; ++i) groups.add(groups.workload(10 + i));
    REQUIRE(groups.settles());
    REQUIRE(groups.world.run_for(seconds(3)));
    groups.world.kill(groups.members[0]);
    const Instant killed = groups.world.now();
    REQUIRE(groups.world.run_until(
        [&] { return groups.settled() && groups.size_of(groups.members[1]) == 4; }, seconds(15)));
    CHECK(groups.world.now() - killed > seconds(4));
    const auto before = groups.committed();
    // Whoever takes over begins where the group had committed, not at the log's start.
    const auto told = groups.all<facts::GroupOffsetsReturned>(killed);
    REQUIRE_FALSE(told.empty());
    groups.world.start(groups.members[0]);
    REQUIRE(groups.world.run_for(seconds(4)));
    REQUIRE(groups.settles());
    CHECK(groups.size_of(groups.members[0]) == 2);
    groups.check_ownership();
    for (const auto& [partition, offset] : groups.committed())
        CHECK(offset >= before.at(partition));
}

TEST_CASE("group members: the coordinator is killed, and the generation goes on at the next one") {
    Groups groups(4);
    groups.produce(1'000);
    for (std::uint32_t i = 0; i < 2; ++i) groups.add(groups.workload(10 + i));
    REQUIRE(groups.settles());
    REQUIRE(groups.world.run_for(seconds(2)));
    const std::int32_t generation = groups.member(groups.members[0])->generation();
    const auto before = groups.committed();
    groups.world.kill(groups.cluster.brokers[0]);
    REQUIRE(groups.world.run_for(seconds(8)));
    CHECK(groups.settled());
    CHECK(groups.member(groups.members[0])->generation() == generation);
    const auto after = groups.committed();
    bool further = false;
    for (const auto& [partition, offset] : before) {
        CHECK(after.at(partition) >= offset);
        further = further || after.at(partition) > offset;
    }
    CHECK(further);
    groups.check_ownership();
}

TEST_CASE("group members: a coordinator that cannot be reached is looked for again") {
    Groups groups(2);
    groups.add(groups.workload(10));
    REQUIRE(groups.settles());
    // The member comes back while brokers still name who has just gone for good.
    groups.world.kill(groups.members[0]);
    groups.world.kill(groups.cluster.brokers[0]);
    groups.world.start(groups.members[0]);
    REQUIRE(groups.settles(seconds(30)));
}

TEST_CASE("group members: who is paused past its session has lost all, and its commit is refused") {
    Groups groups(4);
    groups.produce(2'000);
    for (std::uint32_t i = 0; i < 2; ++i) groups.add(groups.workload(10 + i));
    REQUIRE(groups.settles());
    REQUIRE(groups.world.run_for(seconds(1)));
    const std::int32_t generation = groups.member(groups.members[0])->generation();
    groups.world.pause(groups.members[0]);
    REQUIRE(groups.world.run_for(seconds(12)));
    CHECK(groups.size_of(groups.members[1]) == 4);
    const Instant resumed = groups.world.now();
    groups.world.resume(groups.members[0]);
    REQUIRE(groups.world.run_for(seconds(10)));
    REQUIRE(groups.settles());
    CHECK(groups.size_of(groups.members[0]) == 2);
    groups.check_ownership();
    bool lost = false;
    for (const auto& [node, fact] : groups.all<facts::GroupRevoked>(resumed))
        lost = lost || (fact.lost && fact.generation == generation && node == groups.members[0]);
    CHECK(lost);
    std::set<std::uint64_t> of_the_past;
    for (const auto& [node, fact] : groups.all<facts::GroupCommitInvoked>(resumed))
        if (fact.generation == generation) of_the_past.insert(fact.operation);
    for (const auto& [node, fact] : groups.all<facts::GroupCommitReturned>(resumed))
        if (node == groups.members[0] && of_the_past.contains(fact.operation))
            CHECK(fact.outcome == Outcome::failed);
}

TEST_CASE(
    "group members: who is asked to stop leaves, and the others need not wait for a session") {
    Groups groups(4);
    groups.produce(500);
    for (std::uint32_t i = 0; i < 2; ++i) groups.add(groups.workload(10 + i));
    REQUIRE(groups.settles());
    REQUIRE(groups.world.run_for(seconds(1)));
    groups.world.ask_stop(groups.members[0]);
    REQUIRE(
        groups.world.run_until([&] { return groups.size_of(groups.members[1]) == 4; }, seconds(4)));
    CHECK_FALSE(groups.world.alive(groups.members[0]));
    const auto commits = groups.all<facts::GroupCommitReturned>();
    CHECK(std::all_of(commits.begin(), commits.end(),
                      [](const auto& one) { return one.second.outcome == Outcome::ok; }));
}

TEST_CASE(
    "group members: a static member that comes back keeps its partitions, nobody rebalances") {
    Groups groups(4);
    for (std::uint32_t i = 0; i < 2; ++i) {
        auto made = groups.workload(10 + i);
        made.options.group_instance_id = "static-" + std::to_string(i);
        groups.add(made);
    }
    REQUIRE(groups.settles());
    const std::int32_t generation = groups.member(groups.members[1])->generation();
    const auto owned = groups.member(groups.members[0])->owned();
    groups.world.ask_stop(groups.members[0]);
    REQUIRE(groups.world.run_for(seconds(2)));
    CHECK_FALSE(groups.world.alive(groups.members[0]));
    groups.world.start(groups.members[0]);
    REQUIRE(groups.world.run_for(seconds(3)));
    CHECK(groups.settled());
    CHECK(groups.member(groups.members[0])->generation() == generation);
    CHECK(groups.member(groups.members[0])->owned() == owned);
    groups.check_ownership();
}

TEST_CASE("group members: cooperative ones give up only what moves") {
    Groups groups(6);
    groups.produce(1'000);
    for (std::uint32_t i = 0; i < 3; ++i) {
        auto made = groups.workload(10 + i);
        made.options.partition_assignment_strategy = {"cooperative-sticky"};
        if (i == 2) made.start = seconds(5);
        if (i < 2) groups.add(made);
    }
    REQUIRE(groups.settles());
    REQUIRE(groups.world.run_for(seconds(1)));
    const Instant before = groups.world.now();
    auto third = groups.workload(12);
    third.options.partition_assignment_strategy = {
        "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"};
    groups.add(third);
    REQUIRE(groups.world.run_until(
        [&] { return groups.settled() && groups.size_of(groups.members[2]) == 2; }, seconds(20)));
    groups.check_ownership();
    std::size_t given_up = 0;
    for (const auto& [node, fact] : groups.all<facts::GroupRevoked>(before)) {
        CHECK_FALSE(fact.lost);
        given_up += fact.given_up.size();
    }
    CHECK(given_up == 2);
}

TEST_CASE("group members: who does not poll for too long leaves until it does") {
    Groups groups(2);
    auto slow = groups.workload(10);
    slow.options.max_poll_interval_ms = 2'000;
    slow.gap = {seconds(7), {}};  // between polls
    groups.add(slow);
    groups.add(groups.workload(11));
    REQUIRE(groups.world.run_until(
        [&] { return groups.settled() && groups.size_of(groups.members[0]) == 1; }, seconds(30)));
    REQUIRE(
        groups.world.run_until([&] { return groups.size_of(groups.members[1]) == 2; }, seconds(6)));
    CHECK(groups.member(groups.members[0])->generation() == -1);
    REQUIRE(groups.world.run_until(
        [&] { return groups.settled() && groups.size_of(groups.members[0]) == 1; }, seconds(15)));
    groups.check_ownership();
}

TEST_CASE("group members: many of them, killed and started again, come to share all partitions") {
    Groups groups(8, 3);
    groups.produce(1'000);
    for (std::uint32_t i = 0; i < 12; ++i) groups.add(groups.workload(10 + i));
    REQUIRE(groups.settles());
    for (std::uint32_t round = 0; round < 4; ++round) {
        const sim::NodeId one = groups.members[3 * round];
        groups.world.kill(one);
        REQUIRE(groups.world.run_for(milliseconds(700)));
        groups.world.start(one);
    }
    REQUIRE(groups.world.run_for(seconds(9)));  // the sessions of those that were killed
    REQUIRE(groups.settles());
    groups.check_ownership();
}

// --- sharing out

TEST_CASE("assignors: range and roundrobin are Kafka's") {
    const std::map<std::string, std::int32_t> partitions{{"a", 3}, {"b", 3}};
    const std::vector<GroupMember> two{member_of("c1", {"a", "b"}), member_of("c0", {"a", "b"})};
    const auto range = assign(Assignor::range, two, partitions);
    CHECK(range.at("c0") == std::set<TopicAndIndex>{{"a", 0}, {"a", 1}, {"b", 0}, {"b", 1}});
    CHECK(range.at("c1") == std::set<TopicAndIndex>{{"a", 2}, {"b", 2}});
    const auto round = assign(Assignor::round_robin, two, partitions);
    CHECK(round.at("c0") == std::set<TopicAndIndex>{{"a", 0}, {"a", 2}, {"b", 1}});
    CHECK(round.at("c1") == std::set<TopicAndIndex>{{"a", 1}, {"b", 0}, {"b", 2}});
    // The example of RoundRobinAssignor's documentation with different subscriptions.
    const auto mixed = assign(Assignor::round_robin,
                              {member_of("c0", {"t0"}), member_of("c1", {"t0", "t1"}),
                               member_of("c2", {"t0", "t1", "t2"})},
                              {{"t0", 1}, {"t1", 2}, {"t2", 3}});
    CHECK(mixed.at("c0") == std::set<TopicAndIndex>{{"t0", 0}});
    CHECK(mixed.at("c1") == std::set<TopicAndIndex>{{"t1", 0}});
    CHECK(mixed.at("c2") == std::set<TopicAndIndex>{{"t1", 1}, {"t2", 0}, {"t2", 1}, {"t2", 2}});
    // Static members come first, by their names.
    GroupMember named = member_of("c9", {"a"});
    named.instance = "z";
    CHECK(assign(Assignor::range, {member_of("c0", {"a"}), named}, {{"a", 1}}).at("c9").size() ==
          1);
}

TEST_CASE("assignors: sticky ones balance, move little, and give nothing that is still owned") {
    const Draws draws(11);
    constexpr DrawDomain domain = draw_domain("test.sticky");
    for (std::uint64_t run = 0; run < 200; ++run) {
        const auto drawn = [&](std::uint64_t n, std::uint64_t below) {
            return draws.below(below, domain, run, n);
        };
        const auto count = static_cast<std::int32_t>(1 + drawn(0, 12));
        const std::map<std::string, std::int32_t> partitions{{"t", count}};
        std::map<std::string, std::set<TopicAndIndex>> owned;
        std::int32_t generation = 0;
        std::set<std::string> names;
        for (std::uint64_t change = 0; change < 6; ++change) {
            const std::string name = "m" + std::to_string(drawn(10 + change, 6));
            if (!names.erase(name)) names.insert(name);
            owned.erase(name);
            if (names.empty()) continue;
            const auto before = owned;
            // Two generations: what moves is given up in the first.
            for (int step = 0; step < 2; ++step) {
                std::vector<GroupMember> members;
                for (const std::string& one : names)
                    members.push_back(member_of(one, {"t"}, owned[one], generation));
                const auto shares = assign(Assignor::cooperative_sticky, members, partitions);
                std::multiset<TopicAndIndex> given;
                for (const auto& [id, share] : shares) {
                    given.insert(share.begin(), share.end());
                    for (const auto& [other, theirs] : owned)
                        for (const TopicAndIndex& part : share)
                            CHECK((other == id || !theirs.contains(part)));
                }
                CHECK(std::set<TopicAndIndex>(given.begin(), given.end()).size() == given.size());
                owned = shares;
                ++generation;
            }
            std::size_t most = 0;
            std::size_t least = static_cast<std::size_t>(count);
            std::size_t all = 0;
            for (const auto& [id, share] : owned) {
                most = std::max(most, share.size());
                least = std::min(least, share.size());
                all += share.size();
            }
            CHECK(all == static_cast<std::size_t>(count));
            CHECK(most - least <= 1);
            for (const auto& [id, share] : before) {
                if (!names.contains(id)) continue;
                std::size_t kept = 0;
                for (const TopicAndIndex& part : share) kept += owned.at(id).contains(part) ? 1 : 0;
                CHECK(kept >= std::min(share.size(), least));
            }
        }
    }
}

TEST_CASE("assignors: what members tell each other is read back, and older versions too") {
    const Subscription told{{"a", "b"}, {{"a", 0}, {"a", 2}, {"b", 1}}, 7};
    CHECK(decode_subscription(encode(told)) == told);
    const std::set<TopicAndIndex> share{{"a", 1}, {"b", 0}, {"b", 5}};
    CHECK(decode_assignment(encode_assignment(share)) == share);
    CHECK(decode_assignment({}) == std::set<TopicAndIndex>{});
    const Bytes oldest{0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};
    CHECK(decode_subscription(oldest) == Subscription{{"t"}, {}, -1});
    const Bytes whole = encode(told);
    for (std::size_t size = 0; size + 2 < whole.size(); ++size) {  // the last two are no rack
        const auto cut = decode_subscription(ByteView(whole).first(size));
        CHECK((!cut.has_value() || !(*cut == told)));
    }
    CHECK(assignor_from_name("range") == Assignor::range);
    CHECK(assignor_from_name("org.apache.kafka.clients.consumer.RoundRobinAssignor") ==
          Assignor::round_robin);
    CHECK_FALSE(assignor_from_name("sticky").has_value());
}

}  // namespace klamm::client::test
