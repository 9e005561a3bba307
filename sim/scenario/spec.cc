#include "sim/scenario/spec.h"

#include <algorithm>
#include <array>

#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

constexpr std::int64_t brokers_max = 9;
constexpr std::int64_t controllers_max = 5;

constexpr std::array moment_keys{
    KeySpec{"fact", Form::choice, "what happens", true, nullptr, fact_words},
    KeySpec{"by", Form::who, "the node that states it; any if absent"},
    KeySpec{"partition", Form::integer, "of topic trial; any if absent", false, nullptr, {}, 0, 63},
    KeySpec{"nth",
            Form::integer,
            "which one, counted from when it is waited for; 1 if absent",
            false,
            nullptr,
            {},
            1},
    KeySpec{"as_leader", Form::flag, "of `appended`: by a leader, or by a follower"},
    KeySpec{"reason", Form::choice, "of `truncated`", false, nullptr, truncate_words},
    KeySpec{"log", Form::choice, "of `opened`: how the log was found", false, nullptr, log_words},
    KeySpec{"leader", Form::who, "of `partition_changed` and `follows`: who leads now"},
    KeySpec{"leaderless", Form::flag, "of `partition_changed`: nobody leads, or somebody does"},
    KeySpec{"joining", Form::who, "of `isr_proposed`: who is to be admitted"},
    KeySpec{"of", Form::who,
            "of `registered`, `fenced`, `unfenced`, `fetched`: the broker it is about"},
    KeySpec{"proven", Form::flag, "of `registered`: the stop before was proven clean"},
    KeySpec{"diverging", Form::flag, "of `fetched`: the follower was told that its log diverges"},
    KeySpec{"cause", Form::choice, "of `partition_changed`", false, nullptr, cause_words},
    KeySpec{"isr", Form::whos, "of `partition_changed`: exactly these are in sync"},
    KeySpec{"elr", Form::whos, "of `partition_changed`: exactly these are eligible"},
    KeySpec{"acks", Form::integer, "of `produce_answered`", false, nullptr, {}, -1, 1},
    KeySpec{"error", Form::flag, "of `produce_answered`: with an error, or without"},
    KeySpec{"outcome", Form::choice, "of `send_returned`", false, nullptr, outcome_words},
    KeySpec{"told", Form::flag, "of `poll_returned`: the consumer was told that it must reset"},
};
constexpr ObjectSpec of_moment{
    "a moment", "Something that happens in the world: a fact that a node states.", moment_keys};

constexpr std::array cut_keys{
    KeySpec{"from", Form::whos, "who is not heard"},
    KeySpec{"to", Form::whos, "who does not hear"},
    KeySpec{"between", Form::whos, "one side, both ways; with `and`"},
    KeySpec{"and", Form::whos, "the other side"},
    KeySpec{"all", Form::flag, "of `mend`: every cut of this story"},
};
constexpr ObjectSpec cut_spec{"the ends of a cut",
                              "Either `from` and `to`, one way, or `between` and `and`, both ways.",
                              cut_keys};

constexpr std::array slow_keys{
    KeySpec{"who", Form::who, "the broker whose links are slow", true},
    KeySpec{"by", Form::duration, "what each packet takes more", true},
};
constexpr std::array link_keys{
    KeySpec{"who", Form::who, "the broker whose links they are", true},
    KeySpec{"bytes_per_second",
            Form::integer,
            "all connections of a link together get no more through",
            false,
            nullptr,
            {},
            100},
    KeySpec{"swallow_above",
            Form::integer,
            "packets of more bytes never arrive, nor what follows them on their connection",
            false,
            nullptr,
            {},
            1},
    KeySpec{"refused", Form::flag, "whoever connects to it is turned away"},
};
constexpr ObjectSpec links_spec{"what links do", "Of all links of a broker; one of them.",
                                link_keys};

constexpr std::array request_keys{
    KeySpec{"api", Form::choice, "what is asked", true, nullptr, api_words},
    KeySpec{"from", Form::whos, "who asks; anybody if absent"},
    KeySpec{"to", Form::whos, "who is asked; anybody if absent"},
    KeySpec{"nth", Form::integer, "which request, from now; 1 if absent", false, nullptr, {}, 1},
    KeySpec{"stalls", Form::choice,
            "the connection stalls, for as long as `for` says: with the request, or its answer",
            false, nullptr, point_words},
    KeySpec{"resets", Form::choice, "the connection breaks", false, nullptr, point_words},
    KeySpec{"fails_with", Form::text,
            "it is not looked at, and answered with this error: NOT_LEADER_OR_FOLLOWER, …"},
};
constexpr ObjectSpec request_spec{
    "a request", "One request, and what becomes of it: `stalls`, `resets` or `fails_with`.",
    request_keys};

constexpr ObjectSpec slow_spec{"a slow link", "All links of a broker.", slow_keys};

constexpr std::array disk_keys{
    KeySpec{"of", Form::who, "the broker", true},
    KeySpec{"stalls", Form::flag, "it answers nothing"},
    KeySpec{
        "slower", Form::integer, "it takes so many times as long", false, nullptr, {}, 2, 100'000},
    KeySpec{"fails_writes",
            Form::integer,
            "so many of a million writes fail with EIO",
            false,
            nullptr,
            {},
            1,
            1'000'000},
    KeySpec{"fails_syncs",
            Form::integer,
            "so many of a million syncs fail with EIO",
            false,
            nullptr,
            {},
            1,
            1'000'000},
    KeySpec{"full_after",
            Form::integer,
            "no room but for so many bytes more (ENOSPC)",
            false,
            nullptr,
            {},
            0},
    KeySpec{"full_at_sync_after",
            Form::integer,
            "the same, but found by syncs: writes go through",
            false,
            nullptr,
            {},
            0},
    KeySpec{"lies",
            Form::integer,
            "so many of a million syncs answer ok and do nothing",
            false,
            nullptr,
            {},
            1,
            1'000'000},
    KeySpec{"rots", Form::flag,
            "some bytes read as others from now on, until they are written again; the good ones "
            "are kept"},
    KeySpec{"unreadable", Form::flag, "a sector fails each read with EIO"},
    KeySpec{"misdirects", Form::flag, "the next write of a file lands elsewhere in it"},
    KeySpec{"loses_writes", Form::flag,
            "writing back what is dirty of a file fails though no sync asked; the next sync of it "
            "tells"},
    KeySpec{"is_remembered", Form::flag, "what it holds is kept, for `rolls_back`"},
    KeySpec{"rolls_back", Form::flag, "killed, and it is as it was when it was remembered"},
    KeySpec{"swaps_with", Form::who, "both are killed, and each has the other's disk"},
    KeySpec{"loses_a_directory", Form::flag, "killed, and a log directory is empty"},
    KeySpec{"file", Form::choice,
            "of `rots`, `unreadable`, `misdirects`, `loses_writes`: any if absent", false, nullptr,
            disk_file_words},
    KeySpec{"partition", Form::integer, "of the file; any if absent", false, nullptr, {}, 0, 63},
    KeySpec{"batch", Form::choice, "of a log: which batches; any if absent", false, nullptr,
            batch_words},
    KeySpec{"part", Form::choice,
            "of a batch that rots; no checksum covers the leader epoch; any if absent", false,
            nullptr, batch_part_words},
    KeySpec{"well", Form::flag, "what this story did to it ends"},
};
constexpr ObjectSpec disk_spec{"a disk's trouble",
                               "One kind of trouble, and for some of them which file it befalls.",
                               disk_keys};

constexpr std::array clock_keys{
    KeySpec{"of", Form::who, "the broker", true},
    KeySpec{"steps", Form::duration, "the wall clock jumps; \"-10m\" back"},
    KeySpec{"drifts",
            Form::integer,
            "both clocks run so many millionths faster",
            false,
            nullptr,
            {},
            -800'000,
            800'000},
};
constexpr ObjectSpec clock_spec{"a clock's trouble", "One kind of trouble.", clock_keys};

constexpr std::array move_keys{
    KeySpec{"to", Form::who, "an ISR member that runs", true},
    KeySpec{"partition", Form::integer, "0 if absent", false, nullptr, {}, 0, 63},
};
constexpr ObjectSpec move_spec{"a move of the leadership",
                               "As an administrator's preferred election does.", move_keys};

constexpr std::array elect_keys{
    KeySpec{"partition", Form::integer, "0 if absent", false, nullptr, {}, 0, 63},
};
constexpr ObjectSpec elect_spec{
    "an unclean election", "By an administrator, of a partition without a leader.", elect_keys};

constexpr std::array site_keys{
    KeySpec{"name", Form::choice, "what the code does there", true, nullptr, site_words},
    KeySpec{"of_a_million",
            Form::integer,
            "in so many cases; in all if absent",
            false,
            nullptr,
            {},
            1,
            1'000'000},
};
constexpr ObjectSpec site_spec{
    "a site", "A place where the code may lawfully do what it rarely does.", site_keys};

constexpr std::array reuse_keys{
    KeySpec{"address_of", Form::who, "the broker that is killed", true},
    KeySpec{"by", Form::who, "the broker that is found where it was", true},
};
constexpr ObjectSpec reuse_spec{"an address", "Until the one is back, the other has it.",
                                reuse_keys};

constexpr std::array copy_keys{
    KeySpec{"partition", Form::integer, "0 if absent", false, nullptr, {}, 0, 63},
};
constexpr ObjectSpec copy_spec{"the last copy", "Of a partition.", copy_keys};

#define KLAMM_DEED_KEYS                                                                            \
    KeySpec{"kill", Form::whos, "the process ends as by SIGKILL; its page cache lives on"},        \
        KeySpec{"answers",                                                                         \
                Form::choice,                                                                      \
                "of `kill`: what the turn under way had to send: all, none, or a drawn part",      \
                false,                                                                             \
                nullptr,                                                                           \
                answer_words},                                                                     \
        KeySpec{"kill_in_write", Form::whos,                                                       \
                "killed within its next turn that writes: a drawn prefix of it remains"},          \
        KeySpec{"power", Form::whos, "the machines lose power at one moment"},                     \
        KeySpec{"pause", Form::whos, "the process stands still; also a client or the controller"}, \
        KeySpec{"resume", Form::whos, "goes on"},                                                  \
        KeySpec{"stop", Form::whos, "asked to stop cleanly"},                                      \
        KeySpec{"start", Form::whos, "started again"},                                             \
        KeySpec{"wipe", Form::whos, "killed, and its disk is empty at the next start"},            \
        KeySpec{"cut", Form::object, "nothing passes; bytes on the way are held", false,           \
                &cut_spec},                                                                        \
        KeySpec{"mend", Form::object, "what was cut passes again", false, &cut_spec},              \
        KeySpec{"stall", Form::object, "packets wait for as long as `for` says", false,            \
                &cut_spec},                                                                        \
        KeySpec{"slow", Form::object, "a broker's links become slow", false, &slow_spec},          \
        KeySpec{"on", Form::object, "what befalls a request that is still to be sent", false,      \
                &request_spec},                                                                    \
        KeySpec{"links", Form::object, "a broker's links become narrow, or swallow what is large", \
                false, &links_spec},                                                               \
        KeySpec{"reset", Form::object, "connections break; bytes on the way are gone", false,      \
                &cut_spec},                                                                        \
        KeySpec{"disk", Form::object, "trouble of a disk", false, &disk_spec},                     \
        KeySpec{"clock", Form::object, "trouble of a clock", false, &clock_spec},                  \
        KeySpec{"move_leader", Form::object, "leadership moves without a crash", false,            \
                &move_spec},                                                                       \
        KeySpec{"elect_unclean", Form::object, "somebody leads, whatever it lacks", false,         \
                &elect_spec},                                                                      \
        KeySpec{"configure", Form::options,                                                        \
                "options of the topic, as an administrator sets them"},                            \
        KeySpec{"with", Form::options,                                                             \
                "of `stop`, `kill`, `power`: options that the broker has from its next start on"}, \
        KeySpec{"site", Form::object, "the code does what it rarely does", false, &site_spec},     \
        KeySpec{"swizzle", Form::whos,                                                             \
                "cut off one after another, and back in another order, within `for`"},             \
        KeySpec{"stall_each", Form::who,                                                           \
                "each connection of a client stalls for a time of its own, `for` in the mean"},    \
        KeySpec{"reuse", Form::object, "a broker's address goes to another", false, &reuse_spec},  \
        KeySpec{"last_copy", Form::object,                                                         \
                "disks are wiped until one good copy is left whose broker may lead", false,        \
                &copy_spec},                                                                       \
        KeySpec {                                                                                  \
        "for", Form::duration, "how long it lasts; else until it is taken back, or the healing"    \
    }

constexpr std::array step_keys{
    KeySpec{"at", Form::duration, "when: so long after the start of the run"},
    KeySpec{"wait", Form::duration, "when: so long after the step before"},
    KeySpec{"when", Form::object,
            "in the very turn: its disk calls are done, nothing it sends has left", false,
            &of_moment},
    KeySpec{"before", Form::object, "just before the event that would bring the moment", false,
            &of_moment},
    KeySpec{"after", Form::object, "when what that turn sends has left", false, &of_moment},
    KeySpec{"name", Form::names, "gives names to whom later steps mean, as they are now"},
    KLAMM_DEED_KEYS,
};
constexpr ObjectSpec step_spec{
    "a step",
    "One thing that is done, and its moment. Without a moment: as soon as the step before it is "
    "done. Whom it is aimed at is decided when it falls.",
    step_keys};

constexpr std::array chance_keys{
    KeySpec{"between", Form::duration, "its window begins, after the start of the run", true},
    KeySpec{"and", Form::duration, "its window ends", true},
    KeySpec{"times", Form::integer, "1 if absent", false, nullptr, {}, 1, 1000},
    KLAMM_DEED_KEYS,
};
constexpr ObjectSpec chance_spec{"a fault by chance",
                                 "Falls at drawn moments of a window, whatever the story does.",
                                 chance_keys};

constexpr std::array cluster_keys{
    KeySpec{"brokers",
            Form::integer,
            "3 if absent; each has a replica of every partition",
            false,
            nullptr,
            {},
            1,
            brokers_max},
    KeySpec{"controllers",
            Form::integer,
            "a quorum of so many, whose machines may fail; one metadata node that never fails if "
            "absent",
            false,
            nullptr,
            {},
            1,
            controllers_max},
    KeySpec{
        "snapshot_bytes",
        Form::integer,
        "controllers of a quorum make a snapshot after so many committed bytes of metadata, and "
        "keep only the newest and the log after it; Kafka's defaults if absent",
        false,
        nullptr,
        {},
        1},
    KeySpec{"racks",
            Form::integer,
            "broker-1 stands in rack-1, broker-2 in rack-2, and so on around; none if absent",
            false,
            nullptr,
            {},
            1,
            brokers_max},
    KeySpec{"partitions", Form::integer, "of topic trial; 1 if absent", false, nullptr, {}, 1, 64},
    KeySpec{"shards", Form::integer, "of each broker; 1 if absent", false, nullptr, {}, 1, 3},
    KeySpec{"eligible_leader_replicas", Form::flag, "KIP-966; true if absent"},
    KeySpec{"timers", Form::choice, "short if absent: Kafka's divided by about ten", false, nullptr,
            timer_words},
    KeySpec{"options", Form::options, "of every broker"},
};
constexpr ObjectSpec cluster_spec{"a cluster", "Brokers 1 to n, and controllers.", cluster_keys};

constexpr std::array network_keys{
    KeySpec{"delay", Form::duration, "of a packet, at least; 200us if absent"},
    KeySpec{"jitter", Form::duration, "the mean of what comes on top; 200us if absent"},
    KeySpec{"breaks_after", Form::duration, "how long a side waits for an answer; 5s if absent"},
    KeySpec{"ranges_lag", Form::duration,
            "the mean time that file ranges wait before they leave; they do not if absent"},
    KeySpec{"window_bytes",
            Form::integer,
            "of a connection; 65536 if absent",
            false,
            nullptr,
            {},
            300,
            1'048'576},
};
constexpr ObjectSpec network_spec{"a network", "Every link alike.", network_keys};

constexpr std::array disks_keys{
    KeySpec{"unsynced", Form::choice,
            "what a loss of power makes of each unsynced unit; drawn if absent", false, nullptr,
            unsynced_words},
    KeySpec{"journal", Form::choice, "ordered: names and sizes keep their order; posix if absent",
            false, nullptr, journal_words},
    KeySpec{"sync", Form::duration, "the mean time of a sync; 1ms if absent"},
};
constexpr ObjectSpec disks_spec{"the disks", "Every broker's alike.", disks_keys};

constexpr std::array producer_keys{
    KeySpec{"every", Form::duration, "the mean gap between operations; 10ms if absent"},
    KeySpec{"records",
            Form::integer,
            "at most, in one operation; 1 if absent",
            false,
            nullptr,
            {},
            1,
            1000},
    KeySpec{"value_bytes", Form::integer, "at most; 64 if absent", false, nullptr, {}, 8, 100'000},
    KeySpec{"keys",
            Form::integer,
            "how many different keys there are; else each has its own",
            false,
            nullptr,
            {},
            1,
            1'000'000},
    KeySpec{"skew", Form::choice, "how keys are chosen: even, or the first ones most", false,
            nullptr, skew_words},
    KeySpec{"acks", Form::choice, "all if absent", false, nullptr, acks_words},
    KeySpec{"begins", Form::duration, "200ms if absent"},
    KeySpec{"ends", Form::duration, "at the healing if absent"},
    KeySpec{"options", Form::options, "of the producer"},
};
constexpr ObjectSpec producer_spec{"a producer", "Writes to topic trial all the while.",
                                   producer_keys};

constexpr std::array consumer_keys{
    KeySpec{"every", Form::duration, "the mean gap between polls; 50ms if absent"},
    KeySpec{"begins", Form::duration, "300ms if absent"},
    KeySpec{"options", Form::options, "of the consumer"},
};
constexpr ObjectSpec consumer_spec{"a consumer", "Reads topic trial all the while.", consumer_keys};

constexpr std::array member_keys{
    KeySpec{"count", Form::integer, "so many alike; 1 if absent", false, nullptr, {}, 1, 24},
    KeySpec{"group", Form::text, "the group's name; \"group\" if absent"},
    KeySpec{"every", Form::duration, "the mean gap between polls; 50ms if absent"},
    KeySpec{"begins", Form::duration, "300ms if absent"},
    KeySpec{"commits", Form::integer, "percent of what it does; 15", false, nullptr, {}, 0, 90},
    KeySpec{"static", Form::flag, "has a group.instance.id (KIP-345)"},
    KeySpec{"options", Form::options, "of the consumer"},
};
constexpr ObjectSpec member_spec{
    "a member of a group",
    "Shares topic trial with the others of its group, commits what it reads, and joins anew when "
    "its process is started again.",
    member_keys};

constexpr std::array goal_keys{
    KeySpec{"name", Form::text, "in words", true},
    KeySpec{"reached_by", Form::object, "the moment that shows it", true, &of_moment},
};
constexpr ObjectSpec goal_spec{"a goal", "What the run must reach to mean anything.", goal_keys};

constexpr std::array lost_keys{
    KeySpec{"O1", Form::choice, "weak promises (acks=1)", false, nullptr, amount_words},
    KeySpec{"O2", Form::choice, "unclean election", false, nullptr, amount_words},
    KeySpec{"O3", Form::choice, "last known leader", false, nullptr, amount_words},
    KeySpec{"O4", Form::choice, "the only ISR member came back short", false, nullptr,
            amount_words},
};
constexpr ObjectSpec lost_spec{"losses by rule", "What is not named must be none.", lost_keys};

constexpr std::array expect_keys{
    KeySpec{"lost", Form::object, "records lost and permitted, by rule of the contract", false,
            &lost_spec},
    KeySpec{"avoidable", Form::object, "those of them that somebody still had", false, &lost_spec},
    KeySpec{"stranded", Form::choice, "records without a good candidate at the end; none if absent",
            false, nullptr, amount_words},
    KeySpec{"excused", Form::flag, "nobody may lead in the end, and the ledger proves it (E1)"},
    KeySpec{"counts", Form::bounds, "what happened how often, by the names of the report"},
    KeySpec{"unavailable_at_most", Form::duration,
            "the longest time between two acknowledgements, until the healing"},
    KeySpec{"reached", Form::objects, "moments that must come", false, &of_moment},
    KeySpec{"never", Form::objects, "moments that must not come", false, &of_moment},
};
constexpr ObjectSpec expect_spec{
    "expectations",
    "Beyond what always holds: nothing red, the story told to its end, the goal reached.",
    expect_keys};

constexpr std::array healing_keys{
    KeySpec{"leave_down", Form::whos, "brokers that stay down for good"},
    KeySpec{"within", Form::duration, "all must be well so soon after it; 60s if absent"},
};
constexpr ObjectSpec healing_spec{"the healing", "Comes when `length` is over.", healing_keys};

constexpr std::array scenario_keys{
    KeySpec{"says", Form::text, "what happens and what must hold, for a person", true},
    KeySpec{"goal", Form::object, "what it reaches", true, &goal_spec},
    KeySpec{"turned_red_by", Form::bug, "the planted mistake that this run finds", true},
    KeySpec{"length", Form::duration, "until the healing; 12s if absent"},
    KeySpec{"cluster", Form::object, "who there is", false, &cluster_spec},
    KeySpec{"topic", Form::options, "of topic trial; min.insync.replicas is 2 if absent"},
    KeySpec{"network", Form::object, "how bytes travel", false, &network_spec},
    KeySpec{"disks", Form::object, "what they keep", false, &disks_spec},
    KeySpec{"producers", Form::objects, "one if absent", false, &producer_spec},
    KeySpec{"consumers", Form::objects, "one if absent", false, &consumer_spec},
    KeySpec{"members", Form::objects,
            "of consumer groups, whose coordinators are brokers too; none if absent", false,
            &member_spec},
    KeySpec{"story", Form::objects, "what is done, in order", true, &step_spec},
    KeySpec{"by_chance", Form::objects, "faults at drawn moments", false, &chance_spec},
    KeySpec{"healing", Form::object, "the end of all trouble", false, &healing_spec},
    KeySpec{"expect", Form::object, "what must hold of the run", false, &expect_spec},
};
constexpr ObjectSpec whole_spec{"a scenario", "What is done to a cluster, and what must hold.",
                                scenario_keys};

}  // namespace

const KeySpec* ObjectSpec::find(std::string_view key) const {
    const auto found =
        std::find_if(keys.begin(), keys.end(), [&](const KeySpec& one) { return one.key == key; });
    return found == keys.end() ? nullptr : &*found;
}

const ObjectSpec& scenario_spec() { return whole_spec; }
const ObjectSpec& moment_spec() { return of_moment; }

}  // namespace klamm::sim
