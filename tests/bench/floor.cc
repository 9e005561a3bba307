// The bare floor under the broker's benchmark, alone (floor.h). Prints CPU seconds a GB (10^9
// bytes) for each thread.
//
//     bench_floor [mebibytes] [directory]     1024 and the system's temporary directory by default

#include "tests/bench/floor.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

int main(int argc, char** argv) {
    std::uint64_t frames = 1024;
    if (argc > 1) {
        const std::string_view text = argv[1];
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), frames);
        if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || frames == 0) {
            fmt::print(stderr, "usage: bench_floor [mebibytes] [directory]\n");
            return 64;
        }
    }
    constexpr std::size_t frame_bytes = 1U << 20;
    const auto floor = klamm::bench::measure_floor(
        frames, frame_bytes,
        argc > 2 ? std::filesystem::path(argv[2]) : std::filesystem::temp_directory_path());
    const auto per_gigabyte = [bytes = static_cast<double>(frames * frame_bytes)](auto cost) {
        return static_cast<double>(cost) * 1e3 / bytes;
    };
    fmt::print(
        "bare receive-append: receive and append {:.3f} CPU s/GB, send {:.3f} CPU s/GB\n"
        "bare send: sendfile {:.3f} CPU s/GB, receive {:.3f} CPU s/GB\n",
        per_gigabyte(floor.in.microseconds), per_gigabyte(floor.in.other_microseconds),
        per_gigabyte(floor.out.microseconds), per_gigabyte(floor.out.other_microseconds));
    return 0;
}
