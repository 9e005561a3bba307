// What a broker costs beside the bare floor (floor.h), measured in one run: CPU time of a process
// that holds one broker and the metadata node on the real runtime, while one client on one loopback
// connection produces to it (acks=1, five requests in flight) and fetches everything back.
//
// Batches are whole and valid: uncompressed records of 1 KiB with a right CRC, which the broker
// checks; the floor checks nothing. The broker is read by its process clock around each phase, so
// its heartbeats and syncs count too. All phases and the floor take turns for some rounds, and of
// each the cheapest counts: what else the machine does only adds. Prints CPU seconds a GB (10^9
// bytes) and CPU microseconds a request, for the broker and for the floor with the same bytes in
// frames of the same size.
//
//     bench_broker [mebibytes] [directory]    128 a round and the system's temporary directory by
//     default

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include "core/protocol/frame.h"
#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/metadata.h"
#include "core/protocol/messages/produce.h"
#include "core/record/batch.h"
#include "core/record/builder.h"
#include "core/runtime/runtime.h"
#include "core/server/broker.h"
#include "core/server/metadata_node.h"
#include "tests/bench/floor.h"

namespace klamm::bench {

namespace {

constexpr std::string_view cluster_id = "bench-bench-bench-bench";
constexpr std::size_t in_flight_max = 5;
constexpr std::size_t record_value_bytes = 1000;
constexpr int produce_version = 13;
constexpr int fetch_version = 17;
constexpr int metadata_version = 12;
constexpr int spread_partitions = 64;
constexpr int rounds = 5;

/// Three topics, so that each phase reads what its own produce phase has left.
enum class Topic : std::uint64_t { large = 1, spread = 2, small = 3 };

Uuid id_of(Topic topic) { return uuid_from_halves(0xbe9c4, static_cast<std::uint64_t>(topic)); }

std::uint16_t free_port() {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(listener, address, size) != 0) fail("bind");
    if (::getsockname(listener, address, &size) != 0) fail("getsockname");
    ::close(listener);
    return ntohs(at.sin_port);
}

// --- The broker's process

runtime::Runtime* running = nullptr;

[[noreturn]] void serve(std::uint16_t port, std::uint16_t controller_port,
                        const std::filesystem::path& directory) {
    runtime::Runtime runtime;
    running = &runtime;
    struct sigaction action {};
    action.sa_handler = [](int) { running->ask_stop(); };
    ::sigaction(SIGTERM, &action, nullptr);

    server::MetadataSettings metadata;
    metadata.listen = {"127.0.0.1", controller_port};
    metadata.cluster = cluster_id;
    const std::map<Topic, std::pair<std::string, int>> topics = {
        {Topic::large, {"large", 1}},
        {Topic::spread, {"spread", spread_partitions}},
        {Topic::small, {"small", 1}}};
    for (const auto& [topic, plan] : topics) {
        const metadata::BrokerIds alone = {BrokerId(1)};
        metadata.topics.push_back(
            {.name = plan.first,
             .id = id_of(topic),
             .assignments = std::vector(static_cast<std::size_t>(plan.second), alone),
             .configs = {}});
    }
    server::BrokerSettings broker;
    broker.options.node_id = 1;
    broker.listen = {"127.0.0.1", port};
    broker.advertised = broker.listen;
    broker.controller = metadata.listen;
    broker.cluster = cluster_id;
    runtime.add_node({.name = "metadata",
                      .factory = server::metadata_factory(metadata),
                      .shards = 1,
                      .root = directory / "metadata",
                      .facts = nullptr,
                      .log = {},
                      .seed = std::nullopt});
    runtime.add_node({.name = "broker",
                      .factory = server::broker_factory(broker),
                      .shards = 1,
                      .root = directory / "broker",
                      .facts = nullptr,
                      .log = {},
                      .seed = std::nullopt});
    if (const Status started = runtime.start(); !started.ok()) {
        fmt::print(stderr, "the broker does not start: {}\n", started.error().text);
        ::_exit(2);
    }
    ::_exit(runtime.run());
}

// --- The client

[[noreturn]] void wrong(std::string_view what) {
    fmt::print(stderr, "bench_broker: {}\n", what);
    ::exit(2);
}

void send_all(int socket, ByteView bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) fail("send");
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

/// The next frame without its length, in `frame`'s storage.
ByteView receive_message(int socket, Bytes& frame) {
    const auto fill = [socket](std::uint8_t* into, std::size_t size) {
        while (size > 0) {
            const ssize_t n = ::recv(socket, into, size, 0);
            if (n <= 0) fail("recv");
            into += n;
            size -= static_cast<std::size_t>(n);
        }
    };
    std::array<std::uint8_t, protocol::frame_length_bytes> length{};
    fill(length.data(), length.size());
    const auto size = static_cast<std::size_t>(load_big_endian<std::int32_t>(length.data()));
    if (frame.size() < size) frame.resize(size);
    fill(frame.data(), size);
    return ByteView(frame).first(size);
}

template <class Response>
Response decoded(ByteView frame, int version) {
    auto response = protocol::decode_response_frame<Response>(frame, version, 1);
    if (!response.ok()) wrong(response.error().text);
    return std::move(*response);
}

std::optional<int> try_connect(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
        ::close(socket);
        return std::nullopt;
    }
    const int yes = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return socket;
}

/// Where a reader of all partitions stands.
using Position = std::vector<Offset>;

protocol::FetchResponse fetch_once(int socket, Topic topic, const Position& next,
                                   std::int32_t bytes_max, std::int32_t wait_ms, Bytes& answer) {
    const auto partitions = static_cast<int>(next.size());
    protocol::FetchRequest request;
    request.max_wait_ms = wait_ms;
    request.min_bytes = 1;
    request.max_bytes = bytes_max;
    request.session_epoch = -1;
    request.topics.push_back({.topic = {}, .topic_id = id_of(topic), .partitions = {}});
    for (int partition = 0; partition < partitions; ++partition) {
        protocol::FetchRequestPartition wanted;
        wanted.partition = PartitionIndex(partition);
        wanted.fetch_offset = next[static_cast<std::size_t>(partition)];
        wanted.partition_max_bytes = bytes_max / partitions;
        request.topics[0].partitions.push_back(wanted);
    }
    send_all(socket, protocol::encode_request_frame(request, fetch_version, 1, "bench").bytes);
    return decoded<protocol::FetchResponse>(receive_message(socket, answer), fetch_version);
}

/// Whether all partitions are served: a broker tells of its leadership before its logs are open.
bool serves_all(int socket) {
    Bytes answer;
    for (const auto& [topic, partitions] :
         {std::pair{Topic::large, 1}, {Topic::spread, spread_partitions}, {Topic::small, 1}}) {
        const Position begin(static_cast<std::size_t>(partitions));
        const auto response = fetch_once(socket, topic, begin, 1 << 20, 0, answer);
        for (const auto& row : response.responses.at(0).partitions)
            if (row.error_code != protocol::ErrorCode::none) return false;
    }
    return true;
}

/// A connection to the broker, once it leads every partition.
int await_broker(std::uint16_t port) {
    Bytes frame;
    for (int attempt = 0; attempt < 300; ++attempt) {
        ::usleep(100'000);
        const auto socket = try_connect(port);
        if (!socket) continue;
        protocol::MetadataRequest all;
        all.topics = std::nullopt;
        send_all(*socket,
                 protocol::encode_request_frame(all, metadata_version, 1, std::nullopt).bytes);
        const auto response =
            decoded<protocol::MetadataResponse>(receive_message(*socket, frame), metadata_version);
        std::size_t led = 0;
        for (const auto& topic : response.topics)
            for (const auto& partition : topic.partitions)
                if (partition.leader_id == BrokerId(1)) ++led;
        if (led == spread_partitions + 2 && serves_all(*socket)) return *socket;
        ::close(*socket);
    }
    wrong("no broker leads within half a minute");
}

/// A batch of records of 1 KiB that fills `bytes` as far as they go.
Bytes make_batch(std::size_t bytes) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    const Timestamp at(now.tv_sec * 1000);
    const Bytes value(record_value_bytes, 'k');
    record::BatchBuilder builder;
    while (builder.empty() ||
           builder.size_bytes() + record::BatchBuilder::record_bytes_max({}, value) <= bytes)
        builder.append(at, std::nullopt, value);
    return builder.build();
}

struct Amount {
    std::uint64_t bytes = 0;  // of batches
    std::uint64_t requests = 0;
};

/// Sends the same request until `bytes` of batches are in.
Amount produce(int socket, Topic topic, int partitions, std::size_t batch_bytes,
               std::uint64_t bytes) {
    const Bytes batch = make_batch(batch_bytes);
    protocol::ProduceRequest request;
    request.acks = 1;
    request.timeout_ms = 30'000;
    request.topic_data.push_back({.name = {}, .topic_id = id_of(topic), .partition_data = {}});
    for (int partition = 0; partition < partitions; ++partition)
        request.topic_data[0].partition_data.push_back(
            {.index = PartitionIndex(partition), .records = protocol::Records::of(batch)});
    const Bytes frame = protocol::encode_request_frame(request, produce_version, 1, "bench").bytes;
    const std::uint64_t request_bytes = batch.size() * static_cast<std::uint64_t>(partitions);
    const std::uint64_t requests = bytes / request_bytes + 1;
    Bytes answer;
    for (std::uint64_t sent = 0, answered = 0; answered < requests;) {
        if (sent < requests && sent - answered < in_flight_max) {
            send_all(socket, frame);
            ++sent;
            continue;
        }
        const auto response =
            decoded<protocol::ProduceResponse>(receive_message(socket, answer), produce_version);
        ++answered;
        for (const auto& row : response.responses.at(0).partition_responses)
            if (row.error_code != protocol::ErrorCode::none) wrong("a produce was refused");
    }
    return {requests * request_bytes, requests};
}

/// Fetches all partitions from `next` on until `bytes` of batches came.
Amount fetch(int socket, Topic topic, Position& next, std::int32_t bytes_max, std::uint64_t bytes) {
    Amount amount;
    Bytes answer;
    for (; amount.bytes < bytes; ++amount.requests) {
        const auto response = fetch_once(socket, topic, next, bytes_max, 500, answer);
        for (const auto& row : response.responses.at(0).partitions) {
            if (row.error_code != protocol::ErrorCode::none) wrong("a fetch was refused");
            ByteView rest = row.records.bytes;
            ByteView batch;
            auto& offset = next.at(static_cast<std::size_t>(row.partition_index.value));
            while (record::next_batch(rest, batch) == record::Peek::ok) {
                if (record::BatchView(batch).base_offset() != offset)
                    wrong("a fetch gave another batch than the next");
                offset = record::BatchView(batch).next_offset();
                amount.bytes += batch.size();
            }
        }
    }
    return amount;
}

// --- The table

std::int64_t cpu_microseconds(pid_t process) {
    clockid_t clock{};
    timespec used{};
    if (::clock_getcpuclockid(process, &clock) != 0) fail("clock_getcpuclockid");
    if (::clock_gettime(clock, &used) != 0) fail("clock_gettime");
    return std::int64_t{used.tv_sec} * 1'000'000 + used.tv_nsec / 1000;
}

/// Touches and gives back as much memory as a phase will fill of the page cache: in a virtual
/// machine the first use of a page may cost several times its copying, to whoever comes first.
void warm_pages(std::uint64_t bytes) {
    constexpr std::size_t page_bytes = 4096;
    void* room = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) fail("mmap");
    for (std::uint64_t at = 0; at < bytes; at += page_bytes)
        static_cast<volatile char*>(room)[at] = 1;
    ::munmap(room, bytes);
}

/// The cheapest of the rounds.
struct Row {
    double microseconds = std::numeric_limits<double>::max();   // in all
    double bare_per_byte = std::numeric_limits<double>::max();  // microseconds
    Amount amount;
};

class Table {
  public:
    explicit Table(std::uint64_t warm_bytes) : warm_bytes_(warm_bytes) {}

    /// Runs one phase and counts what the broker has used beside the floor's cost a byte.
    template <class Phase>
    Amount measure(std::string_view name, pid_t broker, double bare_per_byte, Phase phase) {
        warm_pages(warm_bytes_);
        const std::int64_t before = cpu_microseconds(broker);
        const Amount amount = phase();
        const auto used = static_cast<double>(cpu_microseconds(broker) - before);
        const auto at = std::find_if(rows_.begin(), rows_.end(),
                                     [&](const auto& row) { return row.first == name; });
        Row& row = at == rows_.end() ? rows_.emplace_back(name, Row{}).second : at->second;
        row.microseconds = std::min(row.microseconds, used);
        row.bare_per_byte = std::min(row.bare_per_byte, bare_per_byte);
        row.amount = amount;
        return amount;
    }

    void print() const {
        fmt::print("{:<34} {:>9} {:>9} {:>9} {:>7} {:>11} {:>9}\n", "", "requests", "s/GB",
                   "bare s/GB", "ratio", "us/request", "bare us");
        for (const auto& [name, row] : rows_) {
            const auto bytes = static_cast<double>(row.amount.bytes);
            const auto requests = static_cast<double>(row.amount.requests);
            const double bare = row.bare_per_byte * bytes;
            fmt::print("{:<34} {:>9} {:>9.3f} {:>9.3f} {:>7.2f} {:>11.1f} {:>9.1f}\n", name,
                       row.amount.requests, row.microseconds * 1e3 / bytes, bare * 1e3 / bytes,
                       row.microseconds / bare, row.microseconds / requests, bare / requests);
        }
    }

  private:
    std::uint64_t warm_bytes_;
    std::vector<std::pair<std::string_view, Row>> rows_;  // in the order of the phases
};

void run(std::uint64_t mebibytes, const std::filesystem::path& parent) {
    std::string room = (parent / "klamm-bench-XXXXXX").string();
    if (::mkdtemp(room.data()) == nullptr) fail("mkdtemp");
    const std::uint16_t port = free_port();
    const std::uint16_t controller_port = free_port();
    const pid_t broker = ::fork();
    if (broker < 0) fail("fork");
    if (broker == 0) {
        // Without this process it would serve nobody, and hold its output open for ever.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(port, controller_port, room);
    }

    constexpr std::size_t large_batch = 1'000'000;
    constexpr std::size_t small_batch = 16 << 10;
    constexpr std::int32_t mebibyte = 1 << 20;
    const std::uint64_t bytes = mebibytes << 20;
    const std::uint64_t small_bytes = bytes / 4;
    const auto per_byte = [](const Cost& cost, std::uint64_t total) {
        return static_cast<double>(cost.microseconds) / static_cast<double>(total);
    };
    const int socket = await_broker(port);
    Table table(bytes + bytes / 4);
    Position large_by_one(1);
    Position large_by_eight(1);
    Position spread(spread_partitions);
    Position small_by_many(1);
    Position small_by_one(1);
    for (int round = 0; round < rounds; ++round) {
        warm_pages(bytes + bytes / 4);
        const Floor large_floor = measure_floor(mebibytes, mebibyte, parent);
        const Floor small_floor = measure_floor(small_bytes / small_batch, small_batch, parent);
        const double large_in = per_byte(large_floor.in, bytes);
        const double large_out = per_byte(large_floor.out, bytes);
        const double small_in = per_byte(small_floor.in, small_bytes);
        const double small_out = per_byte(small_floor.out, small_bytes);
        const Amount large = table.measure("in: 1 MB requests, one batch", broker, large_in, [&] {
            return produce(socket, Topic::large, 1, large_batch, bytes);
        });
        const Amount wide = table.measure("in: 1 MiB requests, 64 batches", broker, large_in, [&] {
            return produce(socket, Topic::spread, spread_partitions, small_batch, bytes);
        });
        const Amount small = table.measure("in: 16 KiB requests, one batch", broker, small_in, [&] {
            return produce(socket, Topic::small, 1, small_batch, small_bytes);
        });
        table.measure("out: 1 MiB fetches of 1 MB batches", broker, large_out, [&] {
            return fetch(socket, Topic::large, large_by_one, mebibyte, large.bytes);
        });
        table.measure("out: 8 MiB fetches of 1 MB batches", broker, large_out, [&] {
            return fetch(socket, Topic::large, large_by_eight, 8 * mebibyte, large.bytes);
        });
        table.measure("out: 8 MiB fetches, 64 partitions", broker, large_out, [&] {
            return fetch(socket, Topic::spread, spread, 8 * mebibyte, wide.bytes);
        });
        table.measure("out: 1 MiB fetches of small batches", broker, large_out, [&] {
            return fetch(socket, Topic::small, small_by_many, mebibyte, small.bytes);
        });
        table.measure("out: 16 KiB fetches, one batch", broker, small_out, [&] {
            return fetch(socket, Topic::small, small_by_one, small_batch, small.bytes);
        });
    }
    table.print();

    ::close(socket);
    ::kill(broker, SIGTERM);
    int status = 0;
    ::waitpid(broker, &status, 0);
    std::filesystem::remove_all(room);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) wrong("the broker did not stop cleanly");
}

}  // namespace

}  // namespace klamm::bench

int main(int argc, char** argv) {
    std::uint64_t mebibytes = 128;
    if (argc > 1) {
        const std::string_view text = argv[1];
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), mebibytes);
        if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size() || mebibytes < 16) {
            fmt::print(stderr, "usage: bench_broker [mebibytes, from 16 on] [directory]\n");
            return 64;
        }
    }
    klamm::bench::run(mebibytes, argc > 2 ? std::filesystem::path(argv[2])
                                          : std::filesystem::temp_directory_path());
    return 0;
}
