// See shard.h.

#include "core/runtime/shard.h"

#include <signal.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <utility>

namespace klamm::runtime {

namespace {

using SteadyClock = std::chrono::steady_clock;

Instant steady_now() {
    return {
        std::chrono::duration_cast<std::chrono::nanoseconds>(SteadyClock::now().time_since_epoch())
            .count()};
}

Timestamp wall_now() {
    return Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count());
}

}  // namespace

/// Waits for the operator's request, which stays readable for all shards.
struct Shard::StopWatch {
    explicit StopWatch(asio::io_context& loop) : descriptor(loop) {}
    asio::posix::stream_descriptor descriptor;
};

Shard::Shard(Host& host, env::ShardIndex index)
    : host_(host),
      index_(index),
      loop_(1),
      disk_(host.root, effects_),
      sockets_(loop_, *this, host.spec.shards > 1 ? &host.ports : nullptr),
      timer_(loop_) {
    turn_.draws = Draws(host.seed);
    turn_.facts = host.spec.facts;
}

Shard::~Shard() { KLAMM_ASSERT(!thread_.joinable()); }

// --- The thread

void Shard::start(int stop_event) {
    stop_watch_ = std::make_unique<StopWatch>(loop_);
    watch_for_stop(stop_event);
    thread_ = std::thread([this] {
        node_ = host_.spec.factory(index_, host_.spec.shards);
        KLAMM_ASSERT(node_ != nullptr);
        deliver(env::Started{host_.incarnation});
        if (!finished_) {
            const auto stay = asio::make_work_guard(loop_);
            loop_.run();
        }
    });
}

void Shard::watch_for_stop(int stop_event) {
    SystemError failed;
    stop_watch_->descriptor.assign(::dup(stop_event), failed);
    KLAMM_ASSERT(!failed);
    stop_watch_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                       [this](const SystemError& stopped) {
                                           if (!stopped) deliver(env::StopAsked{});
                                       });
}

void Shard::end() {
    asio::post(loop_, [this] { finish(); });
}

void Shard::join() {
    if (thread_.joinable()) thread_.join();
}

void Shard::post(env::Event event) {
    asio::post(loop_, [this, event = std::move(event)]() mutable { deliver(std::move(event)); });
}

void Shard::finish() {
    if (finished_) return;
    finished_ = true;
    node_.reset();
    sockets_.close_all();
    disk_.close_all();
    timer_.cancel();
    stop_watch_.reset();
    loop_.stop();
    host_.shard_ended();
}

// --- The turn

void Shard::deliver(env::Event event) {
    if (finished_) return;
    KLAMM_ASSERT(!in_turn_);
    in_turn_ = true;
    turn_.now = steady_now();
    turn_.wall = wall_now();
    node_->handle(*this, std::move(event));
    carry_out_effects();
    in_turn_ = false;
    if (effects_.stop.has_value()) {
        host_.stop_asked(*effects_.stop);
        finish();
    }
    effects_.clear();
}

void Shard::carry_out_effects() {
    effects_under_way_.swap(effects_.in_order);
    for (Effect& effect : effects_under_way_) {
        std::visit([this](auto& asked) { carry_out(asked); }, effect);
    }
    sockets_.pump_asked();
    effects_under_way_.clear();
    KLAMM_ASSERT(effects_.in_order.empty());
    if (effects_.wake_at.has_value()) set_alarm(*effects_.wake_at);
}

void Shard::carry_out(ReadAsked& effect) {
    if (effect.file == nullptr) {
        return post(env::ReadDone{effect.token, file_not_open(), std::move(effect.out)});
    }
    asio::post(host_.pools->disk, [this, asked = std::move(effect)]() mutable {
        Result<std::size_t> count = asked.file->read(asked.position, asked.out.span());
        asked.file.reset();
        post(env::ReadDone{asked.token, std::move(count), std::move(asked.out)});
    });
}

void Shard::carry_out(SyncAsked& effect) {
    if (effect.file == nullptr) return post(env::Synced{effect.token, file_not_open()});
    asio::post(host_.pools->disk, [this, asked = std::move(effect)]() mutable {
        Status status = asked.file->sync();
        asked.file.reset();
        post(env::Synced{asked.token, std::move(status)});
    });
}

void Shard::carry_out(DirectorySyncAsked& effect) {
    asio::post(host_.pools->disk, [this, asked = std::move(effect)] {
        post(env::Synced{asked.token, host_.root == nullptr ? Status(Failure::unsupported)
                                                            : host_.root->sync(asked.path)});
    });
}

void Shard::carry_out(ListAsked& effect) {
    asio::post(host_.pools->disk, [this, asked = std::move(effect)] {
        if (host_.root == nullptr) {
            post(env::Listed{asked.token, Failure::unsupported});
        } else {
            post(env::Listed{asked.token, host_.root->list(asked.path)});
        }
    });
}

void Shard::carry_out(ListenAsked& effect) { sockets_.listen(effect.at, effect.listener); }

void Shard::carry_out(ConnectAsked& effect) { sockets_.connect(effect.connection, effect.to); }

void Shard::carry_out(ReceiveAsked& effect) {
    sockets_.receive(effect.connection, std::move(effect.into));
}

void Shard::carry_out(SendAsked& effect) {
    sockets_.send(effect.connection, std::move(effect.pieces), effect.token);
}

void Shard::carry_out(CloseAsked& effect) { sockets_.close(effect.connection); }

void Shard::carry_out(MailAsked& effect) {
    host_.shards[effect.to]->post(env::MailArrived{index_, std::move(effect.mail)});
}

void Shard::carry_out(ComputeAsked& effect) {
    asio::post(host_.pools->compute, [this, asked = std::move(effect)]() mutable {
        asked.job->run();
        post(env::Computed{asked.token, std::move(asked.job)});
    });
}

// --- The alarm

void Shard::set_alarm(Instant when) {
    alarm_ = when;
    // A timer that is armed for earlier is left alone: it looks again when it fires.
    if (alarm_ < armed_) arm_timer(alarm_);
}

void Shard::arm_timer(Instant when) {
    armed_ = when;
    timer_.expires_at(SteadyClock::time_point(std::chrono::nanoseconds(when.nanoseconds)));
    timer_.async_wait([this](const SystemError& replaced) {
        if (!replaced) timer_fired();
    });
}

void Shard::timer_fired() {
    // A timer may have been armed anew between its firing and this call.
    if (finished_ || steady_now() < armed_) return;
    armed_ = instant_never;
    if (alarm_ == instant_never) return;
    if (steady_now() < alarm_) return arm_timer(alarm_);
    alarm_ = instant_never;
    deliver(env::Alarm{});
}

// --- What a turn asks for

void Shard::mail(env::ShardIndex to, env::Mail mail) {
    KLAMM_ASSERT(to < host_.spec.shards);
    effects_.in_order.emplace_back(MailAsked{to, std::move(mail)});
}

void Shard::compute(std::unique_ptr<env::Job> job, env::Token token) {
    KLAMM_ASSERT(job != nullptr);
    effects_.in_order.emplace_back(ComputeAsked{std::move(job), token});
}

void Shard::stop(int status) {
    if (!effects_.stop.has_value()) effects_.stop = status;
}

void Shard::log(std::string_view line) {
    if (host_.spec.log) host_.spec.log(host_.spec.name, index_, line);
}

void Shard::listen(const env::Endpoint& at, env::ListenerId listener) {
    effects_.in_order.emplace_back(ListenAsked{at, listener});
}

env::ConnectionId Shard::connect(const env::Endpoint& to) {
    const env::ConnectionId id = sockets_.next_id();
    effects_.in_order.emplace_back(ConnectAsked{id, to});
    return id;
}

void Shard::receive(env::ConnectionId connection, MutableBuffer into) {
    effects_.in_order.emplace_back(ReceiveAsked{connection, std::move(into)});
}

void Shard::send(env::ConnectionId connection, std::vector<env::Piece> pieces, env::Token token) {
    std::vector<PinnedPiece> pinned;
    pinned.reserve(pieces.size());
    for (env::Piece& piece : pieces) {
        if (const auto* range = std::get_if<env::FileRange>(&piece)) {
            pinned.emplace_back(
                PinnedRange{disk_.find(range->file), range->position, range->length});
        } else {
            pinned.emplace_back(std::get<Buffer>(std::move(piece)));
        }
    }
    effects_.in_order.emplace_back(SendAsked{connection, std::move(pinned), token});
}

void Shard::close(env::ConnectionId connection) {
    effects_.in_order.emplace_back(CloseAsked{connection});
}

}  // namespace klamm::runtime
