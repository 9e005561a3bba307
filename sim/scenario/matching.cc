#include "sim/scenario/matching.h"

#include <algorithm>
#include <type_traits>

#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

constexpr DrawDomain pick_domain = draw_domain("scenario.pick");

/// Fills nothing in, asks: does the fact say what the moment wants of it?
struct Match {
    const Moment& moment;
    NodeId node;
    Cast& cast;

    [[nodiscard]] bool word(std::string_view name) const { return fact_words[moment.fact] == name; }
    [[nodiscard]] bool flag(bool value) const { return moment.flag.value_or(value) == value; }
    template <class Code>
    [[nodiscard]] bool code(Code value) const {
        const auto number = static_cast<std::int64_t>(value);
        return moment.code.value_or(number) == number;
    }
    [[nodiscard]] bool about(BrokerId broker) const {
        return !moment.about || cast.is(broker, *moment.about);
    }
    [[nodiscard]] bool exactly(const std::optional<Whos>& wanted,
                               const std::vector<BrokerId>& there) const {
        if (!wanted) return true;
        if (wanted->size() != there.size()) return false;
        return std::all_of(there.begin(), there.end(), [&](BrokerId broker) {
            return std::any_of(wanted->begin(), wanted->end(),
                               [&](const Who& who) { return cast.is(broker, who); });
        });
    }

    bool operator()(const facts::BatchAppended& f) const {
        return word("appended") && flag(f.as_leader);
    }
    bool operator()(const facts::LogTruncated& f) const {
        return word("truncated") && code(f.reason);
    }
    bool operator()(const facts::LogStartMoved&) const { return word("log_start_moved"); }
    bool operator()(const facts::LogOpened& f) const {
        return word("opened") && code(f.created ? 0 : (f.clean ? 1 : 2));
    }
    bool operator()(const facts::LogFlushed&) const { return word("flushed"); }
    bool operator()(const facts::LogOffline&) const { return word("log_offline"); }
    bool operator()(const facts::Leading&) const { return word("leads"); }
    bool operator()(const facts::Following& f) const { return word("follows") && about(f.leader); }
    bool operator()(const facts::HighWatermarkMoved&) const { return word("watermark_advanced"); }
    bool operator()(const facts::IsrProposed& f) const {
        return word("isr_proposed") && about(f.joining);
    }
    bool operator()(const facts::ProduceAnswered& f) const {
        return word("produce_answered") && flag(f.error != 0) && code(f.acks);
    }
    bool operator()(const facts::ConsumerServed&) const { return word("consumer_served"); }
    bool operator()(const facts::PartitionCommitted& f) const {
        return word("partition_changed") && code(f.cause) && flag(f.leader == no_broker) &&
               about(f.leader) && exactly(moment.isr, f.isr) && exactly(moment.elr, f.elr);
    }
    bool operator()(const facts::BrokerRegistered& f) const {
        return word("registered") && flag(f.proven) && about(f.broker);
    }
    bool operator()(const facts::BrokerFencing& f) const {
        return word(f.fenced ? "fenced" : "unfenced") && about(f.broker);
    }
    bool operator()(const facts::SendInvoked&) const { return word("sent"); }
    bool operator()(const facts::SendReturned& f) const {
        return word("send_returned") && code(f.outcome);
    }
    bool operator()(const facts::PollInvoked&) const { return word("polled"); }
    bool operator()(const facts::PollReturned& f) const {
        return word("poll_returned") && flag(f.reset);
    }
    bool operator()(const facts::LatestInvoked&) const { return word("latest_asked"); }
    bool operator()(const facts::LatestReturned&) const { return word("latest_returned"); }
    bool operator()(const facts::CorruptReceived&) const { return word("corrupt_received"); }
    bool operator()(const facts::FollowerFetched& f) const {
        return word("fetched") && flag(f.diverging) && about(f.replica);
    }
    bool operator()(const facts::QuorumStarted&) const { return word("quorum_started"); }
    bool operator()(const facts::QuorumVoted&) const { return word("quorum_voted"); }
    bool operator()(const facts::QuorumLeading&) const { return word("quorum_leads"); }
    bool operator()(const facts::QuorumCommitted&) const { return word("quorum_committed"); }
    bool operator()(const facts::MetadataDecided&) const { return word("decided"); }
    bool operator()(const facts::GroupAssigned&) const { return word("group_assigned"); }
    bool operator()(const facts::GroupRevoked& f) const {
        return word("group_revoked") && flag(f.lost);
    }
    bool operator()(const facts::GroupCommitInvoked&) const { return word("group_commits"); }
    bool operator()(const facts::GroupCommitReturned& f) const {
        return word("group_commit_returned") && code(f.outcome);
    }
    bool operator()(const facts::GroupOffsetsAsked&) const { return word("group_offsets_asked"); }
    bool operator()(const facts::GroupOffsetsReturned& f) const {
        return word("group_offsets_returned") && code(f.outcome);
    }
};

std::optional<std::int32_t> partition_of(const facts::Fact& fact) {
    return std::visit(
        [](const auto& one) -> std::optional<std::int32_t> {
            if constexpr (requires { one.partition.partition.value; })
                return one.partition.partition.value;
            else if constexpr (requires { std::int32_t{one.partition}; })
                return one.partition;
            else
                return std::nullopt;
        },
        fact);
}

}  // namespace

NodeId Cast::node_of(BrokerId broker) const {
    const auto index = static_cast<std::size_t>(broker.value - 1);
    return broker.value >= 1 && index < cluster_.brokers().size() ? cluster_.brokers()[index]
                                                                  : no_node;
}

std::vector<NodeId> Cast::all(const Who& who) {
    const auto& clients = cluster_.clients();
    const metadata::PartitionImage* partition =
        cluster_.partition({trial_topic, PartitionIndex(who.partition)});
    const auto one = [](NodeId node) {
        return node == no_node ? std::vector<NodeId>{} : std::vector<NodeId>{node};
    };
    const auto replicas = [&](auto fits) {
        std::vector<NodeId> nodes;
        if (partition == nullptr) return nodes;
        for (const BrokerId broker : partition->replicas)
            if (broker != partition->leader && fits(broker)) nodes.push_back(node_of(broker));
        return nodes;
    };
    const auto has = [](const metadata::BrokerIds& ids, BrokerId broker) {
        return std::find(ids.begin(), ids.end(), broker) != ids.end();
    };
    switch (who.role) {
        case Who::Role::broker: return one(node_of(BrokerId(who.number)));
        case Who::Role::leader:
            return partition == nullptr ? std::vector<NodeId>{} : one(node_of(partition->leader));
        case Who::Role::follower:
            return replicas([&](BrokerId id) { return cluster_.world().alive(node_of(id)); });
        case Who::Role::isr_follower:
            return replicas([&](BrokerId id) { return has(partition->isr, id); });
        case Who::Role::elr_member:
            return replicas([&](BrokerId id) { return has(partition->elr, id); });
        case Who::Role::outside_isr:
            return replicas([&](BrokerId id) { return !has(partition->isr, id); });
        case Who::Role::brokers: return cluster_.brokers();
        case Who::Role::controller:
            return one(cluster_.has_active_controller() ? cluster_.controller() : no_node);
        case Who::Role::controllers: return cluster_.controllers();
        case Who::Role::controller_n: {
            const auto at = static_cast<std::size_t>(who.number - 1);
            return one(cluster_.has_quorum() && at < cluster_.controllers().size()
                           ? cluster_.controllers()[at]
                           : no_node);
        }
        case Who::Role::rack: {
            std::vector<NodeId> nodes;
            for (const std::size_t i : cluster_.rack(static_cast<std::uint32_t>(who.number)))
                nodes.push_back(cluster_.brokers()[i]);
            return nodes;
        }
        case Who::Role::producer:
            return one(cluster_.producers()[static_cast<std::size_t>(who.number - 1)]);
        case Who::Role::consumer:
            return one(
                clients[cluster_.producers().size() + static_cast<std::size_t>(who.number - 1)]);
        case Who::Role::member:
            return one(cluster_.members()[static_cast<std::size_t>(who.number - 1)]);
        case Who::Role::members: return cluster_.members();
        case Who::Role::clients: return clients;
        case Who::Role::named: {
            const auto found = names_.find(who.name);
            return found == names_.end() ? std::vector<NodeId>{} : one(found->second);
        }
    }
    return {};
}

std::vector<NodeId> Cast::find(const Who& who, std::uint64_t key) {
    std::vector<NodeId> nodes = all(who);
    const bool many = who.role == Who::Role::brokers || who.role == Who::Role::clients ||
                      who.role == Who::Role::controllers || who.role == Who::Role::rack ||
                      who.role == Who::Role::members;
    if (many || nodes.size() <= 1) return nodes;
    return {nodes[cluster_.world().draws().below(nodes.size(), pick_domain, key, 0)]};
}

bool Cast::is(NodeId node, const Who& who) {
    const std::vector<NodeId> nodes = all(who);
    return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

bool Cast::is(BrokerId broker, const Who& who) {
    const NodeId node = node_of(broker);
    return node != no_node && is(node, who);
}

bool is_moment(const Moment& moment, NodeId node, const facts::Fact& fact, Cast& cast) {
    if (!std::visit(Match{moment, node, cast}, fact)) return false;
    if (moment.partition && partition_of(fact) != moment.partition) return false;
    return !moment.by || cast.is(node, *moment.by);
}

bool is_moment(const Moment& moment, NodeId node, std::string_view word, Cast& cast) {
    return fact_words[moment.fact] == word && (!moment.by || cast.is(node, *moment.by));
}

}  // namespace klamm::sim
