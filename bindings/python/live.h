#pragma once
// Real clusters from Python (bindings/live): documents for an administrator's questions and for
// recordings. Producers and consumers are bound as they are. Throws Trouble (trouble.h).

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/live/live_consumer.h"
#include "bindings/live/live_group.h"
#include "bindings/live/live_producer.h"
#include "bindings/live/recorder.h"

namespace klamm::python {

using LiveOptions = std::vector<std::pair<std::string, std::string>>;

/// Asks one thing: `what` is a function of live::Admin, `arguments` an object with what it takes.
/// Trouble: "ClusterRefused" with Kafka's name of the error before the sentence, parted by a
/// newline; "NotYet" when nobody answered.
std::string administer(const std::vector<std::string>& bootstrap, double seconds,
                       const std::string& what, const std::string& arguments,
                       const std::function<void()>& pulse);

std::unique_ptr<live::LiveProducer> make_producer(const std::vector<std::string>& bootstrap,
                                                  const LiveOptions& options, double max_block);
/// `begin`: "earliest" or "latest".
std::unique_ptr<live::LiveConsumer> make_consumer(const std::vector<std::string>& bootstrap,
                                                  const LiveOptions& options,
                                                  const std::vector<live::TopicAt>& assigned,
                                                  const std::string& begin);

/// `options` name the group.
std::unique_ptr<live::LiveGroup> make_member(const std::vector<std::string>& bootstrap,
                                             const LiveOptions& options,
                                             const std::vector<std::string>& topics);

/// Waits for what comes of an order; nothing when the time is up. `pulse` is asked now and then.
/// "AssertionFailed" when the client's thread has come to grief.
std::optional<live::Done> await(live::Mailbox& mailbox, std::uint64_t id, double seconds,
                                const std::function<void()>& pulse);

std::unique_ptr<live::Recorder> begin_recording(const std::vector<std::string>& bootstrap,
                                                const std::string& workload, double length,
                                                const std::string& topic, std::int16_t replication,
                                                double patience,
                                                const std::function<void()>& pulse);
/// A document ("topic", "violations", "totals", "read_to_end", "complaint", "idempotent"), and the
/// history as JSON lines.
std::pair<std::string, std::string> finish_recording(live::Recorder& recorder);

}  // namespace klamm::python
