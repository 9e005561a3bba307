#include "bindings/command/broker.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/config/known_keys.h"
#include "core/config/options.h"
#include "core/controller/topic_control.h"
#include "core/runtime/runtime.h"
#include "core/server/broker.h"
#include "core/server/metadata_node.h"
#include "sim/judge/counts.h"

namespace klamm::command {

namespace {

constexpr std::string_view usage =
    "usage: klamm broker [FILE] [--set KEY=VALUE]... [--listen HOST:PORT] [--dir PATH]\n"
    "                    [--brokers N] [--controllers C] [--shards S] [--topic NAME] "
    "[--partitions P]\n"
    "\n"
    "A broker of Kafka's protocol, with its controller in the same process, on 127.0.0.1:9092 and\n"
    "9093; its data is kept under klamm-data, which is made at the first start. When clients can\n"
    "come it says so on standard output: `klamm broker: serving on HOST:PORT`. SIGTERM or ctrl-C\n"
    "stops it cleanly.\n"
    "\n"
    "FILE is a server.properties: node.id, listeners, log.dirs, num.partitions ... as in\n"
    "core/config/OPTIONS.md. A key there that is not served gets a warning; --set outranks the\n"
    "file, and takes only keys that are served. process.roles may be broker, controller or both;\n"
    "a broker or a controller alone needs controller.quorum.voters (id@host:port,...).\n"
    "\n"
    "--brokers: N brokers, from node.id on, one port after the other; behind them the controller.\n"
    "--controllers: C controllers that are a quorum, in place of the one. --topic: a topic of P\n"
    "partitions on all brokers, made at the first start.\n"
    "\n"
    "Exit status: 0 after a clean stop, 2 for what is wrong in FILE or in words, else that of the\n"
    "node that failed.\n";

constexpr int wrong_usage = 2;
constexpr std::uint64_t cluster_high = 0x6b6c616d6d2d6c6fULL;
constexpr std::uint64_t cluster_low = 0x63616c2d7465737ULL;

struct Arguments {
    int brokers = 1;
    env::Endpoint listen{"127.0.0.1", 9092};
    env::Endpoint advertised;              // port 0: as `listen`
    std::optional<env::Endpoint> control;  // where the controller listens, if the file says so
    std::string directory = "klamm-data";
    std::uint32_t shards = 1;
    std::string topic;  // empty: none is made
    int partitions = 1;
    int controllers = 0;                      // of a quorum; 0: a metadata node that is alone
    std::vector<server::QuorumVoter> voters;  // of other processes too
    bool is_broker = true;
    bool is_controller = true;
    config::BrokerOptions options;
    std::map<std::string, std::string> given;
};

int complain(const Console& console, std::string_view sentence) {
    console.err(fmt::format("klamm broker: {}\n", sentence));
    return wrong_usage;
}

Error refused(std::string text) { return {Failure::invalid, std::move(text)}; }

template <class Number>
bool parse_number(std::string_view text, Number low, Number high, Number& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && out >= low && out <= high;
}

/// "NAME://HOST:PORT" or "HOST:PORT"; the name, if there is one, goes to `name`.
bool parse_endpoint(std::string_view text, env::Endpoint& out, std::string* name = nullptr) {
    if (const auto scheme = text.find("://"); scheme != std::string_view::npos) {
        if (name != nullptr) *name = text.substr(0, scheme);
        text.remove_prefix(scheme + 3);
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return false;
    out.host = text.substr(0, colon);
    return parse_number<std::uint16_t>(text.substr(colon + 1), 1, 65'000, out.port);
}

/// Where a client finds a node that listens everywhere.
std::string own_host() {
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 && name[0] != 0 ? name : "localhost";
}

Status take_listeners(Arguments& arguments) {
    const config::BrokerOptions& options = arguments.options;
    const auto is_control = [&](const std::string& name) {
        const auto& names = options.controller_listener_names;
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    bool has_client = false;
    for (const std::string& listener : options.listeners) {
        std::string name;
        env::Endpoint at;
        if (!parse_endpoint(listener, at, &name))
            return refused(fmt::format("listeners: expected NAME://HOST:PORT, found {}", listener));
        if (is_control(name)) {
            arguments.control = at;
            if (arguments.control->host.empty()) arguments.control->host = "0.0.0.0";
            continue;
        }
        if (std::exchange(has_client, true))
            return refused(
                fmt::format("listeners: more than one listener for clients is not served "
                            "yet: {}",
                            listener));
        arguments.listen = at;
        if (at.host.empty()) {
            arguments.listen.host = "0.0.0.0";
            arguments.advertised = {own_host(), at.port};
        }
    }
    for (const std::string& listener : options.advertised_listeners) {
        std::string name;
        if (!parse_endpoint(listener, arguments.advertised, &name))
            return refused(
                fmt::format("advertised.listeners: expected NAME://HOST:PORT, found {}", listener));
        if (is_control(name)) arguments.advertised = {};
    }
    return {};
}

Status take_roles(Arguments& arguments) {
    const config::BrokerOptions& options = arguments.options;
    if (!options.process_roles.empty()) {
        arguments.is_broker = arguments.is_controller = false;
        for (const std::string& role : options.process_roles) {
            if (role != "broker" && role != "controller")
                return refused(
                    fmt::format("process.roles: expected broker or controller, found {}", role));
            (role == "broker" ? arguments.is_broker : arguments.is_controller) = true;
        }
    }
    for (const std::string& text : options.controller_quorum_voters) {
        server::QuorumVoter voter;
        std::int32_t id = 0;
        const auto at = text.find('@');
        if (at == std::string::npos ||
            !parse_number<std::int32_t>(std::string_view(text).substr(0, at), 0, INT32_MAX, id) ||
            !parse_endpoint(std::string_view(text).substr(at + 1), voter.at))
            return refused(
                fmt::format("controller.quorum.voters: expected ID@HOST:PORT, found {}", text));
        voter.id = BrokerId(id);
        arguments.voters.push_back(voter);
    }
    const bool both = arguments.is_broker && arguments.is_controller;
    if (both && arguments.voters.size() > 1)
        return refused(
            "a process that is broker and controller is not served in a quorum of several: make "
            "process.roles broker here, and controller in a process of its own");
    if (!both && arguments.voters.empty())
        return refused("process.roles: one role alone needs controller.quorum.voters");
    if (!both && (arguments.brokers > 1 || arguments.controllers > 0))
        return refused("--brokers and --controllers are for a process with both roles");
    if (both && !arguments.voters.empty()) {
        if (!arguments.control) arguments.control = arguments.voters.front().at;
        arguments.voters.clear();  // itself
    }
    return {};
}

Status set_option(Arguments& arguments, const std::string& key, const std::string& value) {
    KLAMM_TRY(config::set(arguments.options, key, value));
    arguments.given[key] = value;
    return {};
}

/// A file's keys that are not served are told once each, and do nothing.
Status read_file(Arguments& arguments, const std::string& path, const Console& console) {
    std::ifstream file(path);
    if (!file) return refused(fmt::format("{}: cannot be read", path));
    std::ostringstream text;
    text << file.rdbuf();
    const auto pairs = config::parse_properties(text.str());
    if (!pairs.ok()) return refused(fmt::format("{}: {}", path, pairs.error().text));
    std::set<std::string> told;
    for (const config::KeyValue& pair : *pairs) {
        const Status status = set_option(arguments, pair.key, pair.value);
        if (status.ok()) continue;
        if (status.failure() != Failure::not_found)
            return refused(fmt::format("{}: {}", path, status.error().text));
        if (!told.insert(pair.key).second) continue;
        console.err(fmt::format("klamm broker: {}: {} is {}; it does nothing\n", path, pair.key,
                                config::is_kafka_broker_key(pair.key)
                                    ? "an option of Kafka's that is not served yet"
                                    : "no option"));
    }
    return {};
}

Status set_word(Arguments& arguments, std::string_view word) {
    const auto pair = config::parse_key_value(word);
    if (!pair.ok()) return refused(fmt::format("--set {}: expected KEY=VALUE", word));
    const Status status = set_option(arguments, pair->key, pair->value);
    if (status.ok() || status.failure() != Failure::not_found) return status;
    return refused(fmt::format("--set {}: {}", word,
                               config::is_kafka_broker_key(pair->key)
                                   ? "an option of Kafka's that is not served yet"
                                   : "there is no such option"));
}

Status parse(std::span<const std::string_view> words, Arguments& arguments,
             const Console& console) {
    std::optional<env::Endpoint> listen;
    std::optional<std::string> directory;
    // The file first: words outrank it wherever they stand.
    std::size_t files = 0;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i].starts_with("--")) {
            ++i;
        } else {
            if (++files > 1) return refused(fmt::format("{}: one file is enough", words[i]));
            KLAMM_TRY(read_file(arguments, std::string(words[i]), console));
        }
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (!word.starts_with("--")) continue;
        constexpr std::string_view known[] = {"--brokers",     "--shards", "--partitions",
                                              "--controllers", "--listen", "--dir",
                                              "--topic",       "--set"};
        if (std::find(std::begin(known), std::end(known), word) == std::end(known))
            return refused(fmt::format("{}: no such option", word));
        if (i + 1 >= words.size()) return refused(fmt::format("{}: a value is missing", word));
        const std::string_view value = words[++i];
        bool good = true;
        if (word == "--brokers") {
            good = parse_number(value, 1, 64, arguments.brokers);
        } else if (word == "--shards") {
            good = parse_number<std::int32_t>(value, 1, 64, arguments.options.shards);
        } else if (word == "--partitions") {
            good = parse_number(value, 1, 10'000, arguments.partitions);
        } else if (word == "--controllers") {
            good = parse_number(value, 1, 9, arguments.controllers);
        } else if (word == "--listen") {
            good = parse_endpoint(value, listen.emplace());
        } else if (word == "--dir") {
            directory = value;
        } else if (word == "--topic") {
            good = !controller::topic_name_problem(value);
            arguments.topic = value;
        } else {
            KLAMM_TRY(set_word(arguments, value));
        }
        if (!good) return refused(fmt::format("{}: '{}' is not a lawful value", word, value));
    }
    KLAMM_TRY(config::check(arguments.options));
    if (arguments.given.contains("listeners")) KLAMM_TRY(take_listeners(arguments));
    KLAMM_TRY(take_roles(arguments));
    // No more brokers come to a cluster that is this process alone.
    if (arguments.is_broker && arguments.is_controller) {
        config::BrokerOptions& options = arguments.options;
        const auto bound = [&](const char* key, std::int32_t& value) {
            if (!arguments.given.contains(key)) value = std::min(value, arguments.brokers);
        };
        bound("offsets.topic.replication.factor", options.offsets_topic_replication_factor);
        bound("transaction.state.log.replication.factor",
              options.transaction_state_log_replication_factor);
        bound("transaction.state.log.min.isr", options.transaction_state_log_min_isr);
    }
    for (const char* key : {"log.dirs", "log.dir"})
        if (arguments.given.contains(key)) arguments.directory = arguments.options.log_dirs.front();
    if (arguments.given.contains("log.dirs") && arguments.options.log_dirs.size() > 1)
        return refused("log.dirs: more than one directory is not served yet");
    if (listen) {
        arguments.listen = *listen;
        if (listen->host.empty()) arguments.listen.host = "127.0.0.1";
        arguments.advertised = {};
    }
    if (directory) arguments.directory = *directory;
    arguments.shards = static_cast<std::uint32_t>(arguments.options.shards);
    return {};
}

server::MetadataSettings metadata_settings(const Arguments& arguments, const std::string& cluster,
                                           std::uint16_t port) {
    server::MetadataSettings settings;
    settings.listen = {arguments.listen.host, port};
    settings.cluster = cluster;
    const config::BrokerOptions& options = arguments.options;
    settings.session_timeout = milliseconds(options.broker_session_timeout_ms);
    settings.unclean_check_interval = milliseconds(options.unclean_leader_election_interval_ms);
    settings.topic_defaults = {options.num_partitions,
                               static_cast<std::int16_t>(options.default_replication_factor)};
    settings.deletes_topics = options.delete_topic_enable;
    settings.transaction_version = 2;
    settings.given = arguments.given;
    if (arguments.topic.empty()) return settings;
    server::TopicPlan topic;
    topic.name = arguments.topic;
    topic.id = uuid_from_halves(digest64(as_bytes(arguments.topic)) | 1, 1);
    for (int partition = 0; partition < arguments.partitions; ++partition) {
        metadata::BrokerIds replicas;
        for (int i = 0; i < arguments.brokers; ++i)
            replicas.push_back(BrokerId((partition + i) % arguments.brokers + options.node_id));
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
    if (const Status parsed = parse(words, arguments, console); !parsed.ok())
        return complain(console, parsed.error().text);
    const std::string cluster = to_string(uuid_from_halves(cluster_high, cluster_low));
    const auto controller_port =
        arguments.control ? arguments.control->port
                          : static_cast<std::uint16_t>(arguments.listen.port + arguments.brokers);
    const std::string control_host =
        arguments.control ? arguments.control->host : arguments.listen.host;

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
                          .attends = arguments.is_broker});
    };
    metadata.listen = {control_host, controller_port};
    metadata.voters =
        arguments.voters.empty() ? controllers_of(arguments, controller_port) : arguments.voters;
    metadata.stays_for_brokers = arguments.is_broker;
    const std::vector<server::QuorumVoter> controllers = metadata.voters;
    if (controllers.empty()) {
        add_controller("metadata");
    } else if (!arguments.is_broker) {
        const auto self = std::find_if(controllers.begin(), controllers.end(),
                                       [&](const server::QuorumVoter& voter) {
                                           return voter.id.value == arguments.options.node_id;
                                       });
        if (self == controllers.end())
            return complain(console, "node.id is not among controller.quorum.voters");
        metadata.node = self->id;
        metadata.listen = arguments.control.value_or(self->at);
        add_controller(fmt::format("controller-{}", self->id.value));
    } else if (arguments.is_controller) {
        for (std::size_t i = 0; i < controllers.size(); ++i) {
            metadata.node = controllers[i].id;
            metadata.listen = controllers[i].at;
            add_controller(fmt::format("controller-{}", i + 1));
        }
    }
    // The brokers say when they serve; whoever waits for all of them reads one line.
    std::atomic<int> starting{arguments.brokers};
    const std::string address = fmt::format("{}:{}", arguments.listen.host, arguments.listen.port);
    const runtime::LogSink to_stderr = runtime::log_to_stderr();
    const runtime::LogSink log = [&](std::string_view node, env::ShardIndex shard,
                                     std::string_view line) {
        to_stderr(node, shard, line);
        if (line.find(" is serving on port ") != std::string_view::npos && --starting == 0)
            console.out(fmt::format("klamm broker: serving on {}\n", address));
    };
    for (int i = 0; arguments.is_broker && i < arguments.brokers; ++i) {
        const auto offset = static_cast<std::uint16_t>(i);
        server::BrokerSettings settings;
        settings.options = arguments.options;
        settings.options.node_id += i;
        settings.listen = arguments.listen;
        settings.listen.port = static_cast<std::uint16_t>(settings.listen.port + offset);
        settings.given = arguments.given;
        settings.given["node.id"] = std::to_string(settings.options.node_id);
        settings.given["log.dirs"] = arguments.directory;
        if (!arguments.given.contains("listeners"))
            settings.given["listeners"] =
                fmt::format("PLAINTEXT://{}:{}", settings.listen.host, settings.listen.port);
        settings.advertised =
            arguments.advertised.port != 0 ? arguments.advertised : settings.listen;
        if (arguments.advertised.port != 0)
            settings.advertised.port =
                static_cast<std::uint16_t>(arguments.advertised.port + offset);
        settings.controller = {control_host == "0.0.0.0" ? "127.0.0.1" : control_host,
                               controller_port};
        settings.controllers = controllers;
        settings.cluster = cluster;
        settings.log_dirs.clear();
        for (std::uint32_t shard = 0; shard < arguments.shards; ++shard)
            settings.log_dirs.push_back(fmt::format("data-{}", shard));
        const std::string name = fmt::format("broker-{}", settings.options.node_id);
        runtime.add_node({.name = name,
                          .factory = server::broker_factory(settings),
                          .shards = arguments.shards,
                          .root = fmt::format("{}/{}", arguments.directory, name),
                          .facts = nullptr,
                          .log = log,
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
        (void)complain(console, started.error().text);
        return static_cast<int>(sim::Verdict::harness_error);
    }
    const int status = runtime.run();
    running = nullptr;
    return status;
}

}  // namespace klamm::command
