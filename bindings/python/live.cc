#include "bindings/python/live.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bindings/python/runs.h"
#include "bindings/python/trouble.h"
#include "checkers/jsonl.h"

namespace klamm::python {

namespace {

using nlohmann::json;

Duration duration_of(double seconds) {
    return nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
}

[[noreturn]] void refused(const live::Refusal& refusal) {
    if (refusal.error == protocol::ErrorCode::none) throw Trouble("NotYet", refusal.sentence);
    throw Trouble("ClusterRefused",
                  std::string(protocol::to_string(refusal.error)) + "\n" + refusal.sentence);
}

template <class T>
T told(live::Told<T> answer) {
    if (!answer) refused(answer.refusal());
    return std::move(*answer);
}

json ids(const std::vector<BrokerId>& from) {
    json all = json::array();
    for (const BrokerId id : from) all.push_back(id.value);
    return all;
}

json document_of(const live::TopicInfo& topic) {
    json partitions = json::array();
    for (const live::PartitionInfo& one : topic.partitions)
        partitions.push_back(
            {{"partition", one.partition},
             {"leader", one.leader == no_broker ? json(nullptr) : json(one.leader.value)},
             {"replicas", ids(one.replicas)},
             {"isr", ids(one.isr)},
             {"elr", ids(one.elr)}});
    return {{"name", topic.name},
            {"id", topic.id},
            {"internal", topic.internal},
            {"partitions", partitions}};
}

json value_or_null(const std::optional<std::string>& value) {
    return value ? json(*value) : json(nullptr);
}

live::ConfigOwner owner_of(const json& arguments) {
    live::ConfigOwner owner;
    if (arguments.contains("broker")) {
        owner.type = live::ConfigOwner::broker;
        if (!arguments.at("broker").is_null()) {
            owner.asked = BrokerId(arguments.at("broker").get<std::int32_t>());
            owner.name = std::to_string(owner.asked.value);
        }
    } else {
        owner.name = arguments.at("topic");
    }
    return owner;
}

json answer_to(const live::Admin& admin, const std::string& what, const json& arguments) {
    json out = json::array();
    if (what == "brokers") {
        for (const live::BrokerInfo& one : told(admin.brokers()))
            out.push_back({{"id", one.id.value}, {"host", one.host}, {"port", one.port}});
    } else if (what == "topics") {
        out = told(admin.topics());
    } else if (what == "partitions") {
        out = told(admin.partitions(arguments.at("topic"), arguments.at("create")));
    } else if (what == "describe") {
        for (const live::TopicInfo& one : told(admin.describe(arguments.at("topics"))))
            out.push_back(document_of(one));
    } else if (what == "create") {
        live::NewTopic topic;
        topic.name = arguments.at("topic");
        topic.partitions = arguments.at("partitions");
        topic.replication = arguments.at("replication");
        for (const auto& [key, value] : arguments.at("configs").items())
            topic.configs.emplace_back(key, value.get<std::string>());
        (void)told(admin.create(topic));
    } else if (what == "add_partitions") {
        (void)told(admin.add_partitions(arguments.at("topic"), arguments.at("count")));
    } else if (what == "remove") {
        (void)told(admin.remove(arguments.at("topic")));
    } else if (what == "configs") {
        for (const live::ConfigInfo& one : told(admin.configs(owner_of(arguments))))
            out.push_back({{"name", one.name},
                           {"value", value_or_null(one.value)},
                           {"source", live::config_source_name(one.source)},
                           {"sensitive", one.sensitive},
                           {"read_only", one.read_only}});
    } else if (what == "set_configs") {
        std::vector<std::pair<std::string, std::optional<std::string>>> changes;
        for (const auto& [key, value] : arguments.at("changes").items())
            changes.emplace_back(key, value.is_null()
                                          ? std::nullopt
                                          : std::optional<std::string>(value.get<std::string>()));
        (void)told(admin.set_configs(owner_of(arguments), changes));
    } else {
        refuse("nobody administers '" + what + "'");
    }
    return out;
}

template <class Options>
Options options_of(const std::vector<std::string>& bootstrap, const LiveOptions& texts) {
    Options options;
    options.client.client_id = "klamm";
    for (const auto& [key, text] : texts) check(config::set(options, key, text));
    options.client.bootstrap_servers = bootstrap;
    return options;
}

}  // namespace

std::string administer(const std::vector<std::string>& bootstrap, double seconds,
                       const std::string& what, const std::string& arguments,
                       const std::function<void()>& pulse) {
    const live::Admin admin(bootstrap, duration_of(seconds), pulse);
    return answer_to(admin, what, json::parse(arguments)).dump();
}

std::unique_ptr<live::LiveProducer> make_producer(const std::vector<std::string>& bootstrap,
                                                  const LiveOptions& texts, double max_block) {
    const auto options = options_of<config::ProducerOptions>(bootstrap, texts);
    check(config::check(options));
    return std::make_unique<live::LiveProducer>(options, duration_of(max_block));
}

std::unique_ptr<live::LiveConsumer> make_consumer(const std::vector<std::string>& bootstrap,
                                                  const LiveOptions& texts,
                                                  const std::vector<live::TopicAt>& assigned,
                                                  const std::string& begin) {
    return std::make_unique<live::LiveConsumer>(
        options_of<config::ConsumerOptions>(bootstrap, texts), assigned,
        begin == "latest" ? config::OffsetReset::latest : config::OffsetReset::earliest);
}

std::unique_ptr<live::LiveGroup> make_member(const std::vector<std::string>& bootstrap,
                                             const LiveOptions& texts,
                                             const std::vector<std::string>& topics) {
    const auto options = options_of<config::ConsumerOptions>(bootstrap, texts);
    if (options.group_id.empty()) refuse("group: expected a name");
    if (topics.empty()) refuse("consumer: expected a topic");
    return std::make_unique<live::LiveGroup>(options,
                                             std::set<std::string>(topics.begin(), topics.end()));
}

std::optional<live::Done> await(live::Mailbox& mailbox, std::uint64_t id, double seconds,
                                const std::function<void()>& pulse) {
    constexpr Duration slice = milliseconds(100);
    Duration left = duration_of(seconds);
    for (;;) {
        if (auto done = mailbox.wait(id, std::min(slice, left))) return done;
        if (const std::string failure = mailbox.failure(); !failure.empty())
            throw Trouble("AssertionFailed", failure);
        if (left <= slice) return std::nullopt;
        left = left - slice;
        if (pulse) pulse();
    }
}

std::unique_ptr<live::Recorder> begin_recording(const std::vector<std::string>& bootstrap,
                                                const std::string& workload, double length,
                                                const std::string& topic, std::int16_t replication,
                                                double patience,
                                                const std::function<void()>& pulse) {
    live::RecordPlan plan = value_of(live::read_workload(workload, "workload"));
    plan.set_length(duration_of(length));
    plan.topic = topic;
    plan.replication = replication;
    plan.patience = duration_of(patience);
    return told(live::Recorder::begin(bootstrap, std::move(plan), pulse));
}

std::pair<std::string, std::string> finish_recording(live::Recorder& recorder) {
    const live::Recording recording = recorder.finish();
    json out = judgement_document(recording.judgement.violations, recording.judgement.totals);
    out["topic"] = recording.topic;
    out["read_to_end"] = recording.read_to_end;
    out["complaint"] = recording.complaint;
    out["idempotent"] = recording.rules.idempotent;
    return {out.dump(), checkers::write_history(recording.history)};
}

}  // namespace klamm::python
