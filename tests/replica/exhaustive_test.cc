// Exhaustive small scopes: three replicas, every interleaving of at least eight events. Without a
// plant no state is bad; with one, a bad state is reached. Where a mistake needs a longer story
// than can be searched from the beginning, the story's first part is given and the rest is searched
// for.

#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>

#include "tests/replica/model.h"

namespace {

using namespace klamm;
using namespace klamm::model;

void print(const char* name, int depth, const Search& search) {
    std::cout << "exhaustive: " << name << ": depth " << depth << ", " << search.states
              << " states, " << search.transitions << " events";
    if (!search.violation.empty()) {
        std::cout << ", found " << search.violation << " by";
        for (const Event& event : search.trace) std::cout << " " << to_string(event);
    }
    std::cout << "\n";
}

/// The world after `story`, each event of which must be possible and lead to nothing bad.
World after(const Setup& setup, Plants* plants, const std::vector<Event>& story) {
    World world(setup, plants);
    for (const Event& event : story) {
        INFO(to_string(event) << "\n" << world.print());
        REQUIRE(world.act(event));
        REQUIRE(world.violation().empty());
    }
    return world;
}

Search clean(const char* name, const Setup& setup, const std::vector<Event>& story, int depth) {
    const Search result = search(after(setup, nullptr, story), depth);
    print(name, depth, result);
    CHECK(result.violation.empty());
    return result;
}

/// With the plant something bad is found; a search without it finds nothing.
void found(const char* name, Bug bug, const Setup& setup, const std::vector<Event>& story,
           int depth) {
    Plants plants;
    plants.plant(bug);
    const Search result = search(after(setup, &plants, story), depth);
    print(name, depth, result);
    CHECK_FALSE(result.violation.empty());
    CHECK(plants.taken(bug) > 0);
    clean(name, setup, story, std::min(depth, 6));
}

using K = Kind;

// Sanitizers make a search some ten times slower; there the whole scope is one event smaller.
#if defined(__SANITIZE_ADDRESS__)
#define KLAMM_TEST_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KLAMM_TEST_SANITIZED
#endif
#endif
#ifdef KLAMM_TEST_SANITIZED
constexpr int whole_scope = 7;
#else
constexpr int whole_scope = 8;
#endif

}  // namespace

TEST_CASE("exhaustive: eight events from a full ISR lose nothing, with ELR") {
    Setup setup;
    const Search result = clean("full ISR, ELR on", setup, {}, whole_scope);
    CHECK(result.states > 10'000);
}

TEST_CASE("exhaustive: eight events from a full ISR lose nothing, without ELR") {
    Setup setup;
    setup.elr = false;
    const Search result = clean("full ISR, ELR off", setup, {}, whole_scope);
    CHECK(result.states > 10'000);
}

TEST_CASE("exhaustive: eight events with min.insync.replicas 1 lose nothing") {
    Setup setup;
    setup.min_isr = 1;
    setup.isr = {a, b};
    const Search result = clean("ISR of two, min 1", setup, {}, whole_scope);
    CHECK(result.states > 10'000);
}

TEST_CASE("exhaustive: R1, acks=all answered after the local append, is found") {
    found("R1", Bug::acks_all_like_one, Setup{}, {}, 4);
}

TEST_CASE("exhaustive: R2, truncation to the watermark, is found") {
    // A record is on A, B and C, and committed; the followers have not heard of that.
    found("R2", Bug::truncate_to_hw, Setup{},
          {{K::append, a}, {K::fetch, b}, {K::deliver, b}, {K::fetch, c}, {K::deliver, c}}, 8);
}

TEST_CASE("exhaustive: R4, joining the ISR below the epoch's start, is found") {
    // Two in sync; C has nothing, and B has taken up leadership with a stale watermark.
    Setup setup;
    setup.isr = {a, b};
    found("R4", Bug::isr_join_below_epoch_start, setup,
          {{K::append, a}, {K::fetch, b}, {K::deliver, b}, {K::fetch, b}}, 8);
}

TEST_CASE("exhaustive: R7, a diverging fetch that counts, is found") {
    // C led and has a record of its own; A was elected over it, and C is still in sync.
    Setup setup;
    setup.leader = c;
    setup.budget.appends = 3;
    found("R7", Bug::diverging_fetch_advances_hw, setup,
          {{K::append, c}, {K::prefer, a}, {K::metadata, a}, {K::append, a}}, 8);
}
