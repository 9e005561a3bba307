// The default log: one line of text to stderr, with the wall time of the machine in UTC.

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <iterator>

#include "core/runtime/runtime.h"

namespace klamm::runtime {

LogSink log_to_stderr() {
    return [](std::string_view node, env::ShardIndex shard, std::string_view line) {
        timespec now{};
        ::clock_gettime(CLOCK_REALTIME, &now);
        tm parts{};
        ::gmtime_r(&now.tv_sec, &parts);
        fmt::memory_buffer text;
        fmt::format_to(std::back_inserter(text),
                       "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {}/{} {}\n",
                       parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                       parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000, node, shard, line);
        // One write keeps the line whole beside those of other threads. A log that cannot be
        // written is nobody's business.
        [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    };
}

}  // namespace klamm::runtime
