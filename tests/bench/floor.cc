// The bare floor under the broker's benchmark: what the system alone costs on one loopback
// connection. First a sender pushes frames of 1 MiB and a receiver appends each to a file; then the
// file goes back by sendfile and is read and dropped. No node, no loop, no protocol: blocking calls
// on two threads. Prints CPU seconds a GB (10^9 bytes) for each thread.
//
//     bench_floor [mebibytes] [directory]     1024 and the system's temporary directory by default

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t frame_bytes = 1U << 20;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    ::exit(2);
}

std::int64_t thread_cpu_microseconds() {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    const auto microseconds = [](const timeval& t) {
        return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_usec;
    };
    return microseconds(used.ru_utime) + microseconds(used.ru_stime);
}

struct Pair {
    int one;
    int other;
};

/// The two ends of a connection through the loopback.
Pair connect_loopback() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(listener, address, size) != 0 || ::listen(listener, 1) != 0) fail("listen");
    if (::getsockname(listener, address, &size) != 0) fail("getsockname");
    const int one = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(one, address, size) != 0) fail("connect");
    const int other = ::accept(listener, nullptr, nullptr);
    if (other < 0) fail("accept");
    ::close(listener);
    const int yes = 1;
    ::setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    ::setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return {one, other};
}

void send_frames(int socket, std::uint64_t frames) {
    const std::vector<char> frame(frame_bytes, 'k');
    for (std::uint64_t n = 0; n < frames; ++n) {
        for (std::size_t sent = 0; sent < frame.size();) {
            const ssize_t got =
                ::send(socket, frame.data() + sent, frame.size() - sent, MSG_NOSIGNAL);
            if (got <= 0) fail("send");
            sent += static_cast<std::size_t>(got);
        }
    }
}

void receive_frame(int socket, std::vector<char>& frame) {
    for (std::size_t filled = 0; filled < frame.size();) {
        const ssize_t got = ::recv(socket, frame.data() + filled, frame.size() - filled, 0);
        if (got <= 0) fail("recv");
        filled += static_cast<std::size_t>(got);
    }
}

void receive_append(int socket, int file, std::uint64_t frames) {
    std::vector<char> frame(frame_bytes);
    for (std::uint64_t n = 0; n < frames; ++n) {
        receive_frame(socket, frame);
        if (::write(file, frame.data(), frame.size()) != static_cast<ssize_t>(frame.size())) {
            fail("write");
        }
    }
}

void send_file(int socket, int file, std::uint64_t frames) {
    off_t position = 0;
    const auto end = static_cast<off_t>(frames * frame_bytes);
    while (position < end) {
        const auto rest = static_cast<std::size_t>(end - position);
        if (::sendfile(socket, file, &position, std::min(rest, frame_bytes)) <= 0) {
            fail("sendfile");
        }
    }
}

void receive_drop(int socket, std::uint64_t frames) {
    std::vector<char> frame(frame_bytes);
    for (std::uint64_t n = 0; n < frames; ++n) receive_frame(socket, frame);
}

/// Runs both sides, each on a thread of its own, and prints what each has cost.
template <class Measured, class Other>
void measure(std::string_view name, std::string_view measured_side, Measured measured,
             std::string_view other_side, Other other, std::uint64_t frames) {
    std::int64_t cost = 0;
    std::int64_t other_cost = 0;
    std::thread one([&] {
        measured();
        cost = thread_cpu_microseconds();
    });
    std::thread two([&] {
        other();
        other_cost = thread_cpu_microseconds();
    });
    one.join();
    two.join();
    const double gigabytes = static_cast<double>(frames * frame_bytes) / 1e9;
    const auto per_gigabyte = [gigabytes](std::int64_t microseconds) {
        return static_cast<double>(microseconds) / 1e6 / gigabytes;
    };
    fmt::print("{}: {} {:.3f} CPU s/GB, {} {:.3f} CPU s/GB\n", name, measured_side,
               per_gigabyte(cost), other_side, per_gigabyte(other_cost));
}

}  // namespace

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
    const std::filesystem::path directory =
        argc > 2 ? std::filesystem::path(argv[2]) : std::filesystem::temp_directory_path();
    std::string path = (directory / "klamm-floor-XXXXXX").string();
    const int file = ::mkstemp(path.data());
    if (file < 0) fail("mkstemp");
    ::unlink(path.c_str());

    const Pair sockets = connect_loopback();
    measure(
        "bare receive-append", "receive and append",
        [&] { receive_append(sockets.one, file, frames); }, "send",
        [&] { send_frames(sockets.other, frames); }, frames);
    measure(
        "bare send", "sendfile", [&] { send_file(sockets.one, file, frames); }, "receive",
        [&] { receive_drop(sockets.other, frames); }, frames);
    return 0;
}
