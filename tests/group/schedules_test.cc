// The state machine of groups under any schedule: clients that join, sync, beat, commit, leave or
// fall silent, time, watermarks, failing appends, and coordinators that are replaced. And every
// prefix of a log: a coordinator killed between any two records.
#include <fmt/format.h>
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "tests/group/bench.h"

using namespace klamm;
using namespace klamm::group;

namespace {

struct Client {
    std::string member;
    std::optional<std::string> instance;
    std::optional<JoinAnswer> joined;  // the last one that went well
};

GroupLog fold(const std::vector<GroupLogRecord>& log, std::size_t end) {
    GroupLog state;
    for (std::size_t i = 0; i < end; ++i) state.apply(log[i]);
    return state;
}

/// What must hold of a group at any moment.
void check(const Group& group) {
    const bool has_members = !group.members().empty();
    if (has_members) RC_ASSERT(group.leader().has_value());
    if (has_members) RC_ASSERT(group.members().contains(*group.leader()));
    if (group.is(GroupState::empty)) RC_ASSERT(!has_members);
    if (group.is(GroupState::stable) || group.is(GroupState::completing_rebalance))
        RC_ASSERT(has_members);
    std::set<std::string> instances;
    for (const auto& [id, member] : group.members()) {
        RC_ASSERT(member.id == id);
        RC_ASSERT(!group.pending.contains(id));
        if (member.instance) RC_ASSERT(instances.insert(*member.instance).second);
        if (member.instance) RC_ASSERT(*group.static_member(*member.instance) == id);
        // Joins are waited for in a rebalance only, or while a static member's new id is written.
        if (member.joining)
            RC_ASSERT(group.is(GroupState::preparing_rebalance) ||
                      (group.is(GroupState::stable) && member.instance));
        if (member.syncing) RC_ASSERT(group.is(GroupState::completing_rebalance));
    }
    for (const std::string& id : group.pending_sync) RC_ASSERT(group.members().contains(id));
}

struct Schedule {
    Bench bench;
    std::vector<Client> clients = std::vector<Client>(5);
    std::map<Caller, std::size_t> joins, syncs;  // who waits, by client
    std::map<Caller, std::int32_t> sync_generation;
    std::map<Caller, std::int64_t> commits;        // the offset
    std::map<std::int32_t, std::string> assigned;  // generation → whose assignment
    std::map<std::int32_t, std::string> leaders;   // of generations that somebody has synced in
    std::int64_t offsets_made = 0;
    std::int64_t acknowledged = -1;
    int assignments_made = 0;

    Schedule() {
        clients[4].instance = "i";
        bench.commits_at_once = false;
    }

    void step(int kind, std::size_t who, std::int64_t amount) {
        Client& client = clients[who % clients.size()];
        const std::int32_t generation = client.joined ? client.joined->generation : -1;
        switch (kind) {
            case 0:
            case 1: {
                Join command = join(client.member);
                command.needs_known_member = true;
                command.instance = client.instance;
                if (amount % 5 == 0) command.protocols[0].metadata = subscription({"t", "u"});
                joins[bench.send(command)] = who % clients.size();
                break;
            }
            case 2:
            case 3: {
                if (!client.joined) break;
                Sync command = sync(*client.joined);
                command.instance = client.instance;
                if (!client.joined->members.empty()) {
                    const std::string token = fmt::format("{}", ++assignments_made);
                    for (const auto& one : client.joined->members)
                        command.assignments[one.id] = as_assignment(token);
                }
                const Caller caller = bench.send(command);
                syncs[caller] = who % clients.size();
                sync_generation[caller] = generation;
                break;
            }
            case 4: {
                if (!client.joined) break;
                Heartbeat command{.group = "g", .generation = generation, .member = client.member};
                command.instance = client.instance;
                (void)bench.ask<PlainAnswer>(command);
                break;
            }
            case 5: {
                if (client.member.empty()) break;
                Leave command{.group = "g", .members = {{.id = client.member}}};
                (void)bench.send(command);
                client.member.clear();
                client.joined.reset();
                break;
            }
            case 6:
            case 7: {
                Commit command = commit(++offsets_made, generation, client.member);
                command.instance = client.instance;
                if (amount % 7 == 0) command = commit(offsets_made);
                const Group* group = bench.group("g");
                const bool member = group != nullptr && group->members().contains(command.member);
                const bool stranger = group != nullptr && !group->members().empty() &&
                                      (!member || command.generation != group->generation());
                const Caller caller = bench.send(command);
                if (stranger) {
                    // I8: a commit of another generation, or of no member, is refused at once.
                    RC_ASSERT(!bench.waits(caller));
                    RC_ASSERT(std::get<OffsetsAnswer>(bench.answers.at(caller)).error !=
                              ErrorCode::none);
                }
                commits[caller] = command.partitions[0].offset.offset.value;
                break;
            }
            case 8: bench.pass(milliseconds(amount * 40)); break;
            case 9: bench.commit_all(); break;
            case 10:
                bench.fail_over(bench.watermark + static_cast<std::size_t>(amount) %
                                                      (bench.log.size() - bench.watermark + 1));
                break;
            default:
                bench.append_error =
                    amount % 3 == 0 ? std::optional(ErrorCode::not_enough_replicas) : std::nullopt;
        }
        take_answers();
        for (const auto& [id, group] : bench.coordinator.groups()) check(group);
        // Both states are the log's.
        const auto& log = bench.coordinator.log();
        RC_ASSERT(log.committed() == fold(bench.log, bench.watermark));
        RC_ASSERT(log.latest() == fold(bench.log, bench.log.size()));
        if (acknowledged >= 0) {
            const auto* kept = log.committed().offsets("g");
            RC_ASSERT(kept != nullptr);
            const std::int64_t offset = kept->at({"t", PartitionIndex(0)}).offset.value;
            RC_ASSERT(offset >= acknowledged);
            RC_ASSERT(offset <= offsets_made);
        }
    }

    void take_answers() {
        for (auto& [caller, body] : std::exchange(bench.answers, {})) {
            if (const auto at = joins.find(caller); at != joins.end()) {
                take(clients[at->second], std::get<JoinAnswer>(body));
                joins.erase(at);
            } else if (const auto sync_at = syncs.find(caller); sync_at != syncs.end()) {
                take(clients[sync_at->second], std::get<SyncAnswer>(body),
                     sync_generation.at(caller));
                syncs.erase(sync_at);
            } else if (const auto commit_at = commits.find(caller); commit_at != commits.end()) {
                if (std::get<OffsetsAnswer>(body).error == ErrorCode::none)
                    acknowledged = std::max(acknowledged, commit_at->second);
                commits.erase(commit_at);
            }
        }
    }
    void take(Client& client, const JoinAnswer& answer) {
        if (answer.error == ErrorCode::member_id_required) {
            client.member = answer.member;
        } else if (answer.error == ErrorCode::none) {
            client.member = answer.member;
            client.joined = answer;
            // Only the leader is told who the members are, and it is one of them.
            if (!answer.members.empty()) RC_ASSERT(answer.leader == answer.member);
            if (!answer.members.empty())
                RC_ASSERT(std::any_of(answer.members.begin(), answer.members.end(),
                                      [&](const auto& one) { return one.id == answer.leader; }));
        } else if (answer.error == ErrorCode::unknown_member_id ||
                   answer.error == ErrorCode::fenced_instance_id) {
            client.member.clear();
            client.joined.reset();
        }
    }
    void take(Client& client, const SyncAnswer& answer, std::int32_t generation) {
        if (answer.error == ErrorCode::unknown_member_id ||
            answer.error == ErrorCode::fenced_instance_id) {
            client.member.clear();
            client.joined.reset();
        }
        if (answer.error != ErrorCode::none || answer.assignment.empty()) return;
        // I8: in a generation all own what one assignment gives them.
        const std::string token(answer.assignment.begin(), answer.assignment.end());
        const auto [at, first] = assigned.emplace(generation, token);
        RC_ASSERT(at->second == token);
    }
};

}  // namespace

TEST_CASE("group: any schedule of clients, failures and coordinators keeps what groups promise") {
    rc::prop("one leader, one assignment a generation, no stranger commits, no commit is lost", [] {
        Schedule schedule;
        const auto steps = *rc::gen::scale(
            6.0, rc::gen::container<std::vector<std::tuple<int, std::size_t, std::int64_t>>>(
                     rc::gen::tuple(rc::gen::inRange(0, 12), rc::gen::inRange<std::size_t>(0, 5),
                                    rc::gen::inRange<std::int64_t>(0, 300))));
        for (const auto& [kind, who, amount] : steps) schedule.step(kind, who, amount);
        // In the end everybody who waits is answered.
        schedule.bench.append_error.reset();
        schedule.bench.commits_at_once = true;
        schedule.bench.commit_all();
        schedule.bench.pass(seconds(400));
        schedule.take_answers();
        RC_ASSERT(schedule.joins.empty());
        RC_ASSERT(schedule.syncs.empty());
        RC_ASSERT(schedule.commits.empty());
    });
}

TEST_CASE("group: a coordinator that is killed between any two records goes on from them") {
    Bench story;
    auto members = stable_group(story, 3);
    for (int i = 0; i < 5; ++i) {
        const auto& m = members[static_cast<std::size_t>(i) % 3];
        (void)story.ask<OffsetsAnswer>(commit(10 + i, m.generation, m.member));
    }
    (void)story.ask<LeaveAnswer>(Leave{.group = "g", .members = {{.id = members[2].member}}});
    const Caller a = story.send(join(members[0].member));
    const Caller b = story.send(join(members[1].member));
    const auto again = story.take<JoinAnswer>(a);
    (void)story.take<JoinAnswer>(b);
    (void)story.send(sync(again, {{again.member, as_assignment("x")}}));
    (void)story.ask<OffsetsAnswer>(commit(20, again.generation, again.member));
    const std::vector<GroupLogRecord> log = story.log;
    REQUIRE(log.size() >= 9U);
    for (std::size_t kept = 0; kept <= log.size(); ++kept) {
        Bench heir;
        heir.log.assign(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(kept));
        heir.fail_over(kept);
        CHECK(heir.coordinator.log().committed() == fold(log, kept));
        std::int64_t offset = -1;
        for (std::size_t i = 0; i < kept; ++i)
            if (const auto* record = std::get_if<OffsetRecord>(&log[i]))
                offset = record->value->offset.value;
        CHECK(fetched(heir).value_or(-1) == offset);
        // Whoever was a member finds itself in the generation of the record, or joins anew; the
        // group becomes stable again.
        const Group* group = heir.group("g");
        const std::int32_t before = group == nullptr ? 0 : group->generation();
        heir.pass(seconds(11));
        const Caller joining = heir.send(join());
        heir.pass(seconds(4));
        const auto joined = heir.take<JoinAnswer>(joining);
        CHECK(joined.error == ErrorCode::none);
        CHECK(joined.generation > before);
        CHECK(heir.ask<SyncAnswer>(sync(joined)).error == ErrorCode::none);
        CHECK(heir.group("g")->is(GroupState::stable));
    }
}

TEST_CASE("group: a thousand members are one generation, and one that leaves makes the next") {
    Bench bench;
    const auto members = stable_group(bench, 1'000);
    CHECK(bench.group("g")->members().size() == 1'000U);
    CHECK(members.front().members.size() == 1'000U);
    CHECK(bench.ask<LeaveAnswer>(Leave{.group = "g", .members = {{.id = members[7].member}}})
              .members[0] == ErrorCode::none);
    std::vector<Caller> joining;
    for (std::size_t i = 0; i < members.size(); ++i)
        if (i != 7) joining.push_back(bench.send(join(members[i].member)));
    for (const Caller caller : joining)
        CHECK(bench.take<JoinAnswer>(caller).generation == members[0].generation + 1);
    bench.fail_over();
    CHECK(bench.group("g")->members().size() == 1'000U);  // that generation was not synced
}

TEST_CASE(
    "group: a leader that syncs twice before the first is committed has given one assignment") {
    Schedule schedule;
    const std::vector<std::tuple<int, std::size_t, std::int64_t>> steps{
        {0, 4, 0}, {8, 0, 75}, {2, 4, 0}, {2, 4, 0}, {9, 0, 0}, {10, 0, 0}, {2, 4, 0}};
    for (const auto& [kind, who, amount] : steps) schedule.step(kind, who, amount);
}
