// Long random schedules over the small cluster, and the textbook story of each plant to its end.

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>
#include <map>

#include "tests/replica/model.h"

namespace {

using namespace klamm;
using namespace klamm::model;
using K = Kind;

/// Goes through `story`; true when a committed record is lost in the end.
bool loses(const Setup& setup, std::optional<Bug> bug, const std::vector<Event>& story) {
    Plants plants;
    if (bug) plants.plant(*bug);
    World world(setup, &plants);
    for (const Event& event : story) world.act(event);
    if (!bug) CHECK(world.violation().empty());
    return world.violation().starts_with("LOST");
}

}  // namespace

TEST_CASE("schedules: whatever happens in whatever order, nothing committed is lost") {
    rc::prop("random schedules", [](bool elr) {
        Setup setup;
        setup.elr = elr;
        setup.min_isr = *rc::gen::inRange(1, 4);
        setup.budget = {60, 6, 10, 10, 6};
        World world(setup, nullptr);
        const auto choices = *rc::gen::resize(
            400, rc::gen::container<std::vector<unsigned>>(rc::gen::inRange(0U, 1000U)));
        std::map<std::int32_t, Offset> watermarks;  // of each epoch's leader
        for (const unsigned choice : choices) {
            const std::vector<Event> events = world.enabled();
            if (events.empty()) break;
            world.act(events[choice % events.size()]);
            if (!world.violation().empty()) RC_FAIL(world.violation() + "\n" + world.print());
            for (int i = 0; i < broker_count; ++i) {
                const auto* leader = std::get_if<replica::LeaderState>(&world.broker(i).role);
                if (leader == nullptr) continue;
                Offset& before = watermarks[leader->epoch().value];
                RC_ASSERT(leader->high_watermark() >= before);
                before = leader->high_watermark();
            }
        }
    });
}

TEST_CASE("schedules: a random schedule commits, elects and changes the ISR") {
    // The property above would hold of a cluster that does nothing.
    std::size_t committed = 0;
    int elections = 0;
    for (std::uint64_t seed = 0; seed < 2000; ++seed) {
        Setup setup;
        setup.budget = {60, 6, 10, 10, 6};
        setup.elr = seed % 2 == 0;
        setup.min_isr = static_cast<int>(seed % 3) + 1;
        World world(setup, nullptr);
        const Draws draws(seed);
        for (std::uint64_t n = 0; n < 400; ++n) {
            const std::vector<Event> events = world.enabled();
            if (events.empty()) break;
            world.act(events[draws.below(events.size(), draw_domain("schedule"), 0, n)]);
        }
        INFO("seed " << seed << "\n" << world.print());
        CHECK(world.violation().empty());
        committed += world.committed().size();
        elections += world.partition().leader_epoch.value;
    }
    CHECK(committed > 2000);
    CHECK(elections > 4000);
}

TEST_CASE("schedules: R1, the leader dies before anybody fetches") {
    const std::vector<Event> story = {
        {K::append, a}, {K::crash, a}, {K::fence, a}, {K::metadata, b}};
    CHECK(loses(Setup{}, Bug::acks_all_like_one, story));
    CHECK_FALSE(loses(Setup{}, std::nullopt, story));
}

TEST_CASE("schedules: R2, leadership moves and a follower cuts at a stale watermark") {
    const std::vector<Event> story = {
        {K::append, a}, {K::fetch, b}, {K::deliver, b}, {K::fetch, c},    {K::deliver, c},
        {K::fetch, b},  {K::fetch, c}, {K::fence, a},   {K::metadata, b}, {K::metadata, c},
        {K::crash, b},  {K::fence, b}, {K::metadata, c}};
    CHECK(loses(Setup{}, Bug::truncate_to_hw, story));
    CHECK_FALSE(loses(Setup{}, std::nullopt, story));
}

TEST_CASE("schedules: R4, a laggard is admitted by a stale watermark and elected") {
    Setup setup;
    setup.isr = {a, b};
    const std::vector<Event> story = {{K::append, a},       {K::fetch, b}, {K::deliver, b},
                                      {K::fetch, b},        {K::fence, a}, {K::metadata, b},
                                      {K::metadata, c},     {K::fetch, c}, {K::alter_commit, b},
                                      {K::alter_answer, b}, {K::crash, b}, {K::fence, b},
                                      {K::metadata, c}};
    CHECK(loses(setup, Bug::isr_join_below_epoch_start, story));
    CHECK_FALSE(loses(setup, std::nullopt, story));
}

TEST_CASE("schedules: R7, a deposed leader's own tail is counted as the new leader's") {
    Setup setup;
    setup.leader = c;
    const std::vector<Event> story = {
        {K::append, c}, {K::prefer, a},  {K::metadata, a}, {K::append, a},   {K::metadata, b},
        {K::fetch, b},  {K::deliver, b}, {K::fetch, b},    {K::metadata, c}, {K::fetch, c},
        {K::crash, a},  {K::fence, a},   {K::fence, b},    {K::metadata, c}};
    CHECK(loses(setup, Bug::diverging_fetch_advances_hw, story));
    CHECK_FALSE(loses(setup, std::nullopt, story));
}
