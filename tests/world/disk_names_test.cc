// The names of the simulated disk under whatever is done to them: the space that is said to be used
// is that of the files, what a crash leaves is what the disk holds, its report tells every
// difference, and it costs what it may change.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <string>

#include "sim/world/disk_image.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

const std::vector<std::string> paths_tried = {"a",   "b",   "c",     "d",       "d/a",
                                              "d/b", "e",   "e/a",   "d/e",     "d/e/a",
                                              "x/y", "d/x", "d/e/b", "d/e/a.t", "a.t"};

std::string some_path() { return *rc::gen::elementOf(paths_tried); }

Bytes some_bytes() {
    return Bytes(*rc::gen::inRange<std::size_t>(1, 3000),
                 static_cast<std::uint8_t>(*rc::gen::inRange(1, 255)));
}

void act(DiskImage& disk, std::vector<std::pair<InodePointer, DiskImage::SyncMark>>& syncs) {
    switch (*rc::gen::inRange(0, 10)) {
        case 0: (void)disk.mkdir(some_path()); break;
        case 1: (void)disk.rename(some_path(), some_path()); break;
        case 2: (void)disk.remove(some_path()); break;
        case 3:
        case 4:
        case 5: {
            const auto inode = disk.open(some_path(), env::OpenMode::create);
            if (!inode.ok()) break;
            const Bytes bytes = some_bytes();
            const ByteView part = bytes;
            (void)disk.write(*inode, *rc::gen::inRange<std::uint64_t>(0, 2000), {&part, 1});
            break;
        }
        case 6: {
            const InodePointer inode = disk.find(some_path());
            if (inode && !inode->is_directory())
                (void)disk.truncate(inode, *rc::gen::inRange<std::uint64_t>(0, 2500));
            break;
        }
        case 7: {
            const InodePointer inode = disk.find(some_path());
            if (inode && !inode->is_directory())
                (void)disk.allocate(inode, *rc::gen::inRange<std::uint64_t>(0, 5000));
            break;
        }
        case 8: {
            const InodePointer inode =
                *rc::gen::inRange(0, 3) == 0 ? disk.find("") : disk.find(some_path());
            if (inode) syncs.emplace_back(inode, disk.begin_sync(*inode));
            break;
        }
        case 9: {
            if (syncs.empty()) break;
            auto [inode, mark] = syncs.front();
            syncs.erase(syncs.begin());
            if (*rc::gen::inRange(0, 5) == 0)
                disk.fail_sync(*inode, mark, Draws(7), 1);
            else
                disk.complete_sync(*inode, mark);
            break;
        }
    }
}

std::map<std::string, Bytes> contents(const DiskImage& disk) {
    std::map<std::string, Bytes> all;
    for (const auto& [path, inode] : disk.files())
        all.emplace(path, inode->is_directory() ? Bytes{} : inode->file.live());
    return all;
}

std::uint64_t space_of(const DiskImage& disk) {
    std::uint64_t sum = 0;
    for (const auto& [path, inode] : disk.files())
        if (!inode->is_directory()) sum += std::max(inode->file.length(), inode->reserved);
    return sum;
}

/// What the report says of a path: whether its content changed.
bool told(const DamageReport& report, const std::string& path) {
    for (const FileDamage& damage : report.files)
        if (damage.path == path) return true;
    for (const NameDamage& damage : report.names)
        if (damage.path == path) return true;
    return false;
}

void check_report(const std::map<std::string, Bytes>& before,
                  const std::map<std::string, Bytes>& after, const DamageReport& report) {
    for (const auto& [path, bytes] : before) {
        const auto now = after.find(path);
        if (now == after.end() || now->second != bytes) RC_ASSERT(told(report, path));
    }
    for (const auto& [path, bytes] : after)
        if (!before.contains(path)) RC_ASSERT(told(report, path));
}

DiskOptions some_options() {
    DiskOptions options;
    options.crash_mode = *rc::gen::element(CrashMode::posix, CrashMode::ext4_ordered);
    options.unit_bytes = 512;
    return options;
}

}  // namespace

TEST_CASE("names: after a loss of power cache and disk are one, and the report tells the rest") {
    rc::prop("whatever was done before", []() {
        DiskImage disk(*rc::gen::arbitrary<std::uint64_t>());
        disk.set_options(some_options());
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        for (std::uint64_t crash = 1; crash <= 3; ++crash) {
            std::vector<std::pair<InodePointer, DiskImage::SyncMark>> syncs;
            const auto count = *rc::gen::inRange(0, 40);
            for (int i = 0; i < count; ++i) {
                act(disk, syncs);
                RC_ASSERT(disk.used() == space_of(disk));
            }
            const auto before = contents(disk);
            const DamageReport report = disk.power_loss(Draws(seed), crash);
            const auto after = contents(disk);
            check_report(before, after, report);
            RC_ASSERT(disk.used() == space_of(disk));
            for (const auto& [path, inode] : disk.files()) {
                if (inode->is_directory()) continue;
                RC_ASSERT(inode->file.is_durable());
                RC_ASSERT(disk.durable_bytes(path) == inode->file.live());
            }
            const DamageReport nothing = disk.power_loss(Draws(seed), crash + 100);
            RC_ASSERT(!nothing.any());
            RC_ASSERT(contents(disk) == after);
        }
    });
}

TEST_CASE("names: a turn that is taken back wholly leaves the disk as it was") {
    rc::prop("whatever it did", []() {
        DiskImage disk(*rc::gen::arbitrary<std::uint64_t>());
        disk.set_options(some_options());
        std::vector<std::pair<InodePointer, DiskImage::SyncMark>> syncs;
        const auto earlier = *rc::gen::inRange(0, 30);
        for (int i = 0; i < earlier; ++i) act(disk, syncs);
        syncs.clear();
        const auto before = contents(disk);
        disk.begin_recording();
        const auto count = *rc::gen::inRange(0, 30);
        for (int i = 0; i < count; ++i) {
            std::vector<std::pair<InodePointer, DiskImage::SyncMark>> in_flight;
            act(disk, in_flight);  // syncs that end lie outside turns
        }
        const auto done = contents(disk);
        const DamageReport report = disk.keep_prefix(0, 0);
        RC_ASSERT(contents(disk) == before);
        RC_ASSERT(disk.used() == space_of(disk));
        check_report(done, before, report);
    });
}

TEST_CASE("names: a loss of power looks at what is not synced, not at the rest") {
    DiskImage disk(5);
    disk.set_options({.unit_bytes = 512});
    REQUIRE(disk.mkdir("log").ok());
    const Bytes bytes(100, 1);
    const ByteView part = bytes;
    for (int i = 0; i < 20'000; ++i) {
        const auto inode = disk.open("log/" + std::to_string(i), env::OpenMode::create);
        REQUIRE(disk.write(*inode, 0, {&part, 1}).ok());
        disk.complete_sync(**inode, disk.begin_sync(**inode));
    }
    for (const char* path : {"", "log"}) {
        const InodePointer directory = disk.find(path);
        disk.complete_sync(*directory, disk.begin_sync(*directory));
    }
    for (int i = 0; i < 10; ++i) {
        const auto inode =
            disk.open("log/" + std::to_string(i == 9 ? 30'000 : i), env::OpenMode::create);
        REQUIRE(disk.write(*inode, 50, {&part, 1}).ok());
    }
    (void)disk.power_loss(Draws(3), 1);
    CHECK(disk.looked_at() >= 10);
    CHECK(disk.looked_at() <= 30);
    CHECK(disk.paths().size() >= 20'001);
}
