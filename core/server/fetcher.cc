#include "core/server/fetcher.h"

#include <algorithm>

#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/list_offsets.h"

namespace klamm::server {

namespace {

constexpr int replica_fetch_version = 17;
constexpr int list_offsets_version = 10;
enum Tag : std::uint64_t { fetch_tag = 1, ends_tag = 2 };

net::ChannelOptions line_options(const config::BrokerOptions& options) {
    net::ChannelOptions line;
    line.request_timeout = milliseconds(options.replica_socket_timeout_ms);
    return line;
}

}  // namespace

Fetcher::Fetcher(Context& context, Partitions& partitions, BrokerId leader,
                 const env::Endpoint& endpoint)
    : context_(context),
      hosts_(partitions),
      leader_(leader),
      line_(endpoint, line_options(context.settings.options),
            (static_cast<std::uint64_t>(context.settings.options.node_id) << 32) |
                (static_cast<std::uint64_t>(leader.value) << 8) | context.env().shard()) {}

void Fetcher::close() {
    std::vector<net::Sent> sent;
    line_.close(context_.env(), sent);
}

bool Fetcher::connected(const env::Connected& event) {
    if (!line_.connected(context_.env(), event)) return false;
    tick();
    return true;
}

bool Fetcher::received(const env::Received& event) {
    std::vector<net::Answer> answers;
    std::vector<net::Sent> failed;
    if (!line_.received(context_.env(), event, answers, failed)) return false;
    for (const net::Answer& answer : answers) {
        if (answer.request.tag == fetch_tag)
            on_fetch(answer);
        else
            on_ends(answer);
    }
    lost(failed);
    tick();
    return true;
}

bool Fetcher::closed(const env::Closed& event) {
    std::vector<net::Sent> failed;
    if (!line_.closed(context_.env(), event, failed)) return false;
    lost(failed);
    tick();
    return true;
}

void Fetcher::tick() {
    std::vector<net::Sent> failed;
    line_.tick(context_.env(), failed);
    lost(failed);
    wanted_ = !hosts_.following(leader_).empty();
    if (!wanted_) return;
    line_.ensure(context_.env());
    if (!ends_asked_ && !ends_wanted_.empty() && line_.can_send()) send_ends();
    if (!fetching_ && line_.can_send()) send_fetch();
}

Instant Fetcher::deadline_min() const {
    // A line that nobody needs is not opened again.
    Instant first = wanted_ || line_.in_flight() > 0 ? line_.deadline() : instant_never;
    const auto next = held_until_.lower_bound({context_.now() + nanoseconds(1), TopicPartition{}});
    if (next != held_until_.end()) first = std::min(first, next->first);
    return first;
}

void Fetcher::send_fetch() {
    const config::BrokerOptions& options = context_.settings.options;
    protocol::FetchRequest request;
    request.replica_state = {.replica_id = context_.self(), .replica_epoch = context_.broker_epoch};
    request.max_wait_ms = options.replica_fetch_wait_max_ms;
    request.min_bytes = options.replica_fetch_min_bytes;
    request.max_bytes = options.replica_fetch_response_max_bytes;
    asked_.positions.clear();
    for (const auto& [id, host] : hosts_.following(leader_)) {
        if (ends_wanted_.contains(id)) continue;
        const auto position = host->next_fetch();
        if (!position || held(id, position->current_leader_epoch)) continue;
        protocol::FetchRequestPartition partition;
        partition.partition = id.partition;
        partition.current_leader_epoch = position->current_leader_epoch;
        partition.fetch_offset = position->fetch_offset;
        partition.last_fetched_epoch = position->last_fetched_epoch;
        partition.log_start_offset = position->log_start;
        partition.partition_max_bytes = options.replica_fetch_max_bytes;
        if (request.topics.empty() || request.topics.back().topic_id != id.topic)
            request.topics.push_back({.topic = {}, .topic_id = id.topic, .partitions = {}});
        request.topics.back().partitions.push_back(partition);
        asked_.positions.emplace(id, *position);
    }
    if (asked_.positions.empty()) return;
    fetching_ = true;
    line_.send(context_.env(), request, replica_fetch_version, "fetcher", fetch_tag);
}

void Fetcher::on_fetch(const net::Answer& answer) {
    fetching_ = false;
    const auto response = protocol::decode_response_frame<protocol::FetchResponse>(
        answer.frame, answer.request.api_version, answer.request.correlation);
    if (!response.ok() || response->error_code != ErrorCode::none) {
        for (const auto& [id, position] : asked_.positions) back_off(id);
        return;
    }
    for (const auto& topic : response->responses) {
        for (const auto& partition : topic.partitions) {
            const TopicPartition id{topic.topic_id, partition.partition_index};
            const auto asked = asked_.positions.find(id);
            ReplicaHost* host = hosts_.find(id);
            if (asked == asked_.positions.end() || host == nullptr) continue;
            // It may follow somebody else by now; the epoch in `asked` would tell, this is sooner.
            if (host->fetches_from() != leader_) continue;
            replica::FetchAnswer said{.error = partition.error_code,
                                      .asked = asked->second,
                                      .diverging = std::nullopt,
                                      .high_watermark = partition.high_watermark,
                                      .log_start = partition.log_start_offset};
            if (partition.diverging_epoch.end_offset != no_offset)
                said.diverging = log::EpochEnd{partition.diverging_epoch.epoch,
                                               partition.diverging_epoch.end_offset};
            const Buffer records = answer.frame.slice_of(partition.records.bytes);
            switch (host->on_fetched(said, records)) {
                case ReplicaHost::Next::fetch:
                    if (context_.turn().maybe(
                            Site::follower_rests, static_cast<std::uint64_t>(id.partition.value),
                            static_cast<std::uint64_t>(asked->second.fetch_offset.value)))
                        back_off(id);
                    break;
                case ReplicaHost::Next::back_off: back_off(id); break;
                case ReplicaHost::Next::ask_ends: ends_wanted_.insert(id); break;
            }
        }
    }
}

void Fetcher::send_ends() {
    const TopicPartition id = leader_start_ ? leader_start_->first : *ends_wanted_.begin();
    const ReplicaHost* host = hosts_.find(id);
    const metadata::TopicImage* topic = context_.image->topic(id.topic);
    if (host == nullptr || topic == nullptr || host->fetches_from() != leader_) {
        ends_wanted_.erase(id);
        leader_start_.reset();
        return;
    }
    const auto position = host->next_fetch();
    protocol::ListOffsetsRequest request;
    request.replica_id = context_.self();
    protocol::ListOffsetsRequestPartition partition;
    partition.partition_index = id.partition;
    if (position) partition.current_leader_epoch = position->current_leader_epoch;
    partition.timestamp = Timestamp(leader_start_ ? latest_time : earliest_time);
    request.topics.push_back({.name = topic->name, .partitions = {partition}});
    ends_asked_ = id;
    line_.send(context_.env(), request, list_offsets_version, "fetcher", ends_tag);
}

void Fetcher::on_ends(const net::Answer& answer) {
    const TopicPartition id = *std::exchange(ends_asked_, std::nullopt);
    const auto response = protocol::decode_response_frame<protocol::ListOffsetsResponse>(
        answer.frame, answer.request.api_version, answer.request.correlation);
    const bool sound = response.ok() && response->topics.size() == 1 &&
                       response->topics.front().partitions.size() == 1 &&
                       response->topics.front().partitions.front().error_code == ErrorCode::none;
    if (!sound) {
        leader_start_.reset();
        ends_wanted_.erase(id);
        return back_off(id);
    }
    const Offset offset = response->topics.front().partitions.front().offset;
    if (!leader_start_) {
        leader_start_.emplace(id, offset);  // LATEST is next
        return;
    }
    const Offset start = std::exchange(leader_start_, std::nullopt)->second;
    ends_wanted_.erase(id);
    if (ReplicaHost* host = hosts_.find(id); host != nullptr && host->fetches_from() == leader_)
        host->on_leader_ends(start, offset);
}

void Fetcher::lost(const std::vector<net::Sent>& sent) {
    for (const net::Sent& request : sent) {
        if (request.tag == fetch_tag) {
            fetching_ = false;
        } else {
            ends_asked_.reset();
            leader_start_.reset();
        }
    }
}

void Fetcher::back_off(const TopicPartition& partition) {
    const auto asked = asked_.positions.find(partition);
    const LeaderEpoch epoch =
        asked == asked_.positions.end() ? no_leader_epoch : asked->second.current_leader_epoch;
    const Duration pause = milliseconds(context_.settings.options.replica_fetch_backoff_ms);
    if (const auto at = held_.find(partition); at != held_.end()) release(at);
    held_[partition] = {context_.now() + pause, epoch};
    held_until_.emplace(context_.now() + pause, partition);
}

bool Fetcher::held(const TopicPartition& partition, LeaderEpoch epoch) {
    const auto at = held_.find(partition);
    if (at == held_.end()) return false;
    if (at->second.until > context_.now() && at->second.epoch == epoch) return true;
    release(at);
    return false;
}

void Fetcher::release(std::map<TopicPartition, Held>::iterator row) {
    held_until_.erase({row->second.until, row->first});
    held_.erase(row);
}

}  // namespace klamm::server
