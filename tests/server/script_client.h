#pragma once
// A client made of script: a node that holds raw connections to brokers and does what the test
// says between events. It sends typed requests (or any bytes) in any version and keeps the frames
// that come back, in order. It looks at its orders once a millisecond; it never retries.
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/net/frame_reader.h"
#include "core/protocol/frame.h"
#include "core/record/builder.h"
#include "core/record/compression.h"
#include "core/record/record.h"
#include "sim/world/world.h"

namespace klamm::server::test {

/// One connection of the script client.
struct Line {
    env::Endpoint to;
    env::ConnectionId connection = env::ConnectionId::none;
    bool asked = false;
    bool open = false;
    bool closed = false;  // by the other side, or never made
    bool close_wanted = false;
    bool read_paused = false;
    std::deque<Bytes> out;
    std::vector<Buffer> frames;  // answers, without their lengths
    std::size_t expected = 0;    // answers that were asked for
    std::int32_t correlation = 0;
    std::optional<net::FrameReader> reader;
};

class ScriptNode final : public env::Node {
  public:
    explicit ScriptNode(std::shared_ptr<std::deque<Line>> lines) : lines_(std::move(lines)) {}

    void handle(env::Env& env, env::Event event) override {
        if (auto* connected = std::get_if<env::Connected>(&event)) {
            Line& line = of(connected->connection);
            line.open = true;
            line.reader.emplace(std::size_t{1} << 30);
            if (!line.read_paused) line.reader->begin(env.network(), line.connection);
        } else if (auto* received = std::get_if<env::Received>(&event)) {
            Line& line = of(received->connection);
            auto frame = line.reader->received(env.network(), line.connection, received->count);
            KLAMM_ASSERT(frame.ok());
            if (frame->has_value()) {
                line.frames.push_back(std::move(**frame));
                line.reader->begin(env.network(), line.connection);
            }
        } else if (auto* closed = std::get_if<env::Closed>(&event)) {
            Line& line = of(closed->connection);
            line.open = false;
            line.closed = true;
        }
        for (Line& line : *lines_) {
            if (!std::exchange(line.asked, true)) line.connection = env.network().connect(line.to);
            for (; line.open && !line.out.empty(); line.out.pop_front())
                env.network().send(line.connection, {Buffer::from(std::move(line.out.front()))}, 0);
            if (line.close_wanted && !std::exchange(line.closed, true)) {
                env.network().close(line.connection);
                line.open = false;
            }
        }
        env.wake_at(env.turn().now + milliseconds(1));
    }

  private:
    Line& of(env::ConnectionId connection) {
        for (Line& line : *lines_)
            if (line.connection == connection) return line;
        KLAMM_UNREACHABLE();
    }
    std::shared_ptr<std::deque<Line>> lines_;
};

/// An answer and the frame that its views lie in.
template <class Response>
struct Answered {
    Buffer frame;
    Response body;
    const Response* operator->() const { return &body; }
};

class ScriptClient {
  public:
    ScriptClient(sim::World& world, std::string name = "client") : world_(world) {
        node_ = world.add_node({.name = std::move(name),
                                .factory =
                                    [lines = lines_](env::ShardIndex, env::ShardIndex) {
                                        return std::make_unique<ScriptNode>(lines);
                                    },
                                .clock = {},
                                .disk = {},
                                .cpu = {}});
        world.start(node_);
    }

    [[nodiscard]] sim::NodeId node() const { return node_; }
    [[nodiscard]] Line& line(std::size_t index) { return lines_->at(index); }

    /// A new connection, by its number.
    std::size_t connect(const std::string& host, std::uint16_t port = 9092) {
        lines_->push_back({});
        lines_->back().to = {host, port};
        return lines_->size() - 1;
    }
    void close(std::size_t index) { line(index).close_wanted = true; }
    void send_bytes(std::size_t index, Bytes bytes) { line(index).out.push_back(std::move(bytes)); }
    /// Sends a request; gives the number of its answer on this connection.
    template <class Request>
    std::size_t send(std::size_t index, const Request& request, int version, bool answered = true) {
        Line& to = line(index);
        send_bytes(
            index,
            protocol::encode_request_frame(request, version, ++to.correlation, "test").bytes);
        if (answered) correlations_.push_back({index, to.correlation});
        return answered ? to.expected++ : 0;
    }
    [[nodiscard]] bool has(std::size_t index, std::size_t number) {
        return line(index).frames.size() > number;
    }
    /// Runs until the answer is here or the connection is closed; nothing in the latter case.
    template <class Request>
    std::optional<Answered<typename protocol::Api<Request>::Response>> take(
        std::size_t index, std::size_t number, int version, Duration limit = seconds(40)) {
        world_.run_until([&] { return has(index, number) || line(index).closed; }, limit);
        if (!has(index, number)) return std::nullopt;
        std::size_t seen = 0;
        std::int32_t correlation = 0;
        for (const auto& [at, sent] : correlations_)
            if (at == index && seen++ == number) correlation = sent;
        Answered<typename protocol::Api<Request>::Response> answer{line(index).frames[number], {}};
        auto body = protocol::decode_response_frame<typename protocol::Api<Request>::Response>(
            answer.frame, version, correlation);
        if (!body.ok()) return std::nullopt;
        answer.body = std::move(*body);
        return answer;
    }
    template <class Request>
    auto call(std::size_t index, const Request& request, int version,
              Duration limit = seconds(40)) {
        const std::size_t number = send(index, request, version);
        return take<Request>(index, number, version, limit);
    }

  private:
    sim::World& world_;
    sim::NodeId node_;
    std::shared_ptr<std::deque<Line>> lines_ = std::make_shared<std::deque<Line>>();
    std::vector<std::pair<std::size_t, std::int32_t>> correlations_;
};

/// A batch of records with these values, one millisecond apart from `first` on.
inline Bytes batch_of(const std::vector<std::string>& values, record::BatchOptions options = {},
                      Timestamp first = Timestamp(1'735'689'600'000)) {
    record::BatchBuilder builder(options);
    for (std::size_t i = 0; i < values.size(); ++i)
        builder.append(first + static_cast<std::int64_t>(i), std::nullopt, as_bytes(values[i]));
    return builder.build();
}

/// Base offsets and values of all records in a fetch answer; batches must be whole and sound.
inline std::vector<std::pair<Offset, std::string>> records_in(const protocol::Records& records) {
    std::vector<std::pair<Offset, std::string>> all;
    ByteView rest = records.bytes;
    ByteView bytes;
    while (record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        KLAMM_ASSERT(batch.crc_holds());
        const auto plain = record::plain_records(batch, 64 << 20);
        KLAMM_ASSERT(plain.ok());
        record::RecordIterator iterator(plain->records);
        for (record::Record record; iterator.next(record);)
            all.emplace_back(record::record_offset(batch, record),
                             std::string(as_text(record.value.value_or(ByteView()))));
    }
    KLAMM_ASSERT(rest.empty());
    return all;
}

}  // namespace klamm::server::test
