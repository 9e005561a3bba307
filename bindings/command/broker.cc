#include "bindings/command/broker.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <vector>

#include "core/config/options.h"
#include "core/runtime/runtime.h"
#include "core/server/broker.h"
#include "core/server/metadata_node.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::string_view usage =
    "usage: klamm broker [--brokers N] [--listen HOST:PORT] [--dir PATH] [--shards S] [--topic "
    "NAME]\n"
    "                    [--partitions P] [--controllers C] [--set KEY=VALUE]...\n"
    "\n"
    "Runs N brokers (default 1) and the metadata node in one process. Broker i listens on PORT + i "
    "- 1\n"
    "(default 127.0.0.1:9092), the metadata node on PORT + N. Data is kept under PATH (default\n"
    "klamm-data). With --controllers, C controllers that are a quorum stand where the metadata "
    "node\n"
    "does, from that port on. The topic (default `trial`) has N replicas and is made at the first "
    "start.\n"
    "KEY=VALUE is a broker's option in Kafka's name, for all brokers.\n";

constexpr std::uint64_t cluster_high = 0x6b6c616d6d2d6c6fULL;
constexpr std::uint64_t cluster_low = 0x63616c2d7465737ULL;

struct Arguments {
    int brokers = 1;
    env::Endpoint listen{"127.0.0.1", 9092};
    std::string directory = "klamm-data";
    std::uint32_t shards = 1;
    std::string topic = "trial";
    int partitions = 1;
    int controllers = 0;  // of a quorum; 0: a metadata node that is alone
    config::BrokerOptions options;
};

int complain(const Console& console, std::string_view sentence) {
    console.err(fmt::format("klamm broker: {}\n", sentence));
    return static_cast<int>(sim::Verdict::usage);
}

/// As Kafka's Topic.validate: a topic names directories.
bool lawful_topic(std::string_view name) {
    constexpr std::size_t length_max = 249;
    const auto lawful = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name != "." && name != ".." && name.size() <= length_max &&
           std::all_of(name.begin(), name.end(), lawful);
}

template <class Number>
bool parse_number(std::string_view text, Number low, Number high, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && out >= low && out <= high;
}

bool parse_endpoint(std::string_view text, env::Endpoint& out) {
    if (const auto scheme = text.find("://"); scheme != std::string_view::npos)
        text.remove_prefix(scheme + 3);
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    if (colon > 0) out.host = text.substr(0, colon);
    return parse_number<std::uint16_t>(text.substr(colon + 1), 1, 65'000, out.port);
}

/// Takes one `--set key=value`; what concerns the process as a whole is taken here, the rest by the
/// table.
Status set_option(Arguments& arguments, std::string_view pair) {
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos)
        return Error{Failure::invalid, fmt::format("--set {}: expected KEY=VALUE", pair)};
    const std::string_view key = pair.substr(0, equals);
    const std::string_view value = pair.substr(equals + 1);
    KLAMM_TRY(config::set(arguments.options, key, value));
    if (key == "listeners" && !parse_endpoint(value, arguments.listen))
        return Error{Failure::invalid,
                     fmt::format("listeners: expected PLAINTEXT://HOST:PORT, found {}", value)};
    if (key == "log.dirs") arguments.directory = value;
    if (key == "klamm.shards")
        arguments.shards = static_cast<std::uint32_t>(arguments.options.shards);
    return {};
}

std::optional<Error> parse(std::span<const std::string_view> words, Arguments& arguments) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        constexpr std::string_view known[] = {"--brokers",     "--shards", "--partitions",
                                              "--controllers", "--listen", "--dir",
                                              "--topic",       "--set"};
        if (std::find(std::begin(known), std::end(known), word) == std::end(known))
            return Error{Failure::invalid, fmt::format("{}: no such option", word)};
        if (i + 1 >= words.size())
            return Error{Failure::invalid, fmt::format("{}: a value is missing", word)};
        const std::string_view value = words[++i];
        bool good = true;
        if (word == "--brokers") {
            good = parse_number(value, 1, 64, arguments.brokers);
        } else if (word == "--shards") {
            good = parse_number<std::uint32_t>(value, 1, 64, arguments.shards);
        } else if (word == "--partitions") {
            good = parse_number(value, 1, 10'000, arguments.partitions);
        } else if (word == "--controllers") {
            good = parse_number(value, 1, 9, arguments.controllers);
        } else if (word == "--listen") {
            good = parse_endpoint(value, arguments.listen);
        } else if (word == "--dir") {
            arguments.directory = value;
        } else if (word == "--topic") {
            good = lawful_topic(value);
            arguments.topic = value;
        } else if (const Status status = set_option(arguments, value); !status.ok()) {
            return status.error();
        }
        if (!good)
            return Error{Failure::invalid,
                         fmt::format("{}: '{}' is not a lawful value", word, value)};
    }
    if (const Status status = config::check(arguments.options); !status.ok()) return status.error();
    return std::nullopt;
}

server::MetadataSettings metadata_settings(const Arguments& arguments, const std::string& cluster,
                                           std::uint16_t port) {
    server::MetadataSettings settings;
    settings.listen = {arguments.listen.host, port};
    settings.cluster = cluster;
    settings.session_timeout = milliseconds(arguments.options.broker_session_timeout_ms);
    server::TopicPlan topic;
    topic.name = arguments.topic;
    topic.id = uuid_from_halves(digest64(as_bytes(arguments.topic)) | 1, 1);
    for (int partition = 0; partition < arguments.partitions; ++partition) {
        metadata::BrokerIds replicas;
        for (int i = 0; i < arguments.brokers; ++i)
            replicas.push_back(BrokerId((partition + i) % arguments.brokers + 1));
        topic.assignments.push_back(replicas);
    }
    settings.topics.push_back(std::move(topic));
    return settings;
}

/// Their ids are beyond those of brokers.
std::vector<server::QuorumVoter> controllers_of(const Arguments& arguments, std::uint16_t port) {
    constexpr std::int32_t first_id = 3001;
    std::vector<server::QuorumVoter> controllers;
    for (int i = 0; i < arguments.controllers; ++i)
        controllers.push_back({BrokerId(first_id + i),
                               {arguments.listen.host, static_cast<std::uint16_t>(port + i)}});
    return controllers;
}

}  // namespace

int run_broker(std::span<const std::string_view> words, const Console& console) {
    if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) {
        console.out(usage);
        return 0;
    }
    Arguments arguments;
    if (const auto error = parse(words, arguments)) return complain(console, error->text);
    const std::string cluster = to_string(uuid_from_halves(cluster_high, cluster_low));
    const auto controller_port =
        static_cast<std::uint16_t>(arguments.listen.port + arguments.brokers);

    // Signals are taken by this thread alone; the runtime's threads block them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    static runtime::Runtime* running = nullptr;
    runtime::Runtime runtime;
    running = &runtime;
    server::MetadataSettings metadata = metadata_settings(arguments, cluster, controller_port);
    const auto add_controller = [&](const std::string& name) {
        runtime.add_node({.name = name,
                          .factory = server::metadata_factory(metadata),
                          .shards = 1,
                          .root = arguments.directory + "/" + name,
                          .facts = nullptr,
                          .log = runtime::log_to_stderr(),
                          .seed = std::nullopt,
                          .attends = true});
    };
    metadata.voters = controllers_of(arguments, controller_port);
    metadata.stays_for_brokers = true;
    const std::vector<server::QuorumVoter> controllers = metadata.voters;
    if (controllers.empty()) add_controller("metadata");
    for (std::size_t i = 0; i < controllers.size(); ++i) {
        metadata.node = controllers[i].id;
        metadata.listen = controllers[i].at;
        add_controller(fmt::format("controller-{}", i + 1));
    }
    for (int i = 0; i < arguments.brokers; ++i) {
        server::BrokerSettings settings;
        settings.options = arguments.options;
        settings.options.node_id = i + 1;
        settings.listen = {arguments.listen.host,
                           static_cast<std::uint16_t>(arguments.listen.port + i)};
        settings.advertised = settings.listen;
        settings.controller = {arguments.listen.host, controller_port};
        settings.controllers = controllers;
        settings.cluster = cluster;
        settings.log_dirs.clear();
        for (std::uint32_t shard = 0; shard < arguments.shards; ++shard)
            settings.log_dirs.push_back(fmt::format("data-{}", shard));
        runtime.add_node({.name = fmt::format("broker-{}", i + 1),
                          .factory = server::broker_factory(settings),
                          .shards = arguments.shards,
                          .root = fmt::format("{}/broker-{}", arguments.directory, i + 1),
                          .facts = nullptr,
                          .log = runtime::log_to_stderr(),
                          .seed = std::nullopt,
                          .attends = false});
    }
    struct sigaction action {};
    action.sa_handler = [](int) {
        if (running != nullptr) running->ask_stop();
    };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    if (const Status started = runtime.start(); !started.ok()) {
        complain(console, started.error().text);
        return static_cast<int>(sim::Verdict::harness_error);
    }
    const int status = runtime.run();
    running = nullptr;
    return status;
}

}  // namespace klamm::command
