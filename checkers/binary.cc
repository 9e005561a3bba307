// Numbers are base-128 varints, signed ones in zigzag; times, offsets and values of a list are told
// as differences. Blocks carry their checksum, so damage is found before it is believed.
#include "checkers/binary.h"

#include <fmt/format.h>

#include <array>

#include "core/base/checksum.h"

namespace klamm::checkers {

namespace {

constexpr std::size_t block_bytes = 64 * 1024;  // a block ends with the first event past this
constexpr std::size_t block_header = 12;        // bytes, events, crc32c; little-endian
constexpr unsigned kinds_count = 17;
constexpr unsigned kinds_low = 16;  // kinds with an outcome are among these

void put(std::string& out, std::uint64_t value) {
    for (; value >= 128; value >>= 7) out += static_cast<char>(value | 128);
    out += static_cast<char>(value);
}
std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
void put_signed(std::string& out, std::int64_t value) { put(out, zigzag(value)); }
/// Differences wrap around, so that any two numbers have one.
std::int64_t difference(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
std::int64_t sum(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
void put_word(std::string& out, std::uint32_t value) {
    for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
}
std::uint32_t word_at(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        value |= static_cast<std::uint32_t>(static_cast<std::uint8_t>(bytes[at + i])) << (8 * i);
    }
    return value;
}

std::uint32_t checksum(std::string_view block) {
    return crc32c({reinterpret_cast<const std::uint8_t*>(block.data()), block.size()});
}

/// The numbers after time, client and operation, by kind.
void put_fields(std::string& out, const Event& event) {
    switch (event.kind) {
        case Kind::send_invoked:
            put_signed(out, event.partition);
            put(out, event.value);
            put_signed(out, event.acks);
            return;
        case Kind::send_returned: put_signed(out, event.offset); return;
        case Kind::poll_invoked:
        case Kind::reset_told:
            put_signed(out, event.partition);
            put_signed(out, event.offset);
            return;
        case Kind::poll_returned: {
            put_signed(out, event.log_start);
            put_signed(out, event.high_watermark);
            put(out, event.records.size());
            Record last;
            for (const Record& record : event.records) {
                put_signed(out, difference(record.offset, last.offset));
                put_signed(out, static_cast<std::int64_t>(record.value - last.value));
                last = record;
            }
            return;
        }
        case Kind::latest_invoked: put_signed(out, event.partition); return;
        case Kind::latest_returned:
            put_signed(out, event.epoch);
            put_signed(out, event.offset);
            return;
        case Kind::final_reads:
        case Kind::commit_returned: return;
        case Kind::committed_returned: put_signed(out, event.offset); return;
        case Kind::owner_told:
        case Kind::leader_told:
            put_signed(out, event.partition);
            put(out, event.value);
            put_signed(out, event.epoch);
            return;
        case Kind::commit_invoked:
            put_signed(out, event.partition);
            put(out, event.value);
            put_signed(out, event.epoch);
            put_signed(out, event.offset);
            return;
        case Kind::committed_invoked:
            put_signed(out, event.partition);
            put(out, event.value);
            return;
        case Kind::sends_promised:
            put_signed(out, event.offset);
            put_signed(out, event.acks);
            return;
        case Kind::resource_told:
            put(out, event.value);
            put_signed(out, event.offset);
            return;
        case Kind::key_told:
            put_signed(out, event.partition);
            put(out, event.value);
            put_signed(out, event.offset);
            put_signed(out, event.acks);
            return;
    }
}

/// Numbers of one block; past the end they are zero and `good` is false.
class Numbers {
  public:
    explicit Numbers(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

    [[nodiscard]] bool good() const { return good_; }
    [[nodiscard]] bool at_end() const { return at_ == end_; }
    [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
    std::uint64_t next() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 70; shift += 7) {
            if (at_ == end_) break;
            const auto byte = static_cast<std::uint8_t>(*at_++);
            value |= static_cast<std::uint64_t>(byte & 127) << (shift & 63);
            if (byte < 128) return shift < 63 || byte <= 1 ? value : fail();
        }
        return fail();
    }
    std::int64_t next_signed() {
        const std::uint64_t value = next();
        return static_cast<std::int64_t>((value >> 1) ^ (0 - (value & 1)));
    }
    template <class T>
    T next_narrow() {
        const std::int64_t value = next_signed();
        if (static_cast<T>(value) != value) fail();
        return static_cast<T>(value);
    }

  private:
    std::uint64_t fail() {
        good_ = false;
        return 0;
    }
    const char* at_;
    const char* end_;
    bool good_ = true;
};

bool read_fields(Numbers& numbers, Event& event) {
    switch (event.kind) {
        case Kind::send_invoked:
            event.partition = numbers.next_narrow<std::int32_t>();
            event.value = numbers.next();
            event.acks = numbers.next_narrow<std::int16_t>();
            break;
        case Kind::send_returned: event.offset = numbers.next_signed(); break;
        case Kind::poll_invoked:
        case Kind::reset_told:
            event.partition = numbers.next_narrow<std::int32_t>();
            event.offset = numbers.next_signed();
            break;
        case Kind::poll_returned: {
            event.log_start = numbers.next_signed();
            event.high_watermark = numbers.next_signed();
            const std::uint64_t count = numbers.next();
            if (count > numbers.left()) return false;  // each takes at least two bytes
            Record last;
            for (std::uint64_t i = 0; i < count; ++i) {
                last.offset = sum(last.offset, numbers.next_signed());
                last.value += static_cast<std::uint64_t>(numbers.next_signed());
                event.records.push_back(last);
            }
            break;
        }
        case Kind::latest_invoked: event.partition = numbers.next_narrow<std::int32_t>(); break;
        case Kind::latest_returned:
            event.epoch = numbers.next_narrow<std::int32_t>();
            event.offset = numbers.next_signed();
            break;
        case Kind::final_reads:
        case Kind::commit_returned: break;
        case Kind::committed_returned: event.offset = numbers.next_signed(); break;
        case Kind::owner_told:
        case Kind::leader_told:
            event.partition = numbers.next_narrow<std::int32_t>();
            event.value = numbers.next();
            event.epoch = numbers.next_narrow<std::int32_t>();
            break;
        case Kind::commit_invoked:
            event.partition = numbers.next_narrow<std::int32_t>();
            event.value = numbers.next();
            event.epoch = numbers.next_narrow<std::int32_t>();
            event.offset = numbers.next_signed();
            break;
        case Kind::committed_invoked:
            event.partition = numbers.next_narrow<std::int32_t>();
            event.value = numbers.next();
            break;
        case Kind::sends_promised:
            event.offset = numbers.next_signed();
            event.acks = numbers.next_narrow<std::int16_t>();
            break;
        case Kind::resource_told:
            event.value = numbers.next();
            event.offset = numbers.next_signed();
            break;
        case Kind::key_told:
            event.partition = numbers.next_narrow<std::int32_t>();
            event.value = numbers.next();
            event.offset = numbers.next_signed();
            event.acks = numbers.next_narrow<std::int16_t>();
            break;
    }
    return numbers.good();
}

void reset(Event& event) {
    std::vector<Record> records = std::move(event.records);
    records.clear();
    event = Event{};
    event.records = std::move(records);
}

}  // namespace

BinaryWriter::BinaryWriter(std::string& out) : out_(out) { out_ += binary_magic; }

void BinaryWriter::close() {
    put_word(out_, static_cast<std::uint32_t>(block_.size()));
    put_word(out_, events_);
    put_word(out_, checksum(block_));
    out_ += block_;
    block_.clear();
    events_ = 0;
}

void BinaryWriter::write(const Event& event) {
    // Three in place of an outcome: a kind beyond those that four bits tell.
    const auto kind = static_cast<unsigned>(event.kind);
    const unsigned high = kind >= kinds_low ? 3 : static_cast<unsigned>(event.outcome);
    block_ += static_cast<char>((kind & 15) | (high << 4));
    put_signed(block_, difference(event.time, time_));
    time_ = event.time;
    put_signed(block_, event.client);
    put(block_, event.operation);
    put_fields(block_, event);
    ++events_;
    if (block_.size() >= block_bytes) close();
}

void BinaryWriter::finish() {
    if (events_ > 0) close();
    close();  // an empty block ends the file
}

std::string write_binary(const History& history) {
    std::string out;
    BinaryWriter writer(out);
    for (const Event& event : history) writer.write(event);
    writer.finish();
    return out;
}

Status read_binary(std::string_view bytes, const std::function<void(const Event&)>& take) {
    const auto error = [](std::size_t at, std::string_view what) {
        return Error{Failure::invalid, fmt::format("byte {}: {}", at, what)};
    };
    if (!bytes.starts_with(binary_magic)) {
        return error(0, fmt::format("expected \"{}\"", binary_magic));
    }
    std::size_t at = binary_magic.size();
    std::int64_t time = 0;
    bool first = true;
    Event event;
    for (;;) {
        if (bytes.size() - at < block_header) return error(at, "the history ends too early");
        const std::size_t size = word_at(bytes, at);
        const std::uint32_t events = word_at(bytes, at + 4);
        const std::uint32_t crc = word_at(bytes, at + 8);
        if (bytes.size() - at - block_header < size) return error(at, "a block ends too early");
        const std::string_view block = bytes.substr(at + block_header, size);
        if (checksum(block) != crc) {
            return error(at, "the checksum of a block does not hold");
        }
        Numbers numbers(block);
        for (std::uint32_t i = 0; i < events; ++i) {
            if (numbers.at_end()) return error(at, "a block has fewer events than it says");
            reset(event);
            const auto head = static_cast<unsigned>(numbers.next());
            const unsigned kind = (head & 15) + (head >> 4 == 3 ? kinds_low : 0);
            if (kind >= kinds_count || head >> 4 > 3) return error(at, "an unknown event");
            event.kind = static_cast<Kind>(kind);
            event.outcome = head >> 4 == 3 ? Outcome::ok : static_cast<Outcome>(head >> 4);
            const std::int64_t before = time;
            time = sum(time, numbers.next_signed());
            event.time = time;
            event.client = numbers.next_narrow<std::int32_t>();
            event.operation = numbers.next();
            if (!read_fields(numbers, event)) return error(at, "an event that is no event");
            if (!first && time < before) return error(at, "time goes back");
            first = false;
            take(event);
        }
        if (!numbers.at_end()) return error(at, "a block has more than its events");
        at += block_header + size;
        if (events == 0) break;
    }
    if (at != bytes.size()) return error(at, "something follows the end");
    return {};
}

Result<History> read_binary_history(std::string_view bytes) {
    History history;
    KLAMM_TRY(read_binary(bytes, [&](const Event& event) { history.push_back(event); }));
    return history;
}

}  // namespace klamm::checkers
