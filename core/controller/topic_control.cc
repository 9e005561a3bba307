#include "core/controller/topic_control.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "core/base/checksum.h"

namespace klamm::controller {

namespace {

constexpr auto placement_domain = draw_domain("controller.placement");
constexpr auto topic_id_domain = draw_domain("controller.topic_id");

/// One draw after another for one placement.
class Chance {
  public:
    Chance(const Draws& draws, std::uint64_t entity) : draws_(draws), entity_(entity) {}

    std::size_t below(std::size_t bound) {
        return static_cast<std::size_t>(draws_.below(bound, placement_domain, entity_, n_++));
    }
    template <class T>
    void shuffle(std::vector<T>& items) {
        for (std::size_t size = items.size(); size > 1; --size)
            std::swap(items[size - 1], items[below(size)]);
    }

  private:
    const Draws& draws_;
    std::uint64_t entity_;
    std::uint64_t n_ = 0;
};

/// Brokers to be gone through in a circle, each at most once a round; every round starts one
/// further.
struct BrokerCircle {
    BrokerIds brokers;
    std::size_t start = 0;
    std::size_t taken = 0;
    std::size_t round = 0;

    std::optional<BrokerId> next(std::size_t now) {
        if (brokers.empty()) return std::nullopt;
        if (round != now) {
            round = now;
            taken = 0;
            start = (start + 1) % brokers.size();
        }
        if (taken >= brokers.size()) return std::nullopt;
        return brokers[(start + taken++) % brokers.size()];
    }
};

struct Rack {
    BrokerCircle active;
    BrokerCircle fenced;

    std::optional<BrokerId> next(std::size_t round) {
        const auto found = active.next(round);
        return found ? found : fenced.next(round);
    }
};

class Racks {
  public:
    Racks(const std::vector<UsableBroker>& brokers, Chance& chance) : chance_(chance) {
        std::map<std::optional<std::string>, Rack> by_name;
        for (const UsableBroker& broker : brokers) {
            Rack& rack = by_name[broker.rack];
            (broker.fenced ? rack.fenced : rack.active).brokers.push_back(broker.id);
            if (!broker.fenced) ++active_;
        }
        for (auto& [name, rack] : by_name) {
            for (BrokerCircle* circle : {&rack.fenced, &rack.active}) {
                circle->brokers = metadata::sorted(circle->brokers);
                if (!circle->brokers.empty()) circle->start = chance_.below(circle->brokers.size());
            }
            racks_.push_back(std::move(rack));
        }
        first_ = chance_.below(racks_.size());
    }

    /// Replicas of the next partition: at least as many brokers are there, one of them active.
    BrokerIds place(int replication_factor) {
        if (round_ == active_ && active_ > 1) {
            chance_.shuffle(racks_);
            for (Rack& rack : racks_) {
                for (BrokerCircle* circle : {&rack.fenced, &rack.active}) {
                    chance_.shuffle(circle->brokers);
                    // One that was last asked in an earlier round 0 begins anew, too.
                    circle->round = round_;
                }
            }
            round_ = 0;
        }
        if (first_ == racks_.size()) first_ = 0;
        BrokerIds replicas;
        std::size_t leading = first_;
        for (;;) {  // the first replica is to lead
            if (const auto broker = racks_[leading].active.next(round_)) {
                replicas.push_back(*broker);
                break;
            }
            leading = (leading + 1) % racks_.size();
        }
        // Its rack has had its turn in the first circle.
        bool leading_counts = true;
        std::size_t at = first_;
        while (replicas.size() < static_cast<std::size_t>(replication_factor)) {
            if (leading_counts && at == leading)
                leading_counts = false;
            else if (const auto broker = racks_[at].next(round_))
                replicas.push_back(*broker);
            at = (at + 1) % racks_.size();
        }
        ++round_;
        ++first_;
        return replicas;
    }

  private:
    Chance& chance_;
    std::vector<Rack> racks_;  // those without a name first, then by name, until shuffled
    std::size_t active_ = 0;
    std::size_t round_ = 0;
    std::size_t first_ = 0;
};

std::string unified(std::string_view name) {
    std::string text(name);
    std::replace(text.begin(), text.end(), '.', '_');
    return text;
}

/// Names that differ only in '.' and '_' would share the names of their metrics.
const std::string* colliding_topic(const ClusterImage& image, std::string_view name) {
    if (name.find_first_of("._") == std::string_view::npos) return nullptr;
    const std::string own = unified(name);
    const std::string* found = nullptr;
    for (const auto& [id, topic] : image.topics())
        if (unified(topic.name) == own && (found == nullptr || topic.name < *found))
            found = &topic.name;
    return found;
}

BrokerIds active_of(const ClusterImage& image, const BrokerIds& replicas) {
    BrokerIds active;
    for (const BrokerId replica : replicas)
        if (const auto* broker = image.broker(replica); broker != nullptr && broker->active())
            active.push_back(replica);
    return active;
}

Answer nobody_active(int replication_factor) {
    return {ErrorCode::invalid_replication_factor,
            fmt::format("Unable to replicate the partition {} time(s): All brokers are currently "
                        "fenced or in controlled shutdown.",
                        replication_factor)};
}

/// An assignment that a person made; somebody of it must be able to lead.
Answer take_assignment(const ClusterImage& image, std::int32_t index, const BrokerIds& replicas,
                       std::optional<std::size_t> replication_factor) {
    Answer answer = check_assignment(image, replicas, replication_factor);
    if (answer.ok() && active_of(image, replicas).empty())
        answer = {ErrorCode::invalid_replica_assignment,
                  fmt::format("All brokers specified in the manual partition assignment for "
                              "partition {} are fenced or in controlled shutdown.",
                              index)};
    return answer;
}

Decided new_partition(const ClusterImage& image, const Uuid& topic, std::int32_t index,
                      const BrokerIds& replicas) {
    metadata::PartitionCreated created;
    created.partition = {topic, PartitionIndex(index)};
    created.replicas = replicas;
    created.isr = active_of(image, replicas);
    KLAMM_ASSERT(!created.isr.empty());
    created.leader = created.isr.front();
    return {created, PartitionChangeCause::created};
}

std::uint64_t entity_of(std::string_view name, std::int64_t next_offset) {
    return digest64(as_bytes(name), static_cast<std::uint64_t>(next_offset));
}

/// A random id of version 4, none that Kafka keeps for itself, nor one that a shell takes for an
/// option.
Uuid draw_topic_id(const Turn& turn, const ClusterImage& image, std::uint64_t entity) {
    for (std::uint64_t n = 0;; n += 2) {
        Uuid id = uuid_from_halves(turn.draws.word(topic_id_domain, entity, n),
                                   turn.draws.word(topic_id_domain, entity, n + 1));
        id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
        id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
        if (to_string(id).front() != '-' && image.topic(id) == nullptr) return id;
    }
}

/// The replicas of each partition of a new topic.
Answer assign(const Turn& turn, const ClusterImage& image, const NewTopic& topic,
              const TopicDefaults& defaults, std::uint64_t entity, std::vector<BrokerIds>& out) {
    if (!topic.assignments.empty()) {
        if (topic.replication_factor != -1)
            return {ErrorCode::invalid_request,
                    "A manual partition assignment was specified, but replication factor was not "
                    "set to -1."};
        if (topic.partitions != -1)
            return {ErrorCode::invalid_request,
                    "A manual partition assignment was specified, but numPartitions was not set "
                    "to -1."};
        std::map<std::int32_t, BrokerIds> by_index;
        std::optional<std::size_t> replication_factor;
        for (const auto& [index, replicas] : topic.assignments) {
            if (by_index.contains(index))
                return {ErrorCode::invalid_replica_assignment,
                        fmt::format("Found multiple manual partition assignments for partition {}",
                                    index)};
            Answer answer = take_assignment(image, index, replicas, replication_factor);
            if (!answer.ok()) return answer;
            replication_factor = replicas.size();
            by_index.emplace(index, replicas);
        }
        for (const auto& [index, replicas] : by_index) {
            if (index != static_cast<std::int32_t>(out.size()))
                return {ErrorCode::invalid_replica_assignment,
                        "partitions should be a consecutive 0-based integer sequence"};
            out.push_back(replicas);
        }
        return {};
    }
    if (topic.replication_factor < -1 || topic.replication_factor == 0)
        return {ErrorCode::invalid_replication_factor,
                "Replication factor must be larger than 0, or -1 to use the default value."};
    if (topic.partitions < -1 || topic.partitions == 0)
        return {ErrorCode::invalid_partitions,
                "Number of partitions was set to an invalid non-positive value."};
    const std::int32_t partitions = topic.partitions == -1 ? defaults.partitions : topic.partitions;
    const int replication_factor =
        topic.replication_factor == -1 ? defaults.replication_factor : topic.replication_factor;
    if (static_cast<std::size_t>(partitions) > records_per_request_max) return too_many_records();
    Placement placed = place_replicas(usable_brokers(image), static_cast<std::size_t>(partitions),
                                      replication_factor, turn.draws, entity);
    if (!placed.answer.ok()) {
        placed.answer.text = fmt::format("Unable to replicate the partition {} time(s): {}",
                                         replication_factor, *placed.answer.text);
        return placed.answer;
    }
    out = std::move(placed.replicas);
    for (const BrokerIds& replicas : out)
        if (active_of(image, replicas).empty()) return nobody_active(replication_factor);
    return {};
}

}  // namespace

Answer check_assignment(const ClusterImage& image, const BrokerIds& replicas,
                        std::optional<std::size_t> replication_factor) {
    const auto refuse = [](std::string text) {
        return Answer{ErrorCode::invalid_replica_assignment, std::move(text)};
    };
    if (replicas.empty())
        return refuse("The manual partition assignment includes an empty replica list.");
    BrokerId before = no_broker;
    for (const BrokerId broker : metadata::sorted(replicas)) {
        if (image.broker(broker) == nullptr)
            return refuse(
                fmt::format("The manual partition assignment includes broker {}, but no such "
                            "broker is registered.",
                            broker.value));
        if (broker == before)
            return refuse(
                fmt::format("The manual partition assignment includes the broker {} more than "
                            "once.",
                            broker.value));
        before = broker;
    }
    if (replication_factor && replicas.size() != *replication_factor)
        return refuse(
            fmt::format("The manual partition assignment includes a partition with {} replica(s), "
                        "but this is not consistent with previous partitions, which have {} "
                        "replica(s).",
                        replicas.size(), *replication_factor));
    return {};
}

Answer too_many_records() {
    return {ErrorCode::policy_violation, "Unable to perform excessively large batch operation."};
}

std::optional<std::string> topic_name_problem(std::string_view name) {
    constexpr std::size_t length_max = 249;
    const auto problem = [&]() -> std::string {
        if (name.empty()) return "the empty string is not allowed";
        if (name == "." || name == "..") return fmt::format("'{}' is not allowed", name);
        if (name.size() > length_max)
            return fmt::format("the length of '{}' is longer than the max allowed length {}", name,
                               length_max);
        const bool lawful = std::all_of(name.begin(), name.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                   c == '.' || c == '_' || c == '-';
        });
        if (lawful) return "";
        return fmt::format(
            "'{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
            name);
    }();
    if (problem.empty()) return std::nullopt;
    return "Topic name is invalid: " + problem;
}

bool is_internal_topic(std::string_view name) {
    return name == "__consumer_offsets" || name == "__transaction_state" ||
           name == "__share_group_state";
}

std::vector<UsableBroker> usable_brokers(const ClusterImage& image) {
    std::vector<UsableBroker> usable;
    for (const auto& [id, broker] : image.brokers())
        if (!broker.in_controlled_shutdown) usable.push_back({id, broker.rack, broker.fenced});
    return usable;
}

Placement place_replicas(const std::vector<UsableBroker>& brokers, std::size_t partitions,
                         int replication_factor, const Draws& draws, std::uint64_t entity) {
    const auto refuse = [](std::string text) {
        return Placement{{ErrorCode::invalid_replication_factor, std::move(text)}, {}};
    };
    if (replication_factor <= 0)
        return refuse(
            fmt::format("Invalid replication factor {}: the replication factor must be "
                        "positive.",
                        replication_factor));
    if (std::all_of(brokers.begin(), brokers.end(),
                    [](const UsableBroker& broker) { return broker.fenced; }))
        return refuse("All brokers are currently fenced.");
    if (static_cast<std::size_t>(replication_factor) > brokers.size())
        return refuse(
            fmt::format("The target replication factor of {} cannot be reached because "
                        "only {} broker(s) are registered.",
                        replication_factor, brokers.size()));
    Chance chance(draws, entity);
    Racks racks(brokers, chance);
    Placement placement;
    for (std::size_t i = 0; i < partitions; ++i)
        placement.replicas.push_back(racks.place(replication_factor));
    return placement;
}

NewTopicOutcome new_topic(const Turn& turn, const ClusterImage& image, const NewTopic& topic,
                          const TopicDefaults& defaults, std::int64_t next_offset) {
    NewTopicOutcome outcome;
    if (const auto problem = topic_name_problem(topic.name)) {
        outcome.answer = {ErrorCode::invalid_topic_exception, *problem};
    } else if (image.topic_id(topic.name)) {
        outcome.answer = {ErrorCode::topic_already_exists,
                          fmt::format("Topic '{}' already exists.", topic.name)};
    } else if (const std::string* other = colliding_topic(image, topic.name)) {
        outcome.answer = {
            ErrorCode::invalid_topic_exception,
            fmt::format("Topic '{}' collides with existing topic: {}", topic.name, *other)};
    }
    if (!outcome.answer.ok()) return outcome;
    const std::uint64_t entity = entity_of(topic.name, next_offset);
    std::vector<BrokerIds> assigned;
    outcome.answer = assign(turn, image, topic, defaults, entity, assigned);
    if (!outcome.answer.ok()) return outcome;
    outcome.id = draw_topic_id(turn, image, entity);
    outcome.partitions = assigned.size();
    outcome.replication_factor = assigned.front().size();
    outcome.topic = {outcome.id, topic.name};
    for (std::size_t i = 0; i < assigned.size(); ++i)
        outcome.partition_decisions.push_back(
            new_partition(image, outcome.id, static_cast<std::int32_t>(i), assigned[i]));
    return outcome;
}

AdminOutcome more_partitions(const Turn& turn, const ClusterImage& image,
                             const MorePartitions& request, std::int64_t next_offset) {
    const auto refuse = [](ErrorCode error, std::optional<std::string> text) {
        return AdminOutcome{{error, std::move(text)}, {}};
    };
    const auto id = image.topic_id(request.name);
    if (!id) return refuse(ErrorCode::unknown_topic_or_partition, std::nullopt);
    const metadata::TopicImage& topic = *image.topic(*id);
    const auto has = static_cast<std::int32_t>(topic.partitions.size());
    if (request.count == has)
        return refuse(ErrorCode::invalid_partitions,
                      fmt::format("Topic already has {} partition(s).", has));
    if (request.count < has)
        return refuse(ErrorCode::invalid_partitions,
                      fmt::format("The topic {} currently has {} partition(s); {} would not be an "
                                  "increase.",
                                  request.name, has, request.count));
    const auto more = static_cast<std::size_t>(request.count - has);
    if (request.assignments && request.assignments->size() != more)
        return refuse(ErrorCode::invalid_replica_assignment,
                      fmt::format("Attempted to add {} additional partition(s), but only {} "
                                  "assignment(s) were specified.",
                                  more, request.assignments->size()));
    if (more > records_per_request_max) return {too_many_records(), {}};
    const std::size_t replication_factor = topic.partitions.begin()->second.replicas.size();
    std::vector<BrokerIds> assigned;
    if (request.assignments) {
        for (const BrokerIds& replicas : *request.assignments) {
            const auto index = has + static_cast<std::int32_t>(assigned.size());
            Answer answer = take_assignment(image, index, replicas, replication_factor);
            if (!answer.ok()) return {std::move(answer), {}};
            assigned.push_back(replicas);
        }
    } else {
        Placement placed =
            place_replicas(usable_brokers(image), more, static_cast<int>(replication_factor),
                           turn.draws, entity_of(request.name, next_offset));
        if (!placed.answer.ok()) return {std::move(placed.answer), {}};
        assigned = std::move(placed.replicas);
    }
    AdminOutcome outcome;
    for (std::size_t i = 0; i < assigned.size(); ++i)
        outcome.decisions.push_back(
            new_partition(image, *id, has + static_cast<std::int32_t>(i), assigned[i]));
    return outcome;
}

DeleteOutcome delete_topics(const ClusterImage& image, const std::vector<TopicToDelete>& topics) {
    DeleteOutcome outcome;
    const auto answer = [&](std::optional<std::string> name, const Uuid& id, ErrorCode error,
                            std::optional<std::string> text) {
        outcome.topics.push_back({std::move(name), id, {error, std::move(text)}});
    };
    std::map<std::string, int> names;
    std::map<Uuid, int> ids;
    for (const TopicToDelete& topic : topics) {
        if (!topic.name && topic.id.is_zero())
            answer({}, {}, ErrorCode::invalid_request, "Neither topic name nor id were specified.");
        else if (!topic.name)
            ++ids[topic.id];
        else if (topic.id.is_zero())
            ++names[*topic.name];
        else
            answer(topic.name, topic.id, ErrorCode::invalid_request,
                   "You may not specify both topic name and topic id.");
    }
    std::map<Uuid, std::string> doomed;
    std::set<Uuid> twice;  // also named by name
    for (const auto& [id, times] : ids) {
        const metadata::TopicImage* topic = image.topic(id);
        if (times > 1)
            answer({}, id, ErrorCode::invalid_request, "Duplicate topic id.");
        else if (topic == nullptr)
            answer({}, id, ErrorCode::unknown_topic_id, "This server does not host this topic ID.");
        else
            doomed.emplace(id, topic->name);
    }
    for (const auto& [name, times] : names) {
        const auto id = image.topic_id(name);
        if (times > 1) {
            answer(name, {}, ErrorCode::invalid_request, "Duplicate topic name.");
        } else if (!id) {
            answer(name, {}, ErrorCode::unknown_topic_or_partition,
                   "This server does not host this topic-partition.");
        } else if (ids.contains(*id)) {
            answer(name, *id, ErrorCode::invalid_request,
                   "The provided topic name maps to an ID that was already supplied.");
            twice.insert(*id);
        } else {
            doomed.emplace(*id, name);
        }
    }
    for (const auto& [id, name] : doomed) {
        if (twice.contains(id)) continue;
        answer(name, id, ErrorCode::none, std::nullopt);
        outcome.decisions.push_back({metadata::TopicRemoved{id}});
    }
    return outcome;
}

AdminOutcome unregister_broker(const ClusterImage& image, BrokerId broker) {
    const metadata::BrokerImage* registered = image.broker(broker);
    if (registered == nullptr)
        return {{ErrorCode::broker_id_not_registered,
                 fmt::format("Broker ID {} is not currently registered", broker.value)},
                {}};
    AdminOutcome outcome;
    outcome.decisions = fence_broker(image, broker);
    outcome.decisions.pop_back();  // the fencing itself: it is forgotten instead
    outcome.decisions.push_back({metadata::BrokerUnregistered{broker, registered->epoch}});
    return outcome;
}

}  // namespace klamm::controller
