#pragma once
// Distinct types for distinct ids. Conversions are explicit only: an Offset is not a LeaderEpoch,
// nor a count.

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace klamm {

/// A number that only mixes with its own kind. `+`/`-` take and give plain distances of the
/// representation.
template <class Tag, class Rep_>
struct Id {
    using Rep = Rep_;
    Rep value{};

    constexpr Id() = default;
    explicit constexpr Id(Rep v) : value(v) {}

    friend constexpr auto operator<=>(Id, Id) = default;
    friend constexpr Id operator+(Id a, Rep distance) {
        return Id(static_cast<Rep>(a.value + distance));
    }
    friend constexpr Id operator-(Id a, Rep distance) {
        return Id(static_cast<Rep>(a.value - distance));
    }
    friend constexpr Rep operator-(Id a, Id b) { return static_cast<Rep>(a.value - b.value); }
    constexpr Id& operator++() {
        ++value;
        return *this;
    }
};

using Offset = Id<struct OffsetTag, std::int64_t>;  // position of a record in a partition
using LeaderEpoch =
    Id<struct LeaderEpochTag, std::int32_t>;  // raised by each election of a partition
using PartitionEpoch =
    Id<struct PartitionEpochTag, std::int32_t>;  // raised by each change of a partition's metadata
using BrokerId = Id<struct BrokerIdTag, std::int32_t>;        // node.id
using BrokerEpoch = Id<struct BrokerEpochTag, std::int64_t>;  // metadata offset of the registration
using PartitionIndex = Id<struct PartitionIndexTag, std::int32_t>;
using ProducerId = Id<struct ProducerIdTag, std::int64_t>;
using ProducerEpoch = Id<struct ProducerEpochTag, std::int16_t>;
using Timestamp =
    Id<struct TimestampTag, std::int64_t>;  // milliseconds since 1970-01-01 UTC, as on the wire

constexpr Offset no_offset{-1};
constexpr LeaderEpoch no_leader_epoch{-1};
constexpr BrokerId no_broker{-1};
constexpr BrokerEpoch no_broker_epoch{-1};
constexpr ProducerId no_producer_id{-1};
constexpr ProducerEpoch no_producer_epoch{-1};
constexpr Timestamp no_timestamp{-1};

/// A 128-bit id as Kafka carries it: sixteen bytes, most significant first.
struct Uuid {
    std::array<std::uint8_t, 16> bytes{};

    friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
    [[nodiscard]] constexpr bool is_zero() const { return *this == Uuid{}; }
};

/// URL-safe base64 without padding, 22 characters, as Kafka prints ids.
std::string to_string(const Uuid& uuid);

/// The reverse of to_string; the zero id when `text` is not 22 characters of that alphabet.
Uuid uuid_from_string(std::string_view text);

/// Id made of two 64-bit halves, most significant first.
Uuid uuid_from_halves(std::uint64_t high, std::uint64_t low);

/// One partition, by the id that outlives its name.
struct TopicPartition {
    Uuid topic;
    PartitionIndex partition;

    friend constexpr auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

}  // namespace klamm

template <class Tag, class Rep>
struct std::hash<klamm::Id<Tag, Rep>> {
    std::size_t operator()(klamm::Id<Tag, Rep> id) const noexcept {
        return std::hash<Rep>{}(id.value);
    }
};
