// The disk of the world: what a kill keeps of a turn, what a loss of power does to what was not
// synced, and what it must not do to what was.
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <set>

#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

struct Recorder final : WorldObserver {
    void on_crash(NodeId, CrashKind, const DamageReport& report) override {
        reports.push_back(report);
    }
    std::vector<DamageReport> reports;
};

env::FileId must_open(env::Env& env, std::string_view path,
                      env::OpenMode mode = env::OpenMode::create) {
    auto file = env.disk().open(path, mode);
    KLAMM_ASSERT(file.ok());
    return *file;
}

void must(const Status& status) { KLAMM_ASSERT(status.ok()); }

}  // namespace

TEST_CASE("kill: exactly a prefix of D and E remains, of a write a prefix of its bytes") {
    const Bytes one = pattern(300, 1);
    const Bytes two = pattern(200, 2);
    std::set<std::string> seen;
    int partial = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        World world({.seed = seed});
        const NodeId peer = world.add_node(script("peer", [](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event))
                env.network().listen({"peer", 1000}, env::ListenerId{1});
        }));
        const NodeId a = world.add_node(script("a", [&](env::Env& env, env::Event& event) {
            if (!std::holds_alternative<env::StopAsked>(event)) return;
            const env::FileId file = must_open(env, "f");
            must(env.disk().write(file, 0, one));
            must(env.disk().write(file, 300, two));
            must(env.disk().truncate(file, 100));
            must(env.disk().mkdir("d"));
            must(env.disk().rename("f", "d/g"));
            (void)env.network().connect({"peer", 1000});
            env.stop(3);
        }));
        Recorder recorder;
        world.set_observer(&recorder);
        world.start(peer);
        world.start(a);
        REQUIRE(world.run_for(seconds(1)));
        world.kill(a, {.when = KillRule::When::in_turn});
        world.ask_stop(a);
        REQUIRE(world.run_for(seconds(1)));
        REQUIRE_FALSE(world.alive(a));
        CHECK_FALSE(world.stop_status(a).has_value());
        REQUIRE(recorder.reports.size() == 1);
        const auto paths = world.paths(a);
        const Bytes* f = world.file_bytes(a, "f");
        const Bytes* g = world.file_bytes(a, "d/g");
        if (g != nullptr) {
            CHECK(paths == std::vector<std::string>{"d/", "d/g"});
            CHECK(*g == Bytes(one.begin(), one.begin() + 100));
            seen.insert("renamed");
            CHECK_FALSE(recorder.reports[0].any());
        } else if (f == nullptr) {
            CHECK(paths.empty());
            seen.insert("nothing");
        } else if (paths.size() == 2) {
            CHECK(f->size() == 100);
            seen.insert("mkdir");
        } else if (f->empty()) {
            seen.insert("open");
        } else {
            Bytes all = one;
            all.insert(all.end(), two.begin(), two.end());
            REQUIRE(f->size() <= all.size());
            CHECK(std::equal(f->begin(), f->end(), all.begin()));
            if (f->size() == 100)
                seen.insert("truncate");
            else if (f->size() == 300)
                seen.insert("one");
            else if (f->size() == 500)
                seen.insert("two");
            else
                ++partial;
        }
    }
    CHECK(seen ==
          std::set<std::string>{"nothing", "open", "one", "two", "truncate", "mkdir", "renamed"});
    CHECK(partial > 20);
}

TEST_CASE("kill: of the effects of a turn a prefix leaves") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        World world({.seed = seed});
        std::string accepted;
        for (const char* name : {"x", "y", "z"})
            world.start(
                world.add_node(script(name, [&accepted, name](env::Env& env, env::Event& event) {
                    if (std::holds_alternative<env::Started>(event))
                        env.network().listen({name, 1}, env::ListenerId{1});
                    else if (std::holds_alternative<env::Received>(event))
                        accepted += name;
                    else if (auto* in = std::get_if<env::Accepted>(&event))
                        env.network().receive(in->connection, MutableBuffer(10));
                })));
        std::vector<env::ConnectionId> up;
        const NodeId a = world.add_node(script("a", [&](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                for (const char* name : {"x", "y", "z"})
                    up.push_back(env.network().connect({name, 1}));
            } else if (std::holds_alternative<env::StopAsked>(event)) {
                for (const env::ConnectionId id : up)
                    env.network().send(id, {Buffer::copy_of(pattern(5, 1))}, 0);
            }
        }));
        REQUIRE(world.run_for(milliseconds(10)));
        world.start(a);
        world.set_network_options({.reset_on_kill_rate = 0});
        REQUIRE(world.run_for(seconds(1)));
        world.kill(a, {.when = KillRule::When::in_turn});
        world.ask_stop(a);
        REQUIRE(world.run_for(seconds(1)));
        REQUIRE_FALSE(world.alive(a));
        std::sort(accepted.begin(), accepted.end());
        seen.insert(accepted);
    }
    CHECK(seen == std::set<std::string>{"", "x", "xy", "xyz"});
}

TEST_CASE("kill: a chosen prefix is kept to the byte") {
    World world({.seed = 9});
    const NodeId a = world.add_node(script("a", [&](env::Env& env, env::Event& event) {
        if (!std::holds_alternative<env::StopAsked>(event)) return;
        const env::FileId file = must_open(env, "f");
        must(env.disk().write(file, 0, pattern(10, 1)));
        must(env.disk().write(file, 5, pattern(10, 2)));
    }));
    world.start(a);
    REQUIRE(world.run_for(seconds(1)));
    world.kill(a, {.when = KillRule::When::in_turn, .keep = 2, .keep_bytes = 3});
    world.ask_stop(a);
    REQUIRE(world.run_for(seconds(1)));
    REQUIRE(world.file_bytes(a, "f") != nullptr);
    Bytes expected = pattern(10, 1);
    const Bytes over = pattern(10, 2);
    std::copy_n(over.begin(), 3, expected.begin() + 5);
    CHECK(*world.file_bytes(a, "f") == expected);
}

namespace {
/// Writes `synced` and syncs file and root; then appends and overwrites without a sync.
struct PowerRun {
    Bytes synced = pattern(3000, 1);
    Bytes appended = pattern(20'000, 2);
    Bytes rewritten = pattern(700, 3);
    Recorder recorder;
    World world;
    NodeId a;

    PowerRun(std::uint64_t seed, CrashMode mode, bool rewrite) : world({.seed = seed}) {
        auto file = std::make_shared<env::FileId>();
        NodeSpec spec = script("a", [this, file, rewrite](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                *file = must_open(env, "f");
                must(env.disk().write(*file, 0, synced));
                env.disk().sync(*file, 1);
                env.disk().sync_directory("", 2);
            } else if (std::holds_alternative<env::StopAsked>(event)) {
                must(env.disk().write(*file, 3000, appended));
                if (rewrite) must(env.disk().write(*file, 1000, rewritten));
                (void)must_open(env, "new");
                must(env.disk().rename("new", "newer"));
            }
        });
        spec.disk.unit_bytes = 512;
        spec.disk.crash_mode = mode;
        a = world.add_node(spec);
        world.set_observer(&recorder);
        world.start(a);
        REQUIRE(world.run_for(seconds(1)));
        world.ask_stop(a);
        REQUIRE(world.run_for(seconds(1)));
        world.power_loss(a);
    }
};
}  // namespace

TEST_CASE("power loss: synced bytes survive, each unsynced unit is kept, lost or torn by itself") {
    int kept = 0;
    int lost = 0;
    int torn = 0;
    int hole_before_data = 0;
    std::set<std::string> names;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        PowerRun run(seed, CrashMode::posix, false);
        const Bytes* now = run.world.file_bytes(run.a, "f");
        REQUIRE(now != nullptr);
        REQUIRE(now->size() >= 3000);
        CHECK(std::equal(run.synced.begin(), run.synced.end(), now->begin()));
        bool lost_before = false;
        for (std::size_t start = 3072; start + 512 <= 23'000; start += 512) {
            const std::uint8_t* want = run.appended.data() + start - 3000;
            if (start + 512 > now->size()) {
                ++lost;
                continue;
            }
            const std::uint8_t* have = now->data() + start;
            if (std::equal(want, want + 512, have)) {
                ++kept;
                if (lost_before) ++hole_before_data;
            } else if (std::all_of(have, have + 512, [](std::uint8_t b) { return b == 0; })) {
                ++lost;
                lost_before = true;
            } else {
                ++torn;
            }
        }
        const auto paths = run.world.paths(run.a);
        for (const std::string& path : paths) names.insert(path);
        if (paths.size() == 1) names.insert("neither");
        // The report names every byte that differs, and nothing below the synced length.
        Bytes before = run.synced;
        before.insert(before.end(), run.appended.begin(), run.appended.end());
        REQUIRE(run.recorder.reports.size() == 1);
        for (const FileDamage& damage : run.recorder.reports[0].files) {
            if (damage.path != "f") continue;
            CHECK(damage.synced_length == 3000);
            CHECK(damage.length_before == before.size());
            CHECK(damage.length_after == now->size());
            std::vector<bool> marked(before.size());
            for (const ByteRange range : damage.changed) {
                CHECK(range.from >= 3000);
                for (std::uint64_t i = range.from; i < range.to; ++i) marked[i] = true;
            }
            bool exact = true;
            for (std::size_t i = 0; i < before.size(); ++i)
                if (marked[i] != (i >= now->size() || (*now)[i] != before[i])) exact = false;
            CHECK(exact);
        }
    }
    CHECK(kept > 1000);
    CHECK(lost > 1000);
    CHECK(torn > 300);
    CHECK(hole_before_data > 100);
    CHECK(names == std::set<std::string>{"f", "new", "newer", "neither"});
}

TEST_CASE("power loss: an overwritten unit holds old or new bytes, outside the write the old") {
    int old_units = 0;
    int new_units = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        PowerRun run(seed, CrashMode::ext4_ordered, true);
        const Bytes* now = run.world.file_bytes(run.a, "f");
        REQUIRE(now != nullptr);
        REQUIRE(now->size() >= 3000);
        CHECK(std::equal(run.synced.begin(), run.synced.begin() + 1000, now->begin()));
        CHECK(std::equal(run.synced.begin() + 1700, run.synced.end(), now->begin() + 1700));
        const auto from = now->begin() + 1024;
        if (std::equal(from, from + 512, run.synced.begin() + 1024)) ++old_units;
        if (std::equal(from, from + 512, run.rewritten.begin() + 24)) ++new_units;
    }
    CHECK(old_units > 10);
    CHECK(new_units > 10);
}

TEST_CASE("power loss, ext4_ordered: no size without its data, names in the order of the journal") {
    std::set<std::size_t> lengths;
    std::set<std::string> names;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        PowerRun run(seed, CrashMode::ext4_ordered, false);
        const Bytes* now = run.world.file_bytes(run.a, "f");
        REQUIRE(now != nullptr);
        Bytes all = run.synced;
        all.insert(all.end(), run.appended.begin(), run.appended.end());
        REQUIRE(now->size() <= all.size());
        CHECK(std::equal(now->begin(), now->end(), all.begin()));
        lengths.insert(now->size());
        const auto paths = run.world.paths(run.a);
        for (const std::string& path : paths) names.insert(path);
        // The names came after the append: if one of them is there, so is all of the append.
        if (paths.size() > 1) CHECK(now->size() == all.size());
    }
    CHECK(lengths.size() > 5);
    CHECK(names == std::set<std::string>{"f", "new", "newer"});
}

TEST_CASE("power loss: an unsynced truncate may be undone and brings the old bytes back") {
    int undone = 0;
    int kept = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        World world({.seed = seed});
        Recorder recorder;
        const Bytes content = pattern(5000, 1);
        const NodeId a = world.add_node(script("a", [&](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::StopAsked>(event))
                must(env.disk().truncate(must_open(env, "f"), 1200));
        }));
        world.put_file(a, "f", content);
        world.set_observer(&recorder);
        world.start(a);
        REQUIRE(world.run_for(seconds(1)));
        world.ask_stop(a);
        REQUIRE(world.run_for(seconds(1)));
        CHECK(world.file_bytes(a, "f")->size() == 1200);
        world.power_loss(a);
        const Bytes now = *world.file_bytes(a, "f");
        if (now.size() == 1200) {
            ++kept;
            CHECK(recorder.reports[0].truncates_undone.empty());
        } else {
            ++undone;
            CHECK(now == content);
            REQUIRE(recorder.reports[0].truncates_undone.size() == 1);
            CHECK(recorder.reports[0].truncates_undone[0].path == "f");
            CHECK(recorder.reports[0].truncates_undone[0].cut_to == 1200);
            CHECK(recorder.reports[0].truncates_undone[0].length_now == 5000);
        }
    }
    CHECK(undone > 10);
    CHECK(kept > 10);
}

TEST_CASE("sync: it covers the writes before it, and not those that come while it runs") {
    int later_lost = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        World world({.seed = seed});
        bool synced = false;
        NodeSpec spec = script("a", [&](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                const env::FileId file = must_open(env, "f");
                env.disk().sync_directory("", 1);
                must(env.disk().write(file, 0, pattern(4096, 1)));
                env.disk().sync(file, 2);
                must(env.disk().write(file, 4096, pattern(4096, 2)));
                must(env.disk().write(file, 100, pattern(50, 3)));
            } else if (auto* done = std::get_if<env::Synced>(&event)) {
                CHECK(done->status.ok());
                if (done->token == 2) synced = true;
            }
        });
        spec.disk.unit_bytes = 512;
        const NodeId a = world.add_node(spec);
        world.start(a);
        REQUIRE(world.run_for(seconds(1)));
        REQUIRE(synced);
        world.power_loss(a);
        REQUIRE(world.file_bytes(a, "f") != nullptr);
        const Bytes& now = *world.file_bytes(a, "f");
        REQUIRE(now.size() >= 4096);
        const Bytes first = pattern(4096, 1);
        CHECK(std::equal(first.begin(), first.begin() + 100, now.begin()));
        CHECK(std::equal(first.begin() + 150, first.end(), now.begin() + 150));
        if (now.size() < 8192 || now[100] == first[100]) ++later_lost;
    }
    CHECK(later_lost > 20);
}

TEST_CASE("sync: after one that failed, a later one does not bring the lost units to the disk") {
    int forsaken = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        World world({.seed = seed});
        int answers = 0;
        NodeSpec spec = script("a", [&](env::Env& env, env::Event& event) {
            if (std::holds_alternative<env::Started>(event)) {
                const env::FileId file = must_open(env, "f");
                must(env.disk().write(file, 0, pattern(8192, 1)));
                env.disk().sync(file, 1);
            } else if (auto* done = std::get_if<env::Synced>(&event)) {
                ++answers;
                CHECK(done->status.ok() == (done->token != 1));
                if (done->token == 1) {
                    DiskOptions healthy = world.disk_options(NodeId(0));
                    healthy.sync_error_rate = 0;
                    world.set_disk_options(NodeId(0), healthy);
                    env.disk().sync(must_open(env, "f"), 2);
                    env.disk().sync_directory("", 3);
                }
            }
        });
        spec.disk.unit_bytes = 512;
        spec.disk.sync_error_rate = per_million;
        const NodeId a = world.add_node(spec);
        world.start(a);
        REQUIRE(world.run_for(seconds(1)));
        REQUIRE(answers == 3);
        CHECK(*world.file_bytes(a, "f") == pattern(8192, 1));
        world.power_loss(a);
        if (*world.file_bytes(a, "f") != pattern(8192, 1)) ++forsaken;
    }
    CHECK(forsaken == 40);
}

TEST_CASE("disk: full, failing and stalled disks answer as told") {
    World world({.seed = 10});
    std::vector<std::string> got;
    int ended = 0;
    NodeSpec spec = script("a", [&](env::Env& env, env::Event& event) {
        if (std::holds_alternative<env::Started>(event)) {
            const env::FileId file = must_open(env, "f");
            const Status full = env.disk().write(file, 0, pattern(2000, 1));
            got.push_back(full ? "ok" : to_string(full.failure()));
            CHECK(*env.disk().length(file) == 1000);
            CHECK(*env.disk().space() == 0);
            must(env.disk().truncate(file, 10));
            CHECK(*env.disk().space() == 990);
            CHECK(env.disk().mkdir("x/y").failure() == Failure::not_found);
            CHECK(env.disk().open("../f", env::OpenMode::read).failure() == Failure::invalid);
            CHECK(env.disk().open("g", env::OpenMode::write).failure() == Failure::not_found);
            CHECK(env.disk().open("f", env::OpenMode::create_new).failure() == Failure::exists);
        } else if (std::holds_alternative<env::StopAsked>(event)) {
            (void)must_open(env, "g");
            env.disk().list("", 5);
        } else if (auto* listed = std::get_if<env::Listed>(&event)) {
            ++ended;
            CHECK(listed->entries->size() == 2);
        }
    });
    spec.disk.capacity_bytes = 1000;
    const NodeId a = world.add_node(spec);
    world.start(a);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(got == std::vector<std::string>{"no_space"});
    world.stall_disk(a, true);
    world.ask_stop(a);
    REQUIRE(world.run_for(seconds(100)));
    CHECK(ended == 0);
    world.stall_disk(a, false);
    REQUIRE(world.run_for(seconds(1)));
    CHECK(ended == 1);
}
