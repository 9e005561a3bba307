// What a disk promises while nothing fails, in both worlds: reads, writes, names, lengths, locks.

#include <catch2/catch.hpp>
#include <variant>

#include "tests/conformance/harness.h"

using namespace klamm;
using namespace klamm::conformance;
using env::Env;
using env::Event;
using env::FileId;
using env::OpenMode;
using Lines = std::vector<std::string>;

namespace {

/// Notes what a read gave, by its token.
void note_read(Event& event, Recorder& record) {
    auto& done = std::get<env::ReadDone>(event);
    std::string line = "read " + std::to_string(done.token) + " ";
    line += done.count.ok() ? text_of(done.out, *done.count) : word(done.count);
    record.note(std::move(line));
}

void note_synced(Event& event, Recorder& record) {
    auto& done = std::get<env::Synced>(event);
    record.note("synced " + std::to_string(done.token) + " " + word(done.status));
}

/// "name size" or "name/" for each entry.
void note_list(Event& event, Recorder& record) {
    auto& done = std::get<env::Listed>(event);
    if (!done.entries.ok()) return record.note("list " + word(done.entries));
    std::string line = "list";
    for (const env::DirectoryEntry& entry : *done.entries) {
        line += " " + entry.name + (entry.is_directory ? "/" : " " + std::to_string(entry.size));
    }
    record.note(std::move(line));
}

FileId opened(Env& env, std::string_view path, OpenMode mode = OpenMode::create) {
    const Result<FileId> file = env.disk().open(path, mode);
    KLAMM_ASSERT(file.ok());
    return *file;
}

/// Runs one node through `steps` and gives what it noted.
Lines run_steps(TestWorld& world, std::vector<Script::Step> steps) {
    Script script;
    const Script::Step last = [last = steps.back()](Env& env, Event& event, Recorder& record) {
        last(env, event, record);
        record.keep("done", 1);
    };
    steps.back() = last;
    script.steps = std::move(steps);
    Recorder& record = world.start("node", std::move(script));
    CHECK(world.run_until([&] { return record.number("done").has_value(); }));
    return record.lines();
}

}  // namespace

TEST_CASE("disk: what a turn wrote is read after it, and its length is known at once") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId file = opened(env, "a");
                        record.note(word(env.disk().write(file, 0, as_bytes("hello world"))));
                        record.note("length " + std::to_string(*env.disk().length(file)));
                        env.disk().read(file, 6, MutableBuffer(5), 1);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines == Lines{"ok", "length 11", "read 1 world"});
}

TEST_CASE("disk: a read gives less only at the end of the file, and nothing past it") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId file = opened(env, "a");
                        record.note(word(env.disk().write(file, 0, as_bytes("0123456789"))));
                        env.disk().read(file, 7, MutableBuffer(100), 1);
                    },
                    [](Env& env, Event& event, Recorder& record) {
                        note_read(event, record);
                        const FileId file = opened(env, "a", OpenMode::read);
                        env.disk().read(file, 50, MutableBuffer(4), 2);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines == Lines{"ok", "read 1 789", "read 2 "});
}

TEST_CASE("disk: a gathered write puts its parts one after another") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId file = opened(env, "a");
                        const std::string many(100, '.');
                        std::vector<ByteView> parts = {as_bytes("head "), {}, as_bytes("body")};
                        for (const char& dot : many) {
                            parts.push_back(as_bytes(std::string_view(&dot, 1)));
                        }
                        parts.push_back(as_bytes("end"));
                        record.note(word(env.disk().write(file, 3, parts)));
                        record.note("length " + std::to_string(*env.disk().length(file)));
                        env.disk().read(file, 3, MutableBuffer(200), 1);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines == Lines{"ok", "length 115", "read 1 head body" + std::string(100, '.') + "end"});
}

TEST_CASE("disk: the gap before a write beyond the end reads as zeros") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId file = opened(env, "a");
                        record.note(word(env.disk().write(file, 0, as_bytes("ab"))));
                        record.note(word(env.disk().write(file, 5, as_bytes("c"))));
                        env.disk().read(file, 0, MutableBuffer(10), 1);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines == Lines{"ok", "ok", std::string("read 1 ab\0\0\0c", 13)});
}

TEST_CASE("disk: truncate cuts, and extends with zeros where old bytes were") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId file = opened(env, "a");
                        record.note(word(env.disk().write(file, 0, as_bytes("abcdef"))));
                        record.note(word(env.disk().truncate(file, 2)));
                        record.note("length " + std::to_string(*env.disk().length(file)));
                        record.note(word(env.disk().truncate(file, 5)));
                        record.note("length " + std::to_string(*env.disk().length(file)));
                        env.disk().read(file, 0, MutableBuffer(10), 1);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines ==
          Lines{"ok", "ok", "length 2", "ok", "length 5", std::string("read 1 ab\0\0\0", 12)});
}

TEST_CASE("disk: open modes say what must and what must not be there") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(*world, {[](Env& env, Event&, Recorder& record) {
        const auto open = [&](std::string_view path, OpenMode mode) {
            return word(env.disk().open(path, mode));
        };
        record.note("read missing: " + open("a", OpenMode::read));
        record.note("write missing: " + open("a", OpenMode::write));
        record.note("create_new missing: " + open("a", OpenMode::create_new));
        record.note("create_new there: " + open("a", OpenMode::create_new));
        record.note("create there: " + open("a", OpenMode::create));
        record.note("write there: " + open("a", OpenMode::write));
        record.note("read there: " + open("a", OpenMode::read));
        record.note("no parent: " + open("d/a", OpenMode::create));
    }});
    CHECK(lines == Lines{"read missing: not_found", "write missing: not_found",
                         "create_new missing: ok", "create_new there: exists", "create there: ok",
                         "write there: ok", "read there: ok", "no parent: not_found"});
}

TEST_CASE("disk: directories are made one by one and removed when empty") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(*world, {[](Env& env, Event&, Recorder& record) {
        record.note("no parent: " + word(env.disk().mkdir("d/e")));
        record.note("made: " + word(env.disk().mkdir("d")));
        record.note("again: " + word(env.disk().mkdir("d")));
        record.note("below: " + word(env.disk().mkdir("d/e")));
        const bool not_empty = !env.disk().remove("d").ok();
        record.note(not_empty ? "not empty: refused" : "not empty: removed");
        record.note("inner: " + word(env.disk().remove("d/e")));
        record.note("outer: " + word(env.disk().remove("d")));
        record.note("gone: " + word(env.disk().remove("d")));
    }});
    CHECK(lines == Lines{"no parent: not_found", "made: ok", "again: exists", "below: ok",
                         "not empty: refused", "inner: ok", "outer: ok", "gone: not_found"});
}

TEST_CASE("disk: a rename replaces what was there, and old handles keep their files") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId a = opened(env, "a");
                        const FileId b = opened(env, "b");
                        record.note(word(env.disk().write(a, 0, as_bytes("new"))));
                        record.note(word(env.disk().write(b, 0, as_bytes("old"))));
                        record.note(word(env.disk().rename("a", "b")));
                        record.note("a is " + word(env.disk().open("a", OpenMode::read)));
                        env.disk().read(opened(env, "b", OpenMode::read), 0, MutableBuffer(3), 1);
                        record.keep("b", static_cast<std::int64_t>(b));
                    },
                    [](Env& env, Event& event, Recorder& record) {
                        note_read(event, record);
                        const auto b = static_cast<FileId>(*record.number("b"));
                        env.disk().read(b, 0, MutableBuffer(3), 2);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines == Lines{"ok", "ok", "ok", "a is not_found", "read 1 new", "read 2 old"});
}

TEST_CASE("disk: a renamed directory takes its files along, what is missing cannot be renamed") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        record.note(word(env.disk().mkdir("d")));
                        record.note(word(env.disk().write(opened(env, "d/f"), 0, as_bytes("x"))));
                        record.note(word(env.disk().rename("d", "e")));
                        record.note(word(env.disk().rename("d", "c")));
                        record.note(word(env.disk().rename("e", "no/e")));
                        env.disk().list("e", 1);
                    },
                    [](Env&, Event& event, Recorder& record) { note_list(event, record); },
                });
    CHECK(lines == Lines{"ok", "ok", "ok", "not_found", "not_found", "list f 1"});
}

TEST_CASE("disk: a removed file stays readable through its handle") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        const FileId file = opened(env, "a");
                        record.note(word(env.disk().write(file, 0, as_bytes("still"))));
                        record.note(word(env.disk().remove("a")));
                        record.note(word(env.disk().open("a", OpenMode::read)));
                        env.disk().read(file, 0, MutableBuffer(5), 1);
                    },
                    [](Env&, Event& event, Recorder& record) { note_read(event, record); },
                });
    CHECK(lines == Lines{"ok", "ok", "not_found", "read 1 still"});
}

TEST_CASE("disk: a list is in the order of names and tells files from directories") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world,
        {
            [](Env& env, Event&, Recorder& record) {
                for (const char* name : {"b", "a10", "a9", "Z", "c.log"}) {
                    record.note(word(env.disk().write(opened(env, name), 0, as_bytes(name))));
                }
                record.note(word(env.disk().mkdir("aa")));
                record.note(word(env.disk().mkdir("aa/below")));
                env.disk().list("", 1);
            },
            [](Env& env, Event& event, Recorder& record) {
                note_list(event, record);
                env.disk().list("aa", 2);
            },
            [](Env& env, Event& event, Recorder& record) {
                note_list(event, record);
                env.disk().list("nowhere", 3);
            },
            [](Env&, Event& event, Recorder& record) { note_list(event, record); },
        });
    CHECK(lines == Lines{"ok", "ok", "ok", "ok", "ok", "ok", "ok",
                         "list Z 1 a10 3 a9 2 aa/ b 1 c.log 5", "list below/", "list not_found"});
}

TEST_CASE("disk: syncs of files and directories answer with their tokens") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(
        *world, {
                    [](Env& env, Event&, Recorder& record) {
                        record.note(word(env.disk().mkdir("d")));
                        const FileId file = opened(env, "d/a");
                        record.note(word(env.disk().write(file, 0, as_bytes("x"))));
                        env.disk().sync(file, 71);
                    },
                    [](Env& env, Event& event, Recorder& record) {
                        note_synced(event, record);
                        env.disk().sync_directory("d", 72);
                    },
                    [](Env& env, Event& event, Recorder& record) {
                        note_synced(event, record);
                        env.disk().sync_directory("", 73);
                    },
                    [](Env&, Event& event, Recorder& record) { note_synced(event, record); },
                });
    CHECK(lines == Lines{"ok", "ok", "synced 71 ok", "synced 72 ok", "synced 73 ok"});
}

TEST_CASE("disk: a read and a sync asked before close() still answer") {
    IN_EACH_WORLD;
    Script script;
    script.started = [](Env& env, env::Started&, Recorder& record) {
        const FileId file = opened(env, "a");
        record.note(word(env.disk().write(file, 0, as_bytes("abc"))));
        env.disk().read(file, 0, MutableBuffer(3), 1);
        env.disk().sync(file, 2);
        env.disk().close(file);
        record.note(word(env.disk().length(file)));
    };
    script.read = [](Env&, env::ReadDone& done, Recorder& record) {
        record.append("read", done.out.span().first(*done.count));
    };
    script.synced = [](Env&, env::Synced& done, Recorder& record) {
        record.keep("synced", done.status.ok() ? 1 : 0);
    };
    Recorder& record = world->start("node", script);
    REQUIRE(world->run_until(
        [&] { return record.number("synced").has_value() && !record.text("read").empty(); }));
    CHECK(record.lines() == Lines{"ok", "closed"});
    CHECK(record.text("read") == "abc");
    CHECK(record.number("synced") == 1);
}

TEST_CASE("disk: allocate leaves the length as it is") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(*world, {[](Env& env, Event&, Recorder& record) {
        const FileId file = opened(env, "a");
        record.note(word(env.disk().write(file, 0, as_bytes("abc"))));
        record.note(word(env.disk().allocate(file, 1 << 20)));
        record.note("length " + std::to_string(*env.disk().length(file)));
        record.note(*env.disk().space() > 0 ? "space left" : "no space left");
    }});
    CHECK(lines == Lines{"ok", "ok", "length 3", "space left"});
}

TEST_CASE("disk: a cached read gives the right bytes or would block, never fewer") {
    IN_EACH_WORLD;
    const Lines lines = run_steps(*world, {[](Env& env, Event&, Recorder& record) {
        const FileId file = opened(env, "a");
        const Bytes bytes = pattern(100'000);
        record.note(word(env.disk().write(file, 0, bytes)));
        for (std::uint64_t position : {std::uint64_t{0}, std::uint64_t{60'000},
                                       std::uint64_t{99'000}, std::uint64_t{200'000}}) {
            Bytes out(50'000);
            const auto count = env.disk().read_if_cached(file, position, out);
            const std::size_t there =
                position < bytes.size() ? std::min(out.size(), bytes.size() - position) : 0;
            bool right = false;
            if (count.ok()) {
                right = *count == there &&
                        std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(there),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(
                                                       std::min(position, bytes.size())));
            } else {
                right = count.failure() == Failure::limit;
            }
            record.note(right ? "right" : "wrong");
        }
    }});
    CHECK(lines == Lines{"ok", "right", "right", "right", "right"});
}

TEST_CASE("disk: what a killed process wrote is there for its next incarnation") {
    IN_EACH_WORLD;
    Script first;
    first.started = [](Env& env, env::Started& started, Recorder& record) {
        record.note("incarnation " + std::to_string(started.incarnation));
        record.note(word(env.disk().write(opened(env, "a"), 0, as_bytes("left behind"))));
        record.note("lock " + word(env.disk().lock(opened(env, "lock"))));
        record.keep("first", 1);
    };
    Recorder& record = world->start("node", first);
    REQUIRE(world->run_until([&] { return record.number("first").has_value(); }));
    Script second;
    second.started = [](Env& env, env::Started& started, Recorder& r) {
        r.note("incarnation " + std::to_string(started.incarnation));
        r.note("lock " + word(env.disk().lock(opened(env, "lock"))));
        env.disk().read(opened(env, "a", OpenMode::write), 0, MutableBuffer(20), 1);
    };
    second.read = [](Env&, env::ReadDone& done, Recorder& r) {
        r.append("read", done.out.span().first(*done.count));
        r.keep("second", 1);
    };
    world->start("node", second);
    REQUIRE(world->run_until([&] { return record.number("second").has_value(); }));
    CHECK(record.lines() == Lines{"incarnation 1", "ok", "lock ok", "incarnation 2", "lock ok"});
    CHECK(record.text("read") == "left behind");
}
