#pragma once
// What the tests of the quorum share: parts of stories, the search, transcripts on file.

#include <cstdint>
#include <string>
#include <vector>

#include "bindings/rules/quorum_cluster.h"

namespace klamm::quorum {

/// Delivers the first message between the two, of the given kind; false when there is none.
bool pass(Cluster& cluster, int from, int to, bool is_request);
/// Delivers and syncs between the two alone until nothing is left to say.
void converse(Cluster& cluster, int a, int b);
void lose_all(Cluster& cluster);
/// Lets the time of `id` go on until it says something.
void speak(Cluster& cluster, int id);
/// Lets `id` win an election with the vote of `voter`, whose patience is over too. Nothing that the
/// new leader says is delivered, its log is synced.
bool elect(Cluster& cluster, int id, int voter);
/// Lets `id` win, and everyone that is up follow it.
bool elect_and_follow(Cluster& cluster, int id);

/// Compares with tests/raft/transcripts/NAME.txt; what was said is left in the build tree under the
/// same name, for when it is to change.
void check_transcript(const std::string& name, const std::string& said);

enum class Kind : std::uint8_t {
    deliver,
    expire,
    append,
    sync_log,
    sync_state,
    power_off,
    restart
};
struct Event {
    Kind kind;
    int which = 0;  // a replica, or the message's place
};
std::string to_string(const Event& event);

/// How often the environment may do what has no end by itself.
struct Budget {
    int expiries = 0;
    int appends = 0;
    int crashes = 0;
    int epochs = 100;  // no replica gets beyond
};

struct Search {
    std::uint64_t states = 0;  // distinct
    std::uint64_t events = 0;
    std::string violation;
    std::vector<Event> trace;
};
/// Tries every sequence of up to `depth` events, and stops at a violation.
Search search(const Cluster& start, const Budget& budget, int depth);

}  // namespace klamm::quorum
