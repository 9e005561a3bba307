// One file against a model: the cache is a byte vector, the disk what it was at the last sync.
#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "sim/world/file_image.h"

using namespace klamm;
using namespace klamm::sim;

namespace {

struct Model {
    Bytes live;
    Bytes durable;
    void write(std::uint64_t at, const Bytes& bytes) {
        if (bytes.empty()) return;
        if (live.size() < at + bytes.size()) live.resize(at + bytes.size());
        std::copy(bytes.begin(), bytes.end(), live.begin() + static_cast<std::ptrdiff_t>(at));
    }
};

/// Random operations on both; leaves up to one sync in flight, which has not covered anything.
void exercise(FileImage& image, Model& model, Journal& journal) {
    std::optional<std::pair<std::uint64_t, Bytes>> in_flight;
    const auto count = *rc::gen::inRange(0, 30);
    for (int i = 0; i < count; ++i) {
        switch (*rc::gen::inRange(0, 8)) {
            case 0:
            case 1:
            case 2: {  // append, at times with a gap
                const auto size = *rc::gen::inRange<std::size_t>(1, 1500);
                const auto gap = *rc::gen::element<std::size_t>(0, 0, 0, 700);
                const Bytes bytes(size, static_cast<std::uint8_t>(*rc::gen::inRange(1, 255)));
                const ByteView part = bytes;
                const std::uint64_t at = model.live.size() + gap;
                image.write(at, {&part, 1}, journal);
                model.write(at, bytes);
                break;
            }
            case 3:
            case 4: {  // overwrite
                const auto at = *rc::gen::inRange<std::size_t>(0, model.live.size() + 1);
                const auto size = *rc::gen::inRange<std::size_t>(1, 900);
                const Bytes bytes(size, static_cast<std::uint8_t>(*rc::gen::inRange(1, 255)));
                const ByteView part = bytes;
                image.write(at, {&part, 1}, journal);
                model.write(at, bytes);
                break;
            }
            case 5: {
                const auto to = *rc::gen::inRange<std::size_t>(0, model.live.size() + 300);
                image.truncate(to, journal);
                model.live.resize(to);
                break;
            }
            case 6: in_flight = std::pair(image.seal(), model.live); break;
            case 7:
                if (in_flight) {
                    image.synced(in_flight->first);
                    model.durable = in_flight->second;
                    in_flight.reset();
                }
                break;
        }
    }
}

DiskOptions all(std::int64_t rate, CrashMode mode) {
    DiskOptions options;
    options.crash_mode = mode;
    options.unit_keep_rate = options.truncate_keep_rate = rate;
    options.unit_tear_rate = 0;
    return options;
}

}  // namespace

TEST_CASE("file: the disk holds what the last sync covered, the cache everything") {
    rc::prop("as the model", []() {
        FileImage image(512);
        Model model;
        Journal journal;
        journal.mode = *rc::gen::element(CrashMode::posix, CrashMode::ext4_ordered);
        exercise(image, model, journal);
        RC_ASSERT(image.live() == model.live);
        RC_ASSERT(image.durable() == model.durable);
        RC_ASSERT(image.synced_length() <= model.durable.size());
    });
}

TEST_CASE("file: a crash that loses all leaves the disk's, one that keeps all the cache's") {
    rc::prop("both ends", []() {
        FileImage image(512);
        Model model;
        Journal journal;
        journal.mode = *rc::gen::element(CrashMode::posix, CrashMode::ext4_ordered);
        journal.sequence = 10;  // no operation stands at the cut, where a part of it may survive
        exercise(image, model, journal);
        const bool keep = *rc::gen::arbitrary<bool>();
        const DiskOptions options = all(keep ? per_million : 0, journal.mode);
        std::vector<TruncateUndone> undone;
        const std::uint64_t cut = keep ? journal.sequence : 0;
        image.crash({&options, Draws(1), 2, cut}, undone);
        RC_ASSERT(image.live() == (keep ? model.live : model.durable));
        RC_ASSERT(image.durable() == image.live());
        RC_ASSERT(image.is_durable());
    });
}

TEST_CASE("file: whatever a crash draws, bytes below the synced length are as they were") {
    rc::prop("synced bytes survive", []() {
        FileImage image(*rc::gen::element(512U, 4096U));
        Model model;
        Journal journal;
        exercise(image, model, journal);
        const std::uint64_t synced = image.synced_length();
        const DiskOptions options;
        std::vector<TruncateUndone> undone;
        const auto seed = *rc::gen::arbitrary<std::uint64_t>();
        image.crash({&options, Draws(seed), 2, journal.sequence}, undone);
        RC_ASSERT(image.length() >= synced);
        RC_ASSERT(std::equal(model.durable.begin(),
                             model.durable.begin() + static_cast<std::ptrdiff_t>(synced),
                             image.live().begin()));
    });
}
