// What a node is promised beside disk and network, in both worlds: turns, the alarm, mail, jobs,
// the end.

#include <catch2/catch.hpp>
#include <variant>

#include "tests/conformance/harness.h"

using namespace klamm;
using namespace klamm::conformance;
using env::Env;
using env::Event;
using env::OpenMode;
using Lines = std::vector<std::string>;

namespace {

struct Letter final : env::Parcel {
    explicit Letter(std::int64_t n) : number(n) {}
    std::uint64_t digest() const override { return static_cast<std::uint64_t>(number); }
    std::int64_t number;
};

struct Square final : env::Job {
    explicit Square(std::int64_t n) : number(n) {}
    void run() override { number *= number; }
    std::int64_t number;
};

}  // namespace

TEST_CASE("turn: effects follow the turn in order, disk calls act within it") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        env.mail(0, std::make_unique<Letter>(1));
        const auto file = env.disk().open("a", OpenMode::create);
        record.note("written: " + word(env.disk().write(*file, 0, as_bytes("seen"))));
        record.note("length: " + std::to_string(*env.disk().length(*file)));
        env.mail(0, std::make_unique<Letter>(2));
        env.mail(0, std::make_unique<Letter>(3));
        record.note("turn over");
    };
    script.mail = [](Env&, env::MailArrived& mail, Recorder& record) {
        const auto* letter = dynamic_cast<const Letter*>(mail.mail.get());
        record.note("letter " + std::to_string(letter->number));
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.has("letter 3"); }));
    CHECK(record.lines() ==
          Lines{"written: ok", "length: 4", "turn over", "letter 1", "letter 2", "letter 3"});
}

TEST_CASE("turn: time stands still within a turn and never goes back between turns") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        record.keep("last", env.turn().now.nanoseconds);
        env.mail(0, std::make_unique<Letter>(0));
    };
    script.mail = [](Env& env, env::MailArrived& mail, Recorder& record) {
        const Instant begin = env.turn().now;
        if (begin.nanoseconds < *record.number("last")) record.note("time went back");
        Bytes work = pattern(20'000);
        if (env.turn().now != begin || work.empty()) record.note("time passed in a turn");
        record.keep("last", begin.nanoseconds);
        const std::int64_t n = dynamic_cast<const Letter*>(mail.mail.get())->number + 1;
        if (n == 50) return record.note("fifty turns");
        env.mail(0, std::make_unique<Letter>(n));
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.has("fifty turns"); }));
    CHECK(record.lines() == Lines{"fifty turns"});
}

TEST_CASE("alarm: it fires once, and not before its time") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        record.keep("due", (env.turn().now + milliseconds(20)).nanoseconds);
        env.wake_at(env.turn().now + milliseconds(20));
    };
    script.alarm = [](Env& env, env::Alarm&, Recorder& record) {
        const bool early = env.turn().now.nanoseconds < *record.number("due");
        record.note(early ? "early" : "in time");
        if (record.lines().size() > 1) return;
        // Only a new request brings a new alarm: ten turns pass without one.
        env.mail(0, std::make_unique<Letter>(0));
    };
    script.mail = [](Env& env, env::MailArrived& mail, Recorder& record) {
        const std::int64_t n = dynamic_cast<const Letter*>(mail.mail.get())->number + 1;
        if (n < 10) return env.mail(0, std::make_unique<Letter>(n));
        record.note("asked again");
        record.keep("due", (env.turn().now + milliseconds(10)).nanoseconds);
        env.wake_at(env.turn().now + milliseconds(10));
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.lines().size() == 3; }));
    CHECK(record.lines() == Lines{"in time", "asked again", "in time"});
}

TEST_CASE("alarm: a later request replaces an earlier one, to sooner, to later, to never") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        env.wake_at(env.turn().now + seconds(1000));
        env.wake_at(env.turn().now + milliseconds(5));
        record.keep("due", (env.turn().now + milliseconds(5)).nanoseconds);
    };
    script.alarm = [](Env& env, env::Alarm&, Recorder& record) {
        const Instant now = env.turn().now;
        if (now.nanoseconds < *record.number("due")) record.note("early");
        record.note("alarm");
        if (record.lines().size() == 1) {
            // To later, in the same turn and in the next one.
            env.wake_at(now + milliseconds(1));
            env.wake_at(now + milliseconds(10));
            record.keep("due", (now + milliseconds(30)).nanoseconds);
            env.mail(0, std::make_unique<Letter>(now.nanoseconds + 30'000'000));
        } else if (record.lines().size() == 2) {
            // To never: what follows is told by a job, not by an alarm.
            env.wake_at(now + milliseconds(1));
            env.wake_at(instant_never);
            env.compute(std::make_unique<Square>(3), 1);
        }
    };
    script.mail = [](Env& env, env::MailArrived& mail, Recorder&) {
        env.wake_at({dynamic_cast<const Letter*>(mail.mail.get())->number});
    };
    script.computed = [](Env& env, env::Computed&, Recorder& record) {
        record.note("computed");
        env.wake_at(env.turn().now);  // already reached: at once, after the turn
        record.keep("due", env.turn().now.nanoseconds);
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.lines().size() == 4; }));
    CHECK(record.lines() == Lines{"alarm", "alarm", "computed", "alarm"});
}

TEST_CASE("mail: it arrives in the order posted, for each pair of shards") {
    IN_EACH_WORLD;
    constexpr std::int64_t letters = 200;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder&) {
        for (std::int64_t n = 0; n < letters; ++n) {
            for (env::ShardIndex to = 0; to < env.shards(); ++to) {
                env.mail(to, std::make_unique<Letter>(n));
            }
        }
    };
    script.mail = [](Env& env, env::MailArrived& mail, Recorder& record) {
        const std::string pair = std::to_string(mail.from) + ">" + std::to_string(env.shard());
        const std::int64_t n = dynamic_cast<const Letter*>(mail.mail.get())->number;
        if (n != record.number(pair).value_or(-1) + 1) record.note("out of order: " + pair);
        record.keep(pair, n);
    };
    Recorder& record = world->start("node", script, 3);
    const auto complete = [&] {
        for (const char* pair : {"0>0", "0>1", "0>2", "1>0", "1>1", "1>2", "2>0", "2>1", "2>2"}) {
            if (record.number(pair) != letters - 1) return false;
        }
        return true;
    };
    REQUIRE(world->run_until(complete));
    CHECK(record.lines().empty());
}

TEST_CASE("compute: the job comes back, done, with its token") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder&) {
        for (std::int64_t n = 1; n <= 4; ++n) {
            env.compute(std::make_unique<Square>(n), static_cast<env::Token>(n));
        }
    };
    script.computed = [](Env&, env::Computed& done, Recorder& record) {
        record.keep("square of " + std::to_string(done.token),
                    dynamic_cast<const Square*>(done.job.get())->number);
        record.note("computed");
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return record.lines().size() == 4; }));
    CHECK(record.number("square of 1") == 1);
    CHECK(record.number("square of 2") == 4);
    CHECK(record.number("square of 3") == 9);
    CHECK(record.number("square of 4") == 16);
}

TEST_CASE("stop: the node ends with its status after the turn, and no event follows") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        env.mail(0, std::make_unique<Letter>(0));
        env.stop(3);
        const auto file = env.disk().open("a", OpenMode::create);
        record.note("in the same turn: " + word(env.disk().write(*file, 0, as_bytes("x"))));
    };
    script.mail = [](Env&, env::MailArrived&, Recorder& record) { record.note("after the end"); };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until([&] { return world->status("node").has_value(); }));
    CHECK(world->status("node") == 3);
    CHECK(record.lines() == Lines{"in the same turn: ok"});
}

TEST_CASE("stop: one shard ends all shards of its node") {
    IN_EACH_WORLD;
    Script script;
    script.mail = [](Env& env, env::MailArrived&, Recorder& record) {
        record.note("shard " + std::to_string(env.shard()) + " stops");
        env.stop(0);
    };
    script.started = [](Env& env, env::Started&, Recorder&) {
        if (env.shard() == 2) env.mail(1, std::make_unique<Letter>(0));
    };
    Recorder& record = world->start("node", script, 3);
    REQUIRE(world->run_until([&] { return world->status("node").has_value(); }));
    CHECK(world->status("node") == 0);
    CHECK(record.lines() == Lines{"shard 1 stops"});
}

TEST_CASE("stop: the operator's request reaches every shard, which may take its time") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        record.keep("started " + std::to_string(env.shard()), 1);
    };
    script.stop_asked = [](Env& env, env::StopAsked&, Recorder& record) {
        record.note("asked");
        env.mail(0, std::make_unique<Letter>(0));
    };
    script.mail = [](Env& env, env::MailArrived&, Recorder& record) {
        record.note("shard ready");
        record.keep("ready", record.number("ready").value_or(0) + 1);
        if (record.number("ready") == 2) env.stop(0);
    };
    Recorder& record = world->start("node", script, 2);
    REQUIRE(world->run_until(
        [&] { return record.number("started 0") == 1 && record.number("started 1") == 1; }));
    world->ask_stop("node");
    REQUIRE(world->run_until([&] { return world->status("node").has_value(); }));
    CHECK(world->status("node") == 0);
    CHECK(record.lines().size() == 4);
}
