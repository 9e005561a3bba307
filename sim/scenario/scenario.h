#pragma once
// A scenario as a value: what cluster, what clients, what is done to them and when, and what must
// be true afterwards. parse.h reads it from a file; driver.h lets it happen.
//
// The story is a row of steps, one after the other: a step waits for its moment from when the step
// before it has been done. Whom a step is aimed at is decided when it falls. What `by_chance` holds
// falls in its windows, whatever the story does.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/plants.h"
#include "core/base/time.h"
#include "sim/judge/bill.h"
#include "sim/run/plan.h"

namespace klamm::sim {

/// Whom a step is aimed at, or who states a fact. Roles are those of `partition`, looked up when
/// they are needed.
struct Who {
    enum class Role : std::uint8_t {
        broker,  // number: node.id
        leader,
        follower,      // some other replica that runs; drawn if there are several
        isr_follower,  // of those that are in the ISR
        elr_member,
        outside_isr,
        brokers,       // all of them, less whoever stands on the other side of a cut
        controller,    // the metadata node; of a quorum the active one
        controllers,   // all of them
        controller_n,  // number: of a quorum, from 1
        rack,          // number: all brokers of it, from 1
        producer,      // number: from 1
        consumer,
        member,   // number: of a consumer group, from 1
        members,  // all of them
        clients,  // all of them
        named,    // by an earlier step
    };
    Role role = Role::broker;
    std::int32_t number = 0;
    std::int32_t partition = 0;
    std::string name;  // of Role::named
    std::size_t line = 0;
};
using Whos = std::vector<Who>;

/// Something that happens in the world, by which steps are timed and goals are told.
struct Moment {
    std::size_t fact = 0;   // index into fact_words (words.h)
    std::optional<Who> by;  // the node that states it
    std::optional<std::int32_t> partition;
    std::uint32_t nth = 1;  // from when it is waited for
    // What the fact must say; each only where the fact has it.
    std::optional<Who> about;  // joining replica, new leader, fetching or registering broker
    std::optional<bool> flag;  // as_leader, leaderless, proven, diverging, error, told
    std::optional<std::int64_t> code;  // reason, log, cause, outcome, acks
    std::optional<Whos> isr;
    std::optional<Whos> elr;
    std::size_t line = 0;
};

enum class Verb : std::uint8_t {
    none,
    name,
    kill,
    kill_in_write,
    power,
    pause,
    resume,
    stop,
    start,
    wipe,
    cut,
    mend,
    stall,
    slow,
    reset,
    links,
    on,
    disk,
    clock,
    move_leader,
    elect_unclean,
    configure,
    site,
    swizzle,
    stall_each,
    reuse,
    last_copy,
};

/// What a step does.
struct Deed {
    Verb verb = Verb::none;
    Whos who;    // the one side of a cut
    Whos other;  // the other side
    bool both_ways = true;
    bool all = false;                            // mend: everything
    std::optional<Duration> lasting;             // else until it is taken back, or the healing
    std::map<std::string, Who> names;            // name
    FaultKind kind = FaultKind::kill;            // disk, clock, links: which
    bool well = false;                           // disk: takes back what was done to it
    bool remember = false;                       // disk: keeps what it holds
    std::int16_t api = 0;                        // on
    std::uint32_t nth = 1;                       // on: which request, from now
    bool applied = false;                        // on: after it was applied
    DiskAim aim = {};                            // disk: which file
    std::int64_t amount = 0;                     // as FaultEvent
    std::int32_t partition = 0;                  // move_leader, elect_unclean
    std::map<std::string, std::string> options;  // configure: of the topic; with: of the broker
    Site site = Site::fetch_answered_short;      // site
    std::int16_t error = 0;                      // on: the answer
};

struct Step {
    enum class When : std::uint8_t {
        now,     // as soon as the step before is done
        at,      // `time` after the start of the run
        wait,    // `time` after the step before
        when,    // in the turn of the moment: its disk calls are done, nothing has left the node
        before,  // just before the event in which the moment comes
        after,   // when what that turn sends has left
    };
    When when = When::now;
    Duration time;
    Moment moment;
    Deed deed;
    std::size_t line = 0;
};

/// Falls `times` times at drawn moments between `from` and `to`.
struct ByChance {
    Duration from;
    Duration to;
    std::uint32_t times = 1;
    Deed deed;
    std::size_t line = 0;
};

enum class Amount : std::uint8_t { none, some, any };

struct Bounds {
    std::optional<std::int64_t> at_least;
    std::optional<std::int64_t> at_most;
};

struct Expectations {
    bool excused = false;                   // liveness is not owed, by E1
    std::array<Amount, rule_count> lost{};  // by rule; none unless said
    std::array<Amount, rule_count> avoidable{};
    Amount stranded = Amount::none;
    std::map<std::string, Bounds> counts;  // names of RunCounts
    std::optional<Duration> unavailable_max;
    std::vector<Moment> reached;
    std::vector<Moment> never;
};

struct Scenario {
    std::string says;  // a sentence or two for a person
    std::string goal;  // in words
    Moment goal_reached_by;
    Bug turned_red_by = Bug::acks_all_like_one;
    std::uint32_t brokers = 3;
    std::size_t racks = 0;
    std::vector<env::ShardIndex> shards;  // by broker
    ClusterPlan cluster;
    WorkloadPlan workload;
    Duration length = seconds(12);  // until healing
    Duration within = seconds(60);  // after healing all must be well
    std::vector<std::uint32_t> left_down;
    std::vector<Step> story;
    std::vector<ByChance> by_chance;
    Expectations expect;
};

}  // namespace klamm::sim
