#include "sim/picture/capture.h"

#include <algorithm>

#include "core/base/checksum.h"

namespace klamm::sim {

namespace {

constexpr std::uint32_t section_block = 0x0a0d0d0a;
constexpr std::uint32_t interface_block = 1;
constexpr std::uint32_t names_block = 4;
constexpr std::uint32_t packet_block = 6;
constexpr std::uint16_t ethernet = 1;
constexpr std::uint32_t snap_length = 262'144;
constexpr std::uint8_t nanoseconds_resolution = 9;

constexpr std::uint32_t address_base = 0x0a01'0000;  // 10.1.0.0
constexpr std::uint32_t harness = 0xfffe;
constexpr std::uint32_t everybody = 0xffff;
constexpr std::uint16_t port_first = 32'768;
constexpr std::uint16_t port_last = 60'999;
constexpr std::uint16_t syslog_port = 514;

constexpr std::uint8_t tcp = 6;
constexpr std::uint8_t udp = 17;
constexpr std::uint8_t fin_flag = 1;
constexpr std::uint8_t syn_flag = 2;
constexpr std::uint8_t reset_flag = 4;
constexpr std::uint8_t push_flag = 8;
constexpr std::uint8_t ack_flag = 16;
constexpr std::uint8_t window_scale = 7;
constexpr std::size_t segment_bytes_max = 16 * 1024;

void little16(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value));
    out.push_back(static_cast<std::uint8_t>(value >> 8));
}
void little32(Bytes& out, std::uint32_t value) {
    little16(out, static_cast<std::uint16_t>(value));
    little16(out, static_cast<std::uint16_t>(value >> 16));
}
void big16(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8));
    out.push_back(static_cast<std::uint8_t>(value));
}
void big32(Bytes& out, std::uint32_t value) {
    big16(out, static_cast<std::uint16_t>(value >> 16));
    big16(out, static_cast<std::uint16_t>(value));
}
void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void pad(Bytes& out) {
    while (out.size() % 4 != 0) out.push_back(0);
}

/// An option of a pcapng block.
void option(Bytes& out, std::uint16_t code, ByteView value) {
    little16(out, code);
    little16(out, static_cast<std::uint16_t>(value.size()));
    append(out, value);
    pad(out);
}

/// The ones' complement sum of RFC 1071, not yet complemented.
std::uint32_t internet_sum(ByteView bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    if (bytes.size() % 2 == 1) sum += static_cast<std::uint32_t>(bytes.back() << 8);
    return (sum & 0xffff) + (sum >> 16);
}

void set16(Bytes& bytes, std::size_t at, std::uint16_t value) {
    bytes[at] = static_cast<std::uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<std::uint8_t>(value);
}

/// Of a TCP segment or UDP datagram, with the pseudo header of its addresses.
std::uint16_t transport_checksum(std::uint32_t from, std::uint32_t to, std::uint8_t protocol,
                                 const Bytes& payload) {
    Bytes pseudo;
    big32(pseudo, address_base + from);
    big32(pseudo, address_base + to);
    big16(pseudo, protocol);
    big16(pseudo, static_cast<std::uint16_t>(payload.size()));
    return static_cast<std::uint16_t>(~internet_sum(payload, internet_sum(pseudo)));
}

}  // namespace

void Capture::block(std::uint32_t type, const Bytes& body) {
    Bytes all;
    all.reserve(body.size() + 12);
    const auto size = static_cast<std::uint32_t>(body.size() + 12);
    little32(all, type);
    little32(all, size);
    append(all, body);
    little32(all, size);
    out_.write(reinterpret_cast<const char*>(all.data()), static_cast<std::streamsize>(all.size()));
}

void Capture::begin(const World& world) {
    Bytes section;
    little32(section, 0x1a2b3c4d);
    little16(section, 1);  // version 1.0
    little16(section, 0);
    little32(section, 0xffffffff);  // the length of the section is not told
    little32(section, 0xffffffff);
    option(section, 4, as_bytes("klamm, a simulated run"));
    option(section, 0, {});
    block(section_block, section);

    Bytes interface;
    little16(interface, ethernet);
    little16(interface, 0);
    little32(interface, snap_length);
    option(interface, 2, as_bytes("simulated"));
    option(interface, 9, ByteView(&nanoseconds_resolution, 1));
    option(interface, 0, {});
    block(interface_block, interface);

    Bytes names;
    const auto name = [&](std::uint32_t node, std::string_view text) {
        Bytes value;
        big32(value, address_base + node);
        append(value, as_bytes(text));
        value.push_back(0);
        option(names, 1, value);
    };
    for (std::uint32_t node = 0; node < world.nodes(); ++node) name(node, world.name(NodeId(node)));
    name(harness, "harness");
    option(names, 0, {});
    block(names_block, names);
}

void Capture::packet(Instant at, std::uint32_t from, std::uint32_t to, std::uint8_t protocol,
                     const Bytes& payload) {
    Bytes frame;
    frame.reserve(payload.size() + 34);
    for (const std::uint32_t node : {to, from}) {  // locally administered addresses
        big16(frame, 0x0200);
        big32(frame, address_base + node);
    }
    big16(frame, 0x0800);
    const std::size_t header = frame.size();
    big16(frame, 0x4500);
    big16(frame, static_cast<std::uint16_t>(20 + payload.size()));
    big16(frame, ++packets_);
    big16(frame, 0x4000);  // don't fragment
    frame.push_back(64);
    frame.push_back(protocol);
    big16(frame, 0);
    big32(frame, address_base + from);
    big32(frame, address_base + to);
    set16(frame, header + 10,
          static_cast<std::uint16_t>(~internet_sum(ByteView(frame).subspan(header, 20))));
    append(frame, payload);

    const Timestamp start = WorldOptions().start_wall;
    const auto time = static_cast<std::uint64_t>(start.value * 1'000'000 + at.nanoseconds);
    Bytes body;
    body.reserve(frame.size() + 24);
    little32(body, 0);
    little32(body, static_cast<std::uint32_t>(time >> 32));
    little32(body, static_cast<std::uint32_t>(time));
    little32(body, static_cast<std::uint32_t>(frame.size()));
    little32(body, static_cast<std::uint32_t>(frame.size()));
    append(body, frame);
    pad(body);
    block(packet_block, body);
}

void Capture::note(Instant at, std::string_view text) {
    Bytes datagram;
    const std::string line = "<14>klamm: " + std::string(text);  // user-level, informational
    big16(datagram, syslog_port);
    big16(datagram, syslog_port);
    big16(datagram, static_cast<std::uint16_t>(8 + line.size()));
    big16(datagram, 0);
    append(datagram, as_bytes(line));
    set16(datagram, 6, transport_checksum(harness, everybody, udp, datagram));
    packet(at, harness, everybody, udp, datagram);
}

void Capture::segment(Instant at, const Connection& one, std::uint32_t way, std::uint32_t sequence,
                      std::uint8_t flags, ByteView bytes) {
    const std::uint32_t from = way == 0 ? one.made.from.value : one.made.to.value;
    const std::uint32_t to = way == 0 ? one.made.to.value : one.made.from.value;
    Bytes out;
    out.reserve(bytes.size() + 24);
    big16(out, way == 0 ? one.port : one.made.port);
    big16(out, way == 0 ? one.made.port : one.port);
    big32(out, sequence);
    big32(out, (flags & ack_flag) != 0 ? one.ways[1 - way].received : 0);
    const bool syn = (flags & syn_flag) != 0;
    out.push_back(syn ? 0x60 : 0x50);
    out.push_back(flags);
    big16(out, 0xffff);
    big16(out, 0);
    big16(out, 0);
    if (syn) {
        out.push_back(3);  // the option of RFC 7323, then one of no operation
        out.push_back(3);
        out.push_back(window_scale);
        out.push_back(1);
    }
    append(out, bytes);
    set16(out, 16, transport_checksum(from, to, tcp, out));
    packet(at, from, to, tcp, out);
}

void Capture::segments(Instant at, const Connection& one, std::uint32_t way, std::uint32_t sequence,
                       ByteView bytes) {
    while (!bytes.empty()) {
        const ByteView some = bytes.first(std::min(bytes.size(), segment_bytes_max));
        segment(at, one, way, sequence, push_flag | ack_flag, some);
        sequence += static_cast<std::uint32_t>(some.size());
        bytes = bytes.subspan(some.size());
    }
}

void Capture::on_connect(Instant at, const TappedConnection& made) {
    Connection& one = connections_[made.number];
    one.made = made;
    const auto last = ports_.emplace(made.from.value, port_first).first;
    one.port = last->second;
    last->second =
        last->second == port_last ? port_first : static_cast<std::uint16_t>(last->second + 1);
    for (std::uint32_t way = 0; way < 2; ++way) {
        one.ways[way].next = static_cast<std::uint32_t>(fold64(made.number, way));
        one.ways[way].received = one.ways[way].next + 1;
    }
    segment(at, one, 0, one.ways[0].next++, syn_flag, {});
}

void Capture::on_accept(Instant at, std::uint32_t made) {
    Connection& one = connections_.at(made);
    segment(at, one, 1, one.ways[1].next++, syn_flag | ack_flag, {});
}

void Capture::on_established(Instant at, std::uint32_t made) {
    const Connection& one = connections_.at(made);
    segment(at, one, 0, one.ways[0].next, ack_flag, {});
}

void Capture::on_packet_left(Instant at, std::uint32_t made, std::uint32_t way, ByteView bytes) {
    Connection& one = connections_.at(made);
    Way& mine = one.ways[way];
    segments(at, one, way, mine.next, bytes);
    mine.underway.push_back({mine.next, Bytes(bytes.begin(), bytes.end())});
    mine.next += static_cast<std::uint32_t>(bytes.size());
}

void Capture::on_packet_held(Instant, std::uint32_t made, std::uint32_t way) {
    for (Underway& one : connections_.at(made).ways[way].underway) {
        if (one.held) continue;
        one.held = true;
        return;
    }
}

void Capture::on_packet_arrived(Instant at, std::uint32_t made, std::uint32_t way,
                                std::uint64_t size) {
    Connection& one = connections_.at(made);
    Way& mine = one.ways[way];
    KLAMM_ASSERT(!mine.underway.empty());
    const Underway arrived = std::move(mine.underway.front());
    mine.underway.pop_front();
    KLAMM_ASSERT(arrived.bytes.size() == size);
    if (arrived.held) segments(at, one, way, arrived.sequence, arrived.bytes);
    mine.received = arrived.sequence + static_cast<std::uint32_t>(size);
    segment(at, one, 1 - way, one.ways[1 - way].next, ack_flag, {});
}

void Capture::on_fin_left(Instant at, std::uint32_t made, std::uint32_t way) {
    Connection& one = connections_.at(made);
    segment(at, one, way, one.ways[way].next++, fin_flag | ack_flag, {});
}

void Capture::on_reset_left(Instant at, std::uint32_t made, std::uint32_t way) {
    const Connection& one = connections_.at(made);
    segment(at, one, way, one.ways[way].next, reset_flag | ack_flag, {});
}

}  // namespace klamm::sim
