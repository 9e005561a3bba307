// The bytes of ConsumerProtocol and the three assignors.
#include "core/client/assignors.h"

#include <algorithm>
#include <tuple>

#include "core/protocol/reader.h"
#include "core/protocol/writer.h"

namespace klamm::client {

namespace {

using Parts = std::set<TopicAndIndex>;
using Shares = std::map<std::string, Parts>;

constexpr std::int16_t subscription_version = 3;

void write_partitions(protocol::Writer& out, const Parts& partitions) {
    std::map<std::string, std::vector<std::int32_t>> topics;
    for (const auto& [topic, index] : partitions) topics[topic].push_back(index);
    out.array_size(topics.size(), false);
    for (const auto& [topic, indexes] : topics) {
        out.string(topic, false);
        out.array_size(indexes.size(), false);
        for (const std::int32_t index : indexes) out.integer(index);
    }
}

Parts read_partitions(protocol::Reader& in) {
    Parts partitions;
    for (std::size_t topics = in.array_size(false, 6); topics > 0 && in.ok(); --topics) {
        const std::string topic(in.string(false));
        for (std::size_t left = in.array_size(false, 4); left > 0 && in.ok(); --left)
            partitions.emplace(topic, in.integer<std::int32_t>());
    }
    return partitions;
}

/// As Kafka's AbstractPartitionAssignor.MemberInfo: static members first, by their names.
std::vector<const GroupMember*> in_order(const std::vector<GroupMember>& members) {
    std::vector<const GroupMember*> sorted;
    for (const GroupMember& member : members) sorted.push_back(&member);
    std::sort(sorted.begin(), sorted.end(), [](const GroupMember* a, const GroupMember* b) {
        const auto key = [](const GroupMember& one) {
            return std::tuple(!one.instance.has_value(), one.instance.value_or(one.id));
        };
        return key(*a) < key(*b);
    });
    return sorted;
}

bool wants(const GroupMember& member, const std::string& topic) {
    return member.subscription.topics.contains(topic);
}

Shares share_range(const std::vector<GroupMember>& members,
                   const std::map<std::string, std::int32_t>& partitions) {
    Shares shares;
    const auto sorted = in_order(members);
    for (const auto& [topic, count] : partitions) {
        std::vector<const GroupMember*> takers;
        for (const GroupMember* member : sorted)
            if (wants(*member, topic)) takers.push_back(member);
        const auto size = static_cast<std::int32_t>(takers.size());
        std::int32_t next = 0;
        for (std::int32_t i = 0; i < size; ++i)
            for (std::int32_t left = count / size + (i < count % size ? 1 : 0); left > 0; --left)
                shares[takers[static_cast<std::size_t>(i)]->id].emplace(topic, next++);
    }
    return shares;
}

Shares share_round_robin(const std::vector<GroupMember>& members,
                         const std::map<std::string, std::int32_t>& partitions) {
    Shares shares;
    const auto sorted = in_order(members);
    std::size_t at = 0;
    for (const auto& [topic, count] : partitions) {
        const bool wanted = std::any_of(sorted.begin(), sorted.end(),
                                        [&](const auto* member) { return wants(*member, topic); });
        for (std::int32_t index = 0; wanted && index < count; ++index) {
            while (!wants(*sorted[at % sorted.size()], topic)) ++at;
            shares[sorted[at++ % sorted.size()]->id].emplace(topic, index);
        }
    }
    return shares;
}

/// Who owns what, by the newest generation that claims it; what two of one generation claim, nobody
/// owns.
std::map<TopicAndIndex, std::string> owners(const std::vector<GroupMember>& members,
                                            const std::map<std::string, std::int32_t>& partitions) {
    std::map<TopicAndIndex, std::pair<std::int32_t, std::string>> newest;
    for (const GroupMember& member : members) {
        for (const TopicAndIndex& one : member.subscription.owned) {
            const auto topic = partitions.find(one.first);
            if (topic == partitions.end() || one.second >= topic->second) continue;
            const std::int32_t generation = member.subscription.generation;
            const auto [at, fresh] = newest.try_emplace(one, generation, member.id);
            if (fresh || at->second.first > generation) continue;
            at->second = at->second.first == generation ? std::pair(generation, std::string())
                                                        : std::pair(generation, member.id);
        }
    }
    std::map<TopicAndIndex, std::string> owners;
    for (const auto& [one, claim] : newest)
        if (!claim.second.empty()) owners[one] = claim.second;
    return owners;
}

Shares share_sticky(const std::vector<GroupMember>& members,
                    const std::map<std::string, std::int32_t>& partitions) {
    Shares shares;
    const auto sorted = in_order(members);
    for (const GroupMember* member : sorted) shares[member->id];
    const auto owned = owners(members, partitions);
    const auto least = [&](const std::string& topic) {
        const GroupMember* best = nullptr;
        for (const GroupMember* member : sorted)
            if (wants(*member, topic) &&
                (best == nullptr || shares[member->id].size() < shares[best->id].size()))
                best = member;
        return best;
    };
    // Everybody keeps what they have, the rest goes to who has least, and then the ends meet.
    Parts free;
    for (const auto& [topic, count] : partitions) {
        for (std::int32_t index = 0; index < count; ++index) {
            const auto at = owned.find({topic, index});
            const auto keeper =
                std::find_if(sorted.begin(), sorted.end(), [&](const GroupMember* member) {
                    return at != owned.end() && member->id == at->second && wants(*member, topic);
                });
            if (keeper == sorted.end())
                free.emplace(topic, index);
            else
                shares[(*keeper)->id].emplace(topic, index);
        }
    }
    for (const TopicAndIndex& one : free)
        if (const GroupMember* member = least(one.first)) shares[member->id].insert(one);
    auto richest = sorted;
    for (bool moved = true; moved;) {
        moved = false;
        std::stable_sort(richest.begin(), richest.end(), [&](const auto* a, const auto* b) {
            return shares[a->id].size() > shares[b->id].size();
        });
        for (std::size_t i = 0; i < richest.size() && !moved; ++i) {
            Parts& rich = shares[richest[i]->id];
            for (auto one = rich.rbegin(); one != rich.rend(); ++one) {
                const GroupMember* to = least(one->first);
                if (to == nullptr || shares[to->id].size() + 2 > rich.size()) continue;
                shares[to->id].insert(*one);
                rich.erase(std::next(one).base());
                moved = true;
                break;
            }
        }
    }
    // What another still owns is given when that one has given it up, in the next generation.
    for (auto& [id, share] : shares)
        std::erase_if(share, [&, &id = id](const TopicAndIndex& one) {
            return std::any_of(members.begin(), members.end(), [&](const GroupMember& member) {
                return member.id != id && member.subscription.owned.contains(one);
            });
        });
    return shares;
}

}  // namespace

Bytes encode(const Subscription& subscription) {
    protocol::Writer out;
    out.integer(subscription_version);
    out.array_size(subscription.topics.size(), false);
    for (const std::string& topic : subscription.topics) out.string(topic, false);
    out.nullable_blob(std::nullopt, false);  // user data
    write_partitions(out, subscription.owned);
    out.integer(subscription.generation);
    out.nullable_string(std::nullopt, false);  // rack
    return out.take().bytes;
}

std::optional<Subscription> decode_subscription(ByteView bytes) {
    protocol::Reader in(bytes);
    Subscription out;
    const auto version = in.integer<std::int16_t>();
    for (std::size_t left = in.array_size(false, 2); left > 0 && in.ok(); --left)
        out.topics.emplace(in.string(false));
    (void)in.nullable_blob(false);
    if (version >= 1 && in.remaining() > 0) out.owned = read_partitions(in);
    if (version >= 2 && in.remaining() > 0) out.generation = in.integer<std::int32_t>();
    if (!in.ok() || version < 0) return std::nullopt;
    return out;
}

Bytes encode_assignment(const std::set<TopicAndIndex>& partitions) {
    protocol::Writer out;
    out.integer(subscription_version);
    write_partitions(out, partitions);
    out.nullable_blob(std::nullopt, false);
    return out.take().bytes;
}

std::optional<std::set<TopicAndIndex>> decode_assignment(ByteView bytes) {
    if (bytes.empty()) return Parts{};
    protocol::Reader in(bytes);
    const auto version = in.integer<std::int16_t>();
    Parts partitions = read_partitions(in);
    if (!in.ok() || version < 0) return std::nullopt;
    return partitions;
}

const char* to_string(Assignor assignor) {
    switch (assignor) {
        case Assignor::range: return "range";
        case Assignor::round_robin: return "roundrobin";
        case Assignor::cooperative_sticky: return "cooperative-sticky";
    }
    return "?";
}

std::optional<Assignor> assignor_from_name(std::string_view name) {
    if (const std::size_t dot = name.rfind('.'); dot != std::string_view::npos)
        name.remove_prefix(dot + 1);
    if (name == "range" || name == "RangeAssignor") return Assignor::range;
    if (name == "roundrobin" || name == "RoundRobinAssignor") return Assignor::round_robin;
    if (name == "cooperative-sticky" || name == "CooperativeStickyAssignor")
        return Assignor::cooperative_sticky;
    return std::nullopt;
}

std::map<std::string, std::set<TopicAndIndex>> assign(
    Assignor assignor, const std::vector<GroupMember>& members,
    const std::map<std::string, std::int32_t>& partitions) {
    Shares shares;
    switch (assignor) {
        case Assignor::range: shares = share_range(members, partitions); break;
        case Assignor::round_robin: shares = share_round_robin(members, partitions); break;
        case Assignor::cooperative_sticky: shares = share_sticky(members, partitions); break;
    }
    for (const GroupMember& member : members) shares[member.id];
    return shares;
}

}  // namespace klamm::client
