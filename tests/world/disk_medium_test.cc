// What the medium does by itself, as a node sees it: bytes that read wrongly, ranges that cannot be
// read, writes that land elsewhere, write-back that fails unasked, syncs that lie, a disk that is
// full only when it is synced.
#include <catch2/catch.hpp>

#include <string>

#include "tests/world/script_node.h"

using namespace klamm;
using namespace klamm::sim;
using namespace klamm::sim::test;

namespace {

void sound(const Status& status) { KLAMM_ASSERT(status.ok()); }

/// A node that writes 4000 bytes to `f` when it first starts and syncs them and the name; each
/// later start reads the file back. ask_stop() makes it do `next` instead of ending.
struct Reader {
    explicit Reader(std::uint64_t seed = 1, DiskOptions disk = {}) : world({.seed = seed}) {
        NodeSpec spec = script("a", [this](env::Env& env, env::Event& event) {
            env::Disk& to = env.disk();
            if (const auto* started = std::get_if<env::Started>(&event)) {
                file = *to.open("f", env::OpenMode::create);
                if (started->incarnation == 1) {
                    sound(to.write(file, 0, content));
                    to.sync(file, 1);
                    to.sync_directory("", 2);
                } else {
                    to.read(file, 0, MutableBuffer(8000), 3);
                }
            } else if (const auto* done = std::get_if<env::ReadDone>(&event)) {
                failure = done->count.ok() ? "" : to_string(done->count.failure());
                seen = {};
                if (done->count.ok()) {
                    const auto span = done->out.span().first(*done->count);
                    seen.assign(span.begin(), span.end());
                }
            } else if (const auto* synced = std::get_if<env::Synced>(&event)) {
                syncs.push_back(synced->status.ok() ? "ok" : to_string(synced->status.failure()));
            } else if (std::holds_alternative<env::StopAsked>(event)) {
                next(env);
            }
        });
        disk.unit_bytes = 512;
        spec.disk = disk;
        a = world.add_node(spec);
        world.start(a);
        settle();
    }
    void settle() { REQUIRE(world.run_for(seconds(1))); }
    void restart() {
        world.kill(a);
        world.start(a);
        settle();
    }
    void act(std::function<void(env::Env&)> what) {
        next = std::move(what);
        world.ask_stop(a);
        settle();
    }

    const Bytes content = pattern(4000, 1);
    World world;
    NodeId a;
    env::FileId file = env::FileId::none;
    Bytes seen;
    std::string failure;
    std::vector<std::string> syncs;
    std::function<void(env::Env&)> next = [](env::Env&) {};
};

}  // namespace

TEST_CASE("medium: rotten bytes read the same in each incarnation, and the good ones are kept") {
    Reader node;
    const Bytes rotten = {0, 0, 0};
    REQUIRE(node.world.rot_file(node.a, "f", 100, rotten));
    CHECK_FALSE(node.world.rot_file(node.a, "f", 3999, rotten));
    CHECK_FALSE(node.world.rot_file(node.a, "g", 0, rotten));
    Bytes expected = node.content;
    std::fill(expected.begin() + 100, expected.begin() + 103, std::uint8_t{0});
    for (int i = 0; i < 2; ++i) {
        node.restart();
        CHECK(node.seen == expected);
        CHECK(*node.world.file_bytes(node.a, "f") == node.content);
    }
    node.world.power_loss(node.a);
    node.world.start(node.a);
    node.settle();
    CHECK(node.seen == expected);
    // Bytes that are written again are good again, the others stay as they were.
    node.act([&](env::Env& env) {
        sound(env.disk().write(node.file, 101, ByteView(node.content).subspan(101, 1)));
        Bytes cached(10);
        CHECK(env.disk().read_if_cached(node.file, 95, cached).ok());
        expected[101] = node.content[101];
        CHECK(cached == Bytes(expected.begin() + 95, expected.begin() + 105));
    });
    CHECK(node.world.read_file(node.a, "f") == expected);
}

TEST_CASE("medium: a broken range fails each read that touches it, and no other") {
    Reader node;
    REQUIRE(node.world.break_file(node.a, "f", {1000, 1010}));
    for (int i = 0; i < 2; ++i) {
        node.restart();
        CHECK(node.failure == "io");
    }
    CHECK_FALSE(node.world.read_file(node.a, "f").has_value());
    node.act([&](env::Env& env) {
        Bytes cached(1000);
        CHECK(env.disk().read_if_cached(node.file, 0, cached).ok());
        CHECK(env.disk().read_if_cached(node.file, 1010, cached).ok());
        CHECK(env.disk().read_if_cached(node.file, 1009, cached).failure() == Failure::limit);
        env.disk().read(node.file, 500, MutableBuffer(500), 3);
    });
    CHECK(node.failure.empty());
    CHECK(node.seen == Bytes(node.content.begin() + 500, node.content.begin() + 1000));
}

TEST_CASE("medium: a misdirected write is read where it landed, and old bytes where it belongs") {
    Reader node;
    REQUIRE(node.world.misdirect_next_write(node.a, "f", 3000));
    const Bytes fresh = pattern(200, 9);
    const Bytes second = pattern(10, 11);
    node.act([&](env::Env& env) {
        sound(env.disk().write(node.file, 1000, fresh));
        sound(env.disk().write(node.file, 50, second));  // only the next one goes astray
    });
    Bytes meant = node.content;
    std::copy(fresh.begin(), fresh.end(), meant.begin() + 1000);
    std::copy(second.begin(), second.end(), meant.begin() + 50);
    Bytes got = node.content;
    std::copy(fresh.begin(), fresh.end(), got.begin() + 3000);
    std::copy(second.begin(), second.end(), got.begin() + 50);
    node.restart();
    CHECK(node.seen == got);
    CHECK(*node.world.file_bytes(node.a, "f") == meant);
}

TEST_CASE("medium: write-back that fails unasked is told by the next sync, once") {
    int lost = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        Reader node(seed);
        REQUIRE(node.syncs == std::vector<std::string>{"ok", "ok"});
        CHECK_FALSE(node.world.fail_write_back(node.a, "f"));  // nothing is dirty
        node.act([&](env::Env& env) { sound(env.disk().write(node.file, 0, pattern(4000, 5))); });
        REQUIRE(node.world.fail_write_back(node.a, "f"));
        node.act([&](env::Env& env) { env.disk().sync(node.file, 4); });
        node.act([&](env::Env& env) { env.disk().sync(node.file, 5); });
        CHECK(node.syncs == std::vector<std::string>{"ok", "ok", "io", "ok"});
        node.world.power_loss(node.a);
        node.world.start(node.a);
        node.settle();
        if (node.seen != pattern(4000, 5)) ++lost;
    }
    CHECK(lost >= 15);
}

TEST_CASE("medium: a sync that lies answers ok and covers nothing, an honest one covers all") {
    int lost = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        for (const bool honest_after : {false, true}) {
            Reader node(seed, {.unit_keep_rate = 0, .unit_tear_rate = 0});
            DiskOptions options = node.world.disk_options(node.a);
            options.sync_lie_rate = per_million;
            node.world.set_disk_options(node.a, options);
            node.act([&](env::Env& env) {
                sound(env.disk().write(node.file, 0, pattern(4000, 5)));
                env.disk().sync(node.file, 4);
            });
            options.sync_lie_rate = 0;
            node.world.set_disk_options(node.a, options);
            if (honest_after) node.act([&](env::Env& env) { env.disk().sync(node.file, 5); });
            CHECK(node.syncs.back() == "ok");
            node.world.power_loss(node.a);
            node.world.start(node.a);
            node.settle();
            CHECK(node.seen == (honest_after ? pattern(4000, 5) : node.content));
            if (node.seen == node.content) ++lost;
        }
    }
    CHECK(lost == 20);
}

TEST_CASE("medium: where space is looked for late, the sync finds that there is none") {
    Reader node(1, {.capacity_bytes = 5000, .allocates_late = true});
    REQUIRE(node.syncs == std::vector<std::string>{"ok", "ok"});
    node.act([&](env::Env& env) {
        sound(env.disk().write(node.file, 4000, pattern(2000, 5)));
        env.disk().sync(node.file, 4);
    });
    CHECK(node.syncs.back() == "no_space");
    node.act([&](env::Env& env) {
        sound(env.disk().truncate(node.file, 4500));
        env.disk().sync(node.file, 5);
    });
    CHECK(node.syncs.back() == "ok");
}

namespace {
/// Keeps what the world reports.
struct Reports : WorldObserver {
    void on_crash(NodeId, CrashKind, const DamageReport& report) override { crash = report; }
    void on_misdirected(NodeId, const FileDamage& file) override { astray.push_back(file); }
    DamageReport crash;
    std::vector<FileDamage> astray;
};

const FileDamage& only(const std::vector<FileDamage>& files) {
    REQUIRE(files.size() == 1);
    return files.front();
}
}  // namespace

TEST_CASE("medium: a write that went astray is told with both places, when its turn stands") {
    for (const std::int64_t kept : {-1, 0, 1}) {  // no kill; a kill before the write; after it
        Reader node;
        Reports reports;
        node.world.kill(node.a);
        node.world.set_observer(&reports);
        node.world.start(node.a);
        node.settle();
        REQUIRE(node.world.misdirect_next_write(node.a, "f", 3900));
        if (kept >= 0) {
            KillRule rule;
            rule.when = KillRule::When::in_turn;
            rule.only_with_writes = true;
            rule.keep = kept;
            rule.keep_bytes = 0;
            node.world.kill(node.a, rule);
        }
        node.act([&](env::Env& env) { sound(env.disk().write(node.file, 1000, pattern(200, 9))); });
        if (kept == 0) {
            CHECK(reports.astray.empty());
            CHECK(reports.crash.blemished.empty());
            continue;
        }
        const FileDamage& told = only(reports.astray);
        CHECK(told.path == "f");
        CHECK(told.changed == std::vector<ByteRange>{{1000, 1200}, {3900, 4000}});
        if (kept < 0) node.world.kill(node.a);
        CHECK(only(reports.crash.blemished).path == "f");
    }
}

TEST_CASE("medium: a crash reports what reads wrongly, where it lies against the syncs") {
    Reader node;
    Reports reports;
    node.world.kill(node.a);
    node.world.set_observer(&reports);
    node.world.start(node.a);
    node.settle();
    node.act([&](env::Env& env) { sound(env.disk().write(node.file, 4000, pattern(100, 3))); });
    const Bytes zero = {0};
    REQUIRE(node.world.rot_file(node.a, "f", 7, zero));
    REQUIRE(node.world.rot_file(node.a, "f", 4050, zero));
    CHECK(node.world.file_state(node.a, "f")->synced_length == 4000);
    CHECK_FALSE(node.world.file_state(node.a, "g").has_value());
    node.world.power_loss(node.a);
    const FileDamage& told = only(reports.crash.blemished);
    CHECK(told.changed == std::vector<ByteRange>{{7, 8}, {4050, 4051}});
    CHECK(told.synced_length == 4000);
    CHECK(told.length_before == 4100);
}

TEST_CASE("medium: what a lie had answered for is told apart from what nobody had synced") {
    Reader node(1, {.unit_keep_rate = 0, .unit_tear_rate = 0});
    Reports reports;
    node.world.kill(node.a);
    node.world.set_observer(&reports);
    node.world.start(node.a);
    node.settle();
    DiskOptions options = node.world.disk_options(node.a);
    options.sync_lie_rate = per_million;
    node.world.set_disk_options(node.a, options);
    env::FileId fresh{};
    node.act([&](env::Env& env) {
        sound(env.disk().write(node.file, 4000, pattern(1000, 5)));
        env.disk().sync(node.file, 4);
        fresh = *env.disk().open("fresh", env::OpenMode::create);
        sound(env.disk().write(fresh, 0, pattern(100, 5)));
        env.disk().sync(fresh, 5);
        env.disk().sync_directory("", 6);
    });
    node.act([&](env::Env& env) {
        sound(env.disk().write(node.file, 5000, pattern(1000, 6)));
        const auto unsaid = *env.disk().open("unsaid", env::OpenMode::create);
        sound(env.disk().write(unsaid, 0, pattern(100, 5)));
        env.disk().sync(unsaid, 7);  // its name is synced by nobody
    });
    options.sync_lie_rate = 0;
    options.name_keep_rate = 0;
    node.world.set_disk_options(node.a, options);
    node.world.power_loss(node.a);
    std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> told;
    for (const FileDamage& file : reports.crash.files)
        told[file.path] = {file.synced_length, file.answered_length};
    CHECK(told.at("f") == std::pair<std::uint64_t, std::uint64_t>{4000, 5000});
    CHECK(told.at("fresh") == std::pair<std::uint64_t, std::uint64_t>{0, 100});
    CHECK(told.at("unsaid") == std::pair<std::uint64_t, std::uint64_t>{0, 0});
}

TEST_CASE("medium: a mended disk is read again, and rot stays") {
    Reader node;
    const Bytes zero = {0};
    REQUIRE(node.world.break_file(node.a, "f", {1000, 1010}));
    REQUIRE(node.world.rot_file(node.a, "f", 7, zero));
    node.world.mend_medium(node.a);
    node.restart();
    CHECK(node.failure.empty());
    Bytes expected = node.content;
    expected[7] = 0;
    CHECK(node.seen == expected);
}

TEST_CASE("disks: another disk's files, and an older image, are what the next process finds") {
    Reader node;
    const auto image = node.world.disk_contents(node.a);
    REQUIRE(image.at("f") == node.content);
    node.act([&](env::Env& env) {
        sound(env.disk().write(node.file, 0, pattern(4000, 5)));
        (void)env.disk().open("g", env::OpenMode::create);
    });
    node.world.set_disk_contents(node.a, image);
    CHECK_FALSE(node.world.alive(node.a));
    node.world.power_loss(node.a);  // it is durable
    node.world.start(node.a);
    node.settle();
    CHECK(node.seen == node.content);
    CHECK(node.world.paths(node.a) == std::vector<std::string>{"f"});
}
