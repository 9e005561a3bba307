#include "core/client/admin_node.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/protocol/api_versions.h"

namespace klamm::client {

namespace {
constexpr std::uint64_t admin_entity = 0x61646d696eULL;
constexpr Duration admin_backoff = milliseconds(100);
}  // namespace

AdminNode::AdminNode(config::ClientOptions options, std::vector<AdminCall> calls, Duration patience,
                     AdminResults& results)
    : cluster_(std::move(options), admin_entity, 1),
      calls_(std::move(calls)),
      patience_(patience),
      results_(results) {}

void AdminNode::handle(env::Env& env, env::Event event) {
    if (over_) return;
    const Instant now = env.turn().now;
    if (std::holds_alternative<env::Started>(event)) deadline_ = now + patience_;
    std::vector<Reply> replies;
    (void)cluster_.handle(env, event, replies);
    cluster_.tick(env, replies);
    for (Reply& reply : replies) {
        if (reply.tag != sent_ || !waiting_) continue;
        waiting_ = false;
        if (std::exchange(looking_, false))
            learn_brokers(reply);
        else if (reply.answered)
            results_.replies.push_back(std::move(reply));
        else
            not_before_ = now + admin_backoff;
    }
    advance(env);
    if (!over_ && (now >= deadline_ || std::holds_alternative<env::StopAsked>(event))) {
        end(env, "no answer from the cluster");
    }
    if (over_) return;
    Instant wake = std::min(cluster_.deadline(), deadline_);
    if (!waiting_) wake = std::min(wake, std::max(not_before_, now + admin_backoff));
    env.wake_at(wake);
}

void AdminNode::advance(env::Env& env) {
    if (waiting_ || env.turn().now < not_before_) return;
    if (results_.replies.size() == calls_.size()) {
        over_ = true;
        return env.stop(0);
    }
    const AdminCall& call = calls_[results_.replies.size()];
    std::optional<BrokerId> to;
    if (call.to != no_broker && !cluster_.metadata().brokers().contains(call.to)) {
        if (looked_) return end(env, fmt::format("there is no broker {}", call.to.value));
        const auto any = cluster_.any_ready(env);
        if (!any) return;
        const auto version = cluster_.version(*any, protocol::ApiKey::describe_cluster, 0, 2);
        if (!version) return end(env, "the broker does not tell the others");
        waiting_ = looking_ = true;
        cluster_.send(env, *any, protocol::DescribeClusterRequest(), *version, ++sent_);
        return;
    }
    if (call.to == no_broker)
        to = cluster_.any_ready(env);
    else if (cluster_.ready(env, call.to))
        to = call.to;
    if (!to) return;
    std::visit(
        [&](const auto& request) {
            using Api = protocol::Api<std::decay_t<decltype(request)>>;
            const auto version =
                cluster_.version(*to, Api::key, static_cast<std::int16_t>(Api::version_min),
                                 static_cast<std::int16_t>(Api::version_max));
            if (!version) {
                results_.problem =
                    std::string("the broker does not serve ") + protocol::to_string(Api::key);
                over_ = true;
                return env.stop(1);
            }
            waiting_ = true;
            cluster_.send(env, *to, request, *version, ++sent_);
        },
        call.request);
}

void AdminNode::end(env::Env& env, std::string problem) {
    results_.problem = std::move(problem);
    over_ = true;
    env.stop(1);
}

void AdminNode::learn_brokers(const Reply& reply) {
    const auto response = decode_reply<protocol::DescribeClusterResponse>(reply);
    if (!response.ok()) return;
    looked_ = true;
    for (const auto& broker : response->brokers)
        cluster_.learn_broker(broker.broker_id,
                              {std::string(broker.host), static_cast<std::uint16_t>(broker.port)});
}

}  // namespace klamm::client
