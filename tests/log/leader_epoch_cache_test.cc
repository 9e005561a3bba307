// The epoch cache against a model that remembers the epoch of every record, and its file.

#include <rapidcheck/catch.h>
#include <algorithm>
#include <catch2/catch.hpp>

#include "core/log/leader_epoch_cache.h"

using namespace klamm;
using namespace klamm::log;

namespace {

LeaderEpochCache cache_of(std::initializer_list<std::pair<int, int>> entries) {
    LeaderEpochCache cache;
    for (const auto& [epoch, start] : entries) cache.assign(LeaderEpoch(epoch), Offset(start));
    return cache;
}

EpochEnd end_of(const LeaderEpochCache& cache, int epoch, int log_end) {
    return cache.end_offset_for(LeaderEpoch(epoch), Offset(log_end));
}

}  // namespace

TEST_CASE("epochs: where an epoch ends, as Kafka answers") {
    const LeaderEpochCache cache = cache_of({{2, 10}, {4, 20}, {7, 20 + 5}});
    CHECK(end_of(cache, -1, 40) == EpochEnd{});
    CHECK(end_of(cache, 7, 40) == EpochEnd{LeaderEpoch(7), Offset(40)});
    CHECK(end_of(cache, 8, 40) == EpochEnd{});
    CHECK(end_of(cache, 5, 40) == EpochEnd{LeaderEpoch(4), Offset(25)});
    CHECK(end_of(cache, 4, 40) == EpochEnd{LeaderEpoch(4), Offset(25)});
    CHECK(end_of(cache, 3, 40) == EpochEnd{LeaderEpoch(2), Offset(20)});
    CHECK(end_of(cache, 1, 40) == EpochEnd{LeaderEpoch(1), Offset(10)});
    CHECK(end_of({}, 1, 40) == EpochEnd{});
}

TEST_CASE("epochs: an entry that contradicts later ones replaces them") {
    LeaderEpochCache cache = cache_of({{2, 10}, {4, 20}, {7, 25}});
    CHECK_FALSE(cache.assign(LeaderEpoch(7), Offset(30)));
    CHECK(cache.assign(LeaderEpoch(8), Offset(20)));
    CHECK(cache == cache_of({{2, 10}, {8, 20}}));
    CHECK(cache.assign(LeaderEpoch(1), Offset(30)));
    CHECK(cache == cache_of({{1, 30}}));
}

TEST_CASE("epochs: the checkpoint's text is Kafka's") {
    const LeaderEpochCache cache = cache_of({{0, 0}, {3, 41}});
    CHECK(cache.to_text() == "0\n2\n0 0\n3 41\n");
    CHECK(LeaderEpochCache{}.to_text() == "0\n0\n");
    for (const char* bad : {"", "0\n", "1\n0\n", "0\n1\n", "0\n1\n3 41\n4 42\n", "0\n2\n3 41\n",
                            "0\n2\n3 41\n3 42\n", "0\n2\n3 41\n4 41\n", "0\n1\n3  41\n",
                            "0\n1\n-3 41\n", "0\n1\n3 41x\n", "0\n1\n99999999999 41\n"}) {
        CHECK_FALSE(LeaderEpochCache::from_text(bad).ok());
    }
}

TEST_CASE("epochs: the cache agrees with the epoch of every record") {
    rc::prop("appending, assigning and cutting", [] {
        LeaderEpochCache cache;
        std::vector<int> epochs;  // of the records
        int latest = 0;
        const int steps = *rc::gen::inRange(0, 40);
        for (int step = 0; step < steps; ++step) {
            if (*rc::gen::inRange(0, 4) > 0) {
                latest += *rc::gen::inRange(0, 3);
                const int count = *rc::gen::inRange(1, 4);
                cache.assign(LeaderEpoch(latest), Offset(static_cast<int>(epochs.size())));
                epochs.insert(epochs.end(), static_cast<std::size_t>(count), latest);
            } else {
                const int end = *rc::gen::inRange(0, static_cast<int>(epochs.size()) + 1);
                epochs.resize(static_cast<std::size_t>(end));
                cache.truncate_from_end(Offset(end));
                latest = std::max(latest, cache.latest_epoch().value);
            }
        }
        for (std::size_t i = 0; i < epochs.size(); ++i) {
            RC_ASSERT(cache.epoch_for(Offset(static_cast<int>(i))) == LeaderEpoch(epochs[i]));
        }
        const Offset log_end(static_cast<int>(epochs.size()));
        for (int asked = 0; asked <= latest + 1; ++asked) {
            // The model: the largest epoch at or below the one asked for that has records, and the
            // first record after it.
            const EpochEnd end = cache.end_offset_for(LeaderEpoch(asked), log_end);
            const auto above = std::upper_bound(epochs.begin(), epochs.end(), asked);
            if (epochs.empty() || asked > epochs.back()) {
                RC_ASSERT(end == EpochEnd{});
                continue;
            }
            RC_ASSERT(end.end == Offset(static_cast<int>(above - epochs.begin())));
            if (above != epochs.begin()) RC_ASSERT(end.epoch == LeaderEpoch(*(above - 1)));
        }
        const auto again = LeaderEpochCache::from_text(cache.to_text());
        RC_ASSERT(again.ok());
        RC_ASSERT(*again == cache);

        const int start = *rc::gen::inRange(0, static_cast<int>(epochs.size()) + 1);
        cache.truncate_from_start(Offset(start));
        for (std::size_t i = static_cast<std::size_t>(start); i < epochs.size(); ++i) {
            RC_ASSERT(cache.epoch_for(Offset(static_cast<int>(i))) == LeaderEpoch(epochs[i]));
        }
        if (cache.earliest() && !epochs.empty())
            RC_ASSERT(cache.earliest()->start >= Offset(start));
    });
}
