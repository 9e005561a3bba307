// The module klamm._klamm: the doors of driven_world.h and runs.h, nothing more. Documents cross as
// JSON text; klamm/*.py makes objects of them.
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <utility>

#include "bindings/live/live_group.h"
#include "bindings/python/driven_world.h"
#include "bindings/python/explain.h"
#include "bindings/python/live.h"
#include "bindings/python/machines.h"
#include "bindings/python/rules.h"
#include "bindings/python/runs.h"
#include "bindings/python/trouble.h"
#include "core/base/assert.h"

namespace py = pybind11;

namespace klamm::python {

namespace {

/// Ctrl-C, while C++ runs.
void pulse() {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

/// The same, while the interpreter is let go for other threads.
void pulse_without_lock() {
    const py::gil_scoped_acquire lock;
    pulse();
}

/// An assertion outside of any simulated node's turn. The interpreter lives on.
void throw_trouble(const AssertionPlace& place) {
    throw Trouble("AssertionFailed", std::string("an assertion failed: ") + place.condition + " (" +
                                         place.file + ":" + std::to_string(place.line) + ")");
}

py::bytes bytes_of(const Bytes& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes bytes_from(const py::bytes& from) {
    const auto view = static_cast<std::string_view>(from);
    return {view.begin(), view.end()};
}

using Options = std::vector<std::pair<std::string, std::string>>;

void define_world(py::module_& module) {
    py::class_<DrivenWorld>(module, "World")
        .def(py::init([](const std::string& scenario, const std::string& topic,
                         std::uint32_t replication, std::uint64_t seed, const std::string& plant,
                         bool idempotent, bool history, bool trace, bool requests) {
                 Setup setup;
                 setup.scenario = scenario;
                 setup.topic = topic;
                 setup.replication = replication;
                 setup.seed = seed;
                 setup.plant = plant;
                 setup.idempotent = idempotent;
                 setup.keep_history = history;
                 setup.keep_trace = trace;
                 setup.watch_requests = requests;
                 setup.pulse = pulse;
                 return std::make_unique<DrivenWorld>(std::move(setup));
             }),
             py::arg("scenario"), py::arg("topic"), py::arg("replication"), py::arg("seed"),
             py::arg("plant"), py::arg("idempotent"), py::arg("history"), py::arg("trace"),
             py::arg("requests"))
        .def_property_readonly("now", &DrivenWorld::now)
        .def_property_readonly("events", &DrivenWorld::events)
        .def_property_readonly("hash", &DrivenWorld::hash)
        .def_property_readonly("over", &DrivenWorld::over)
        .def("run_to", &DrivenWorld::run_to, py::arg("until"), py::arg("event") = py::none())
        .def("run_until_well", &DrivenWorld::run_until_well)
        .def("act", &DrivenWorld::act)
        .def("mend", &DrivenWorld::mend)
        .def("add_producer", &DrivenWorld::add_producer)
        .def("add_consumer", &DrivenWorld::add_consumer)
        .def("send",
             [](DrivenWorld& world, std::uint32_t client, std::int32_t partition,
                const std::optional<py::bytes>& key, const py::bytes& value) {
                 std::optional<Bytes> owned;
                 if (key.has_value()) owned = bytes_from(*key);
                 return world.send(client, partition, std::move(owned), bytes_from(value));
             })
        .def("send_out_of_turn", &DrivenWorld::send_out_of_turn)
        .def("sent",
             [](DrivenWorld& world, std::uint32_t client, std::uint32_t number,
                std::int64_t limit) -> py::object {
                 const Sent sent = world.sent(client, number, limit);
                 if (!sent.over) return py::none();
                 return py::make_tuple(sent.outcome, sent.offset, sent.error);
             })
        .def("read", &DrivenWorld::read)
        .def("polled",
             [](DrivenWorld& world, std::uint32_t client, std::uint64_t operation,
                std::int64_t limit) -> py::object {
                 const Polled polled = world.polled(client, operation, limit);
                 if (!polled.over) return py::none();
                 py::list records;
                 for (const Read& one : polled.records)
                     records.append(py::make_tuple(
                         one.offset, one.timestamp,
                         one.key.has_value() ? py::object(bytes_of(*one.key)) : py::none(),
                         bytes_of(one.value)));
                 return py::make_tuple(polled.error, polled.reset, polled.offset, polled.log_start,
                                       polled.high_watermark, records);
             })
        .def("position", &DrivenWorld::position)
        .def("partition", &DrivenWorld::partition)
        .def("nodes", &DrivenWorld::nodes)
        .def("bill", &DrivenWorld::bill)
        .def("counts", &DrivenWorld::counts)
        .def("violations", &DrivenWorld::violations)
        .def("history", &DrivenWorld::history)
        .def("trace", &DrivenWorld::trace)
        .def("checkpoints", &DrivenWorld::checkpoints)
        .def("subscribe", &DrivenWorld::subscribe)
        .def("unsubscribe", &DrivenWorld::unsubscribe)
        .def("keep_events", &DrivenWorld::keep_events)
        .def("kept_events", &DrivenWorld::kept_events)
        .def("verdict", &DrivenWorld::verdict);
}

void define_runs(py::module_& module) {
    module.def("run_seeds", [](const std::string& source, const std::vector<std::uint64_t>& seeds,
                               std::size_t jobs,
                               const std::function<void(std::size_t, const std::string&)>& take) {
        run_seeds(source, seeds, jobs, take, pulse);
    });
    module.def("output_of", &output_of);
    module.def("shrink_run", [](const std::string& source, std::uint64_t replays_max,
                                const std::function<void(const std::string&)>& progress) {
        return shrink_run(source, replays_max, progress, pulse);
    });
    module.def("check_scenario", &check_scenario);
    module.def("catalogue", &catalogue);
    module.def("fact_names", &fact_names);
    module.def("in_child", [](const py::function& job, double cpu_seconds) {
        const auto call = [&job] { return static_cast<std::string>(py::bytes(job())); };
        const auto after = [](bool child) {
            if (child)
                PyOS_AfterFork_Child();
            else
                PyOS_AfterFork_Parent();
        };
        return py::bytes(in_child(call, cpu_seconds, PyOS_BeforeFork, after));
    });
    module.def("first_difference",
               [](const py::function& checkpoints_one, const py::function& events_one,
                  const py::function& checkpoints_other, const py::function& events_other) {
                   const auto side = [](const char* name, const py::function& checkpoints,
                                        const py::function& events) {
                       return Side{name,
                                   [&checkpoints] { return checkpoints().cast<std::string>(); },
                                   [&events](std::uint64_t from, std::uint64_t to) {
                                       return events(from, to).cast<std::vector<std::string>>();
                                   }};
                   };
                   return first_difference(side("one", checkpoints_one, events_one),
                                           side("other", checkpoints_other, events_other));
               });
    module.def("judge_log", &judge_log);
    module.def("judge_operations", &judge_operations);
}

using Unlocked = py::call_guard<py::gil_scoped_release>;

/// What came of an order, as a tuple: outcome, error, offset; records of a poll; positions.
py::object wait_for(live::Mailbox& mailbox, std::uint64_t id, double seconds) {
    std::optional<live::Done> done;
    {
        const py::gil_scoped_release others;
        done = await(mailbox, id, seconds, pulse_without_lock);
    }
    if (!done.has_value()) return py::none();
    constexpr const char* outcomes[] = {"ok", "failed", "unknown"};
    py::list records;
    for (const live::TakenRecord& one : done->records)
        records.append(
            py::make_tuple(one.at.topic, one.at.partition, one.offset.value, one.timestamp.value,
                           one.key.has_value() ? py::object(bytes_of(*one.key)) : py::none(),
                           bytes_of(one.value)));
    py::dict positions;
    for (const auto& [at, offset] : done->positions)
        positions[py::make_tuple(at.topic, at.partition)] = offset.value;
    py::list news;
    for (const live::News& one : done->news) {
        py::list partitions;
        for (const live::TopicAt& at : one.partitions)
            partitions.append(py::make_tuple(at.topic, at.partition));
        news.append(
            py::make_tuple(one.what, partitions, one.generation, protocol::to_string(one.error)));
    }
    return py::make_tuple(outcomes[static_cast<std::size_t>(done->outcome)],
                          protocol::to_string(done->error), done->offset.value, records, positions,
                          news);
}

using Assigned = std::vector<std::pair<std::string, std::int32_t>>;

void define_group(py::module_& module) {
    using live::LiveGroup;
    const auto patience_of = [](double seconds) {
        return nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
    };
    py::class_<LiveGroup>(module, "LiveGroup")
        .def(py::init(&make_member))
        .def("poll",
             [patience_of](LiveGroup& member, double seconds, std::size_t records_max) {
                 return member.poll(patience_of(seconds), records_max);
             })
        .def("go_on", &LiveGroup::go_on)
        .def("commit",
             [patience_of](
                 LiveGroup& member,
                 const std::optional<std::map<std::pair<std::string, std::int32_t>, std::int64_t>>&
                     offsets,
                 double seconds) {
                 std::optional<std::map<live::TopicAt, Offset>> named;
                 if (offsets) {
                     named.emplace();
                     for (const auto& [at, offset] : *offsets)
                         (*named)[{at.first, at.second}] = Offset(offset);
                 }
                 return member.commit(std::move(named), patience_of(seconds));
             })
        .def("ask_committed",
             [patience_of](LiveGroup& member, const Assigned& of, double seconds) {
                 std::set<live::TopicAt> named;
                 for (const auto& [topic, partition] : of) named.insert({topic, partition});
                 return member.ask_committed(std::move(named), patience_of(seconds));
             })
        .def("ask_positions", &LiveGroup::ask_positions)
        .def("seek",
             [](LiveGroup& member, const std::string& topic, std::int32_t partition,
                std::int64_t offset) {
                 return member.seek({topic, partition}, Offset(offset));
             })
        .def("leave", &LiveGroup::leave)
        .def("wait", [](LiveGroup& member, std::uint64_t id, double seconds) {
            return wait_for(member.mailbox(), id, seconds);
        });
}

void define_live(py::module_& module) {
    module.def(
        "administer",
        [](const std::vector<std::string>& bootstrap, double seconds, const std::string& what,
           const std::string& arguments) {
            return administer(bootstrap, seconds, what, arguments, pulse_without_lock);
        },
        Unlocked());
    py::class_<live::LiveProducer>(module, "LiveProducer")
        .def(py::init(&make_producer))
        .def("send",
             [](live::LiveProducer& producer, const std::string& topic, std::int32_t partition,
                const std::optional<py::bytes>& key, const py::bytes& value) {
                 std::optional<Bytes> owned;
                 if (key.has_value()) owned = bytes_from(*key);
                 return producer.send({topic, partition}, std::move(owned), bytes_from(value));
             })
        .def("flush", &live::LiveProducer::flush)
        .def("wait", [](live::LiveProducer& producer, std::uint64_t id,
                        double seconds) { return wait_for(producer.mailbox(), id, seconds); })
        .def("forget",
             [](live::LiveProducer& producer, std::uint64_t id) { producer.mailbox().forget(id); });
    py::class_<live::LiveConsumer>(module, "LiveConsumer")
        .def(py::init([](const std::vector<std::string>& bootstrap, const LiveOptions& options,
                         const std::vector<std::pair<std::string, std::int32_t>>& assigned,
                         const std::string& begin) {
            std::vector<live::TopicAt> all;
            for (const auto& [topic, partition] : assigned) all.push_back({topic, partition});
            return make_consumer(bootstrap, options, all, begin);
        }))
        .def("poll",
             [](live::LiveConsumer& consumer, double seconds, std::size_t records_max) {
                 const auto patience = nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
                 return consumer.poll(patience, records_max);
             })
        .def("seek",
             [](live::LiveConsumer& consumer, const std::string& topic, std::int32_t partition,
                std::int64_t offset) {
                 return consumer.seek({topic, partition}, Offset(offset));
             })
        .def("seek_to_end",
             [](live::LiveConsumer& consumer, const std::string& topic, std::int32_t partition,
                bool earliest) {
                 return consumer.seek({topic, partition}, earliest ? config::OffsetReset::earliest
                                                                   : config::OffsetReset::latest);
             })
        .def("ask_offset",
             [](live::LiveConsumer& consumer, const std::string& topic, std::int32_t partition,
                std::int64_t time) {
                 return consumer.ask_offset({topic, partition}, Timestamp(time));
             })
        .def("ask_positions", &live::LiveConsumer::ask_positions)
        .def("wait", [](live::LiveConsumer& consumer, std::uint64_t id, double seconds) {
            return wait_for(consumer.mailbox(), id, seconds);
        });
    py::class_<live::Recorder>(module, "Recorder")
        .def(py::init([](const std::vector<std::string>& bootstrap, const std::string& workload,
                         double length, const std::string& topic, std::int16_t replication,
                         double patience) {
            const py::gil_scoped_release others;
            return begin_recording(bootstrap, workload, length, topic, replication, patience,
                                   pulse_without_lock);
        }))
        .def_property_readonly("topic", &live::Recorder::topic)
        .def_property_readonly("running", &live::Recorder::running)
        .def("stop_early", &live::Recorder::stop_early)
        .def("finish", &finish_recording, Unlocked());
}

void define_explanations(py::module_& module) {
    module.def("explain_why",
               [](const std::string& source, std::uint32_t branches, std::uint32_t moments,
                  std::size_t jobs, const Progress& progress) {
                   return explain_why(source, branches, moments, jobs, progress, pulse);
               });
    module.def("compare_runs", &compare_runs);
    module.def("visit_zoo",
               [](const std::string& options, const Progress& row, const Progress& progress) {
                   return visit_zoo(options, row, progress, pulse);
               });
    module.def("search_distance", [](const std::string& config, std::uint32_t faults_max,
                                     std::size_t jobs, bool remedies, const Progress& progress) {
        return search_distance(config, faults_max, jobs, remedies, progress, pulse);
    });
    module.def("export_run", &export_run);
}

void define_machines(py::module_& module) {
    py::class_<QuorumRules>(module, "QuorumRules")
        .def(py::init([](std::int32_t replicas, bool dynamic, bool sync_logs, bool sync_states,
                         bool find_leader, std::uint64_t seed, const std::string& plant) {
            return std::make_unique<QuorumRules>(
                QuorumSetup{replicas, dynamic, sync_logs, sync_states, find_leader, seed, plant});
        }))
        .def("act", &QuorumRules::act)
        .def("settle", &QuorumRules::settle)
        .def("state", &QuorumRules::state);
    py::class_<GroupRules>(module, "GroupRules")
        .def(py::init<std::int64_t, bool>())
        .def("ask", &GroupRules::ask)
        .def("take_answers", &GroupRules::take_answers)
        .def("wait", &GroupRules::wait)
        .def("replicate", &GroupRules::replicate)
        .def("fail_appends", &GroupRules::fail_appends)
        .def("fail_over", &GroupRules::fail_over)
        .def("state", &GroupRules::state);
}

void define_rules(py::module_& module) {
    py::class_<LeaderRules>(module, "LeaderRules")
        .def(py::init([](const std::vector<std::int32_t>& replicas,
                         const std::vector<std::int32_t>& isr, std::int32_t min_isr,
                         std::int64_t log_end, std::int64_t high_watermark, bool flush_each,
                         std::int64_t lag_max_ns, const std::string& plant) {
            return std::make_unique<LeaderRules>(LeaderSetup{
                replicas, isr, min_isr, log_end, high_watermark, flush_each, lag_max_ns, plant});
        }))
        .def("append", &LeaderRules::append)
        .def("flush", &LeaderRules::flush)
        .def("fetch", &LeaderRules::fetch)
        .def("wait", &LeaderRules::wait)
        .def("answer", &LeaderRules::answer)
        .def("fence", &LeaderRules::fence)
        .def("acks_all", &LeaderRules::acks_all)
        .def("admit", &LeaderRules::admit)
        .def("state", &LeaderRules::state);
}

}  // namespace

}  // namespace klamm::python

PYBIND11_MODULE(_klamm, module) {
    using namespace klamm::python;
    klamm::install_assertion_handler(&throw_trouble);
    py::register_exception_translator([](std::exception_ptr raised) {
        try {
            if (raised) std::rethrow_exception(raised);
        } catch (const Trouble& trouble) {
            const py::object type = py::module_::import("klamm._errors").attr(trouble.name.c_str());
            PyErr_SetString(type.ptr(), trouble.what());
        }
    });
    define_world(module);
    define_runs(module);
    define_live(module);
    define_group(module);
    define_explanations(module);
    define_machines(module);
    define_rules(module);
}
