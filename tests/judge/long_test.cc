// The judge over a long ordinary run: nothing red, the sums right, and the cost of a fact small.
#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>

#include "tests/judge/stage.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::stage;

TEST_CASE("judge: twenty thousand batches on three replicas through hundreds of elections") {
    constexpr std::int64_t batches = 20'000;
    const auto begin = std::chrono::steady_clock::now();
    Stage stage;
    stage.open();
    std::int32_t epoch = 0;
    Nodes order{a, b, c};
    for (std::int64_t offset = 0; offset < batches; ++offset) {
        if (offset % 100 == 99) {  // leadership moves, and one follower leaves and comes back
            std::rotate(order.begin(), order.begin() + 1, order.end());
            ++epoch;
            stage.commit(order[0], epoch, {order[0], order[1]}, {}, Cause::preferred);
            stage.commit(order[0], epoch, order, {}, Cause::isr_changed);
            stage.lead(order[0], epoch, offset);
        }
        stage.promise(order, offset, epoch);
        stage.serve(order[0], epoch, offset, offset + 1);
        if (offset % 10 == 9) stage.flushed(order, offset + 1);
    }
    const auto spent = std::chrono::steady_clock::now() - begin;
    stage.judge.finish(stage.now());
    INFO(stage.all_red());
    CHECK(stage.judge.violations().empty());
    CHECK(stage.judge.bill().records_promised == batches);
    CHECK(stage.judge.counts().elections == 1 + batches / 100);
    CHECK(stage.judge.counts().batches_acked_all == batches);
    const auto each = std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count() /
                      static_cast<std::int64_t>(stage.judge.counts().facts);
    INFO("nanoseconds a fact: " << each);
    CHECK(each < 20'000);  // far above what it takes, below what a walk over the log would
}
