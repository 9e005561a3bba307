#pragma once
// The bare floor under the broker: what the system alone costs on one loopback connection, with
// blocking calls on two threads, no node, no loop, no protocol. First a sender pushes frames and a
// receiver appends each to a file; then the file goes back by sendfile and is read and dropped.
// Costs are CPU time of the measured side's thread; the other side's is told beside it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace klamm::bench {

[[noreturn]] inline void fail(const char* what) {
    std::perror(what);
    ::exit(2);
}

inline std::int64_t thread_cpu_microseconds() {
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
inline Pair connect_loopback() {
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

inline void send_frames(int socket, std::uint64_t frames, std::size_t frame_bytes) {
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

inline void receive_frame(int socket, std::vector<char>& frame) {
    for (std::size_t filled = 0; filled < frame.size();) {
        const ssize_t got = ::recv(socket, frame.data() + filled, frame.size() - filled, 0);
        if (got <= 0) fail("recv");
        filled += static_cast<std::size_t>(got);
    }
}

inline void receive_append(int socket, int file, std::uint64_t frames, std::size_t frame_bytes) {
    std::vector<char> frame(frame_bytes);
    for (std::uint64_t n = 0; n < frames; ++n) {
        receive_frame(socket, frame);
        if (::write(file, frame.data(), frame.size()) != static_cast<ssize_t>(frame.size())) {
            fail("write");
        }
    }
}

inline void send_file(int socket, int file, std::uint64_t frames, std::size_t frame_bytes) {
    off_t position = 0;
    const auto end = static_cast<off_t>(frames * frame_bytes);
    while (position < end) {
        const auto rest = static_cast<std::size_t>(end - position);
        if (::sendfile(socket, file, &position, std::min(rest, frame_bytes)) <= 0) {
            fail("sendfile");
        }
    }
}

inline void receive_drop(int socket, std::uint64_t frames, std::size_t frame_bytes) {
    std::vector<char> frame(frame_bytes);
    for (std::uint64_t n = 0; n < frames; ++n) receive_frame(socket, frame);
}

/// CPU time of both sides.
struct Cost {
    std::int64_t microseconds = 0;
    std::int64_t other_microseconds = 0;
};

/// Runs both sides, each on a thread of its own.
template <class Measured, class Other>
Cost measure(Measured measured, Other other) {
    Cost cost;
    std::thread one([&] {
        measured();
        cost.microseconds = thread_cpu_microseconds();
    });
    std::thread two([&] {
        other();
        cost.other_microseconds = thread_cpu_microseconds();
    });
    one.join();
    two.join();
    return cost;
}

struct Floor {
    Cost in;   // receive and append; the other side sends
    Cost out;  // sendfile; the other side receives
};

/// `frames` frames of `frame_bytes`, there and back, through an unlinked file in `directory`.
inline Floor measure_floor(std::uint64_t frames, std::size_t frame_bytes,
                           const std::filesystem::path& directory) {
    std::string path = (directory / "klamm-floor-XXXXXX").string();
    const int file = ::mkstemp(path.data());
    if (file < 0) fail("mkstemp");
    ::unlink(path.c_str());
    const Pair sockets = connect_loopback();
    Floor floor;
    floor.in = measure([&] { receive_append(sockets.one, file, frames, frame_bytes); },
                       [&] { send_frames(sockets.other, frames, frame_bytes); });
    floor.out = measure([&] { send_file(sockets.one, file, frames, frame_bytes); },
                        [&] { receive_drop(sockets.other, frames, frame_bytes); });
    ::close(sockets.one);
    ::close(sockets.other);
    ::close(file);
    return floor;
}

}  // namespace klamm::bench
