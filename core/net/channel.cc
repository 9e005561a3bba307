#include "core/net/channel.h"

#include <algorithm>

namespace klamm::net {

void Channel::ensure(env::Env& env) {
    if (state_ != State::idle) return;
    if (env.turn().now < backoff_until_) return;
    state_ = State::connecting;
    ++attempts_;
    connect_deadline_ = env.turn().now + options_.connect_timeout;
    connection_ = env.network().connect(to_);
}

void Channel::send(env::Env& env, std::int16_t api_key, std::int16_t api_version, Pieces frame,
                   std::uint64_t tag, bool answered, Duration longer) {
    KLAMM_ASSERT(open());
    const Instant deadline = env.turn().now + options_.request_timeout + longer;
    if (answered) in_flight_.push_back({correlation_, api_key, api_version, tag, deadline});
    if (answered && env.turn().maybe(Site::line_gives_up, fold64(draw_entity_, attempts_),
                                     static_cast<std::uint64_t>(correlation_)))
        in_flight_.back().deadline = env.turn().now + options_.request_timeout / 16;
    correlation_ = correlation_ == INT32_MAX ? 1 : correlation_ + 1;
    env.network().send(connection_, std::move(frame), 0);
}

bool Channel::connected(env::Env& env, const env::Connected& event) {
    if (event.connection != connection_ || state_ != State::connecting) return false;
    state_ = State::open;
    connect_deadline_ = instant_never;
    reader_.begin(env.network(), connection_);
    return true;
}

bool Channel::received(env::Env& env, const env::Received& event, std::vector<Answer>& answers,
                       std::vector<Sent>& failed) {
    if (event.connection != connection_ || state_ != State::open) return false;
    auto frame = reader_.received(env.network(), connection_, event.count);
    if (frame.ok() && !frame->has_value()) return true;
    const bool in_order =
        frame.ok() && (*frame)->size() >= 4 && !in_flight_.empty() &&
        load_big_endian<std::int32_t>((*frame)->data()) == in_flight_.front().correlation;
    if (!in_order) {
        env.log("closing a connection to " + to_.host + ": the answer does not fit its request");
        close(env, failed);
        return true;
    }
    failures_ = 0;
    answers.push_back({in_flight_.front(), std::move(**frame)});
    in_flight_.pop_front();
    reader_.begin(env.network(), connection_);
    return true;
}

bool Channel::closed(env::Env& env, const env::Closed& event, std::vector<Sent>& failed) {
    if (event.connection != connection_ || state_ == State::idle) return false;
    lost(env, failed);
    return true;
}

Instant Channel::deadline() const {
    if (state_ == State::idle) return backoff_until_;
    if (state_ == State::connecting) return connect_deadline_;
    return in_flight_.empty() ? instant_never : in_flight_.front().deadline;
}

void Channel::tick(env::Env& env, std::vector<Sent>& failed) {
    if (state_ == State::idle || env.turn().now < deadline()) return;
    close(env, failed);
}

void Channel::close(env::Env& env, std::vector<Sent>& failed) {
    if (state_ == State::idle) return;
    env.network().close(connection_);
    lost(env, failed);
}

void Channel::lost(env::Env& env, std::vector<Sent>& failed) {
    failed.insert(failed.end(), in_flight_.begin(), in_flight_.end());
    in_flight_.clear();
    state_ = State::idle;
    connection_ = env::ConnectionId::none;
    connect_deadline_ = instant_never;
    const std::int64_t doublings = std::min<std::int64_t>(failures_++, 16);
    const Duration full =
        std::min(options_.backoff_min * (std::int64_t{1} << doublings), options_.backoff_max);
    // Kafka's exponential back-off with 20 % jitter.
    const std::int64_t off = env.turn().draws.between(
        0, full.nanoseconds / 5, draw_domain("net.channel.backoff"), draw_entity_, attempts_);
    backoff_until_ = env.turn().now + Duration{full.nanoseconds - off};
}

}  // namespace klamm::net
