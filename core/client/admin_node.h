#pragma once
// An administrator's client, as a node: asks the cluster one thing after another, and ends. Each
// question goes to any broker, or to the one it names, in the newest version that both speak; one
// whose answer is lost is asked again until the time is up, as Kafka's admin client does. It looks
// into no answer: whoever started it reads them.

#include <memory>
#include <variant>
#include <vector>

#include "core/client/cluster.h"
#include "core/protocol/messages/create_partitions.h"
#include "core/protocol/messages/create_topics.h"
#include "core/protocol/messages/delete_topics.h"
#include "core/protocol/messages/describe_cluster.h"
#include "core/protocol/messages/describe_configs.h"
#include "core/protocol/messages/describe_topic_partitions.h"
#include "core/protocol/messages/incremental_alter_configs.h"
#include "core/protocol/messages/metadata.h"

namespace klamm::client {

using AdminRequest =
    std::variant<protocol::MetadataRequest, protocol::CreateTopicsRequest,
                 protocol::DeleteTopicsRequest, protocol::CreatePartitionsRequest,
                 protocol::DescribeConfigsRequest, protocol::IncrementalAlterConfigsRequest,
                 protocol::DescribeClusterRequest, protocol::DescribeTopicPartitionsRequest>;

/// What its views lie in must outlive the node.
struct AdminCall {
    AdminRequest request;
    BrokerId to = no_broker;  // any
};

/// The answers so far, in the order of the calls.
struct AdminResults {
    std::vector<Reply> replies;
    /// Why there are not more: nobody answered in time, or nobody speaks the request.
    std::string problem;
};

class AdminNode final : public env::Node {
  public:
    /// Ends with status 0 when all calls are answered, else with 1 after `patience`. `results` must
    /// outlive the node.
    AdminNode(config::ClientOptions options, std::vector<AdminCall> calls, Duration patience,
              AdminResults& results);

    void handle(env::Env& env, env::Event event) override;

  private:
    void advance(env::Env& env);
    void learn_brokers(const Reply& reply);
    void end(env::Env& env, std::string problem);

    Cluster cluster_;
    std::vector<AdminCall> calls_;
    Duration patience_;
    AdminResults& results_;
    Instant deadline_ = instant_never;
    Instant not_before_{0};
    std::uint64_t sent_ = 0;  // questions, counting those that were lost
    bool waiting_ = false;    // for an answer
    bool looking_ = false;    // for the brokers' addresses
    bool looked_ = false;
    bool over_ = false;
};

}  // namespace klamm::client
