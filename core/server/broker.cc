#include "core/server/broker.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"

namespace klamm::server {

namespace {
constexpr env::ListenerId client_listener{1};
constexpr storage::TokenOwner token_owner_first = 1;
constexpr storage::TokenOwner token_owner_end = 1U << 31;
}  // namespace

Broker::Broker(BrokerSettings settings)
    : context_(std::move(settings)),
      requests_(context_),
      groups_(context_, hosts_),
      transactions_(context_, hosts_),
      lines_(context_),
      link_(context_),
      forwarder_(context_) {}

Broker::~Broker() = default;

env::NodeFactory broker_factory(BrokerSettings settings) {
    return [settings = std::move(settings)](env::ShardIndex,
                                            env::ShardIndex shards) -> std::unique_ptr<env::Node> {
        KLAMM_ASSERT(settings.log_dirs.size() == shards);
        return std::make_unique<Broker>(settings);
    };
}

void Broker::handle(env::Env& env, env::Event event) {
    context_.begin_turn(env);
    if (std::holds_alternative<env::Alarm>(event)) alarm_ = instant_never;
    std::visit([this](auto& value) { take(value); }, event);
    drain();
    tick();
    drain();
    set_alarm();
    context_.end_turn();
}

void Broker::drain() {
    do {
        MailValue value;
        while (context_.pop_local(value)) deliver(std::move(value));
        for (auto& [leader, fetcher] : fetchers_) fetcher.tick();
        release_pins();
    } while (context_.has_local());
}

void Broker::deliver(MailValue value) {
    std::visit([this](auto& mail) { on(std::move(mail)); }, value);
}

// --- life

void Broker::take(env::Started&) {
    env::Env& env = context_.env();
    env.network().listen(context_.settings.listen, client_listener);
    directory_ = std::make_unique<storage::LogDirectory>(context_.settings.log_dirs.at(env.shard()),
                                                         token_owner_first, token_owner_end);
    const Uuid id =
        uuid_from_halves(env.turn().draws.word(draw_domain("server.directory"), env.shard(), 0),
                         env.turn().draws.word(draw_domain("server.directory"), env.shard(), 1));
    hosts_.watch(*directory_);
    directory_->start(env, {context_.settings.cluster, context_.self(), id});
    check_directory();
}

void Broker::check_directory() {
    if (!directory_) return;
    const storage::DirectoryPhase phase = directory_->phase();
    if (phase == storage::DirectoryPhase::offline && !failed_) {
        failed_ = true;
        context_.env().log("the log directory is offline: " + (directory_->failure()
                                                                   ? directory_->failure()->text
                                                                   : std::string("unknown")));
        context_.post(0, DirectoryFailed{});
        if (!first_shard()) context_.env().stop(1);
        return;
    }
    if (phase == storage::DirectoryPhase::ready && !directory_told_) {
        directory_told_ = true;
        checkpoint_due_ =
            context_.now() +
            milliseconds(context_.settings.options.replica_high_watermark_checkpoint_interval_ms);
        context_.post(
            0, DirectoryStarted{true, directory_->clean_start() ? directory_->previous_epoch()
                                                                : no_broker_epoch});
    }
    if (phase == storage::DirectoryPhase::closed && stage_ == Stage::closing && !closed_told_) {
        closed_told_ = true;
        context_.post(0, LogsClosed{});
    }
}

void Broker::on(DirectoryFailed) { context_.env().stop(1); }

void Broker::on(DirectoryStarted started) {
    if (directories_started_ > 0 && started.previous_epoch != previous_epoch_)
        proofs_agree_ = false;
    previous_epoch_ = started.previous_epoch;
    ++directories_started_;
    maybe_start_link();
}

void Broker::take(env::Listening& event) {
    if (!event.port.ok()) {
        context_.env().log("cannot listen: " + event.port.error().text);
        context_.env().stop(1);
        return;
    }
    requests_.set_port(*event.port);
    maybe_start_link();
}

void Broker::maybe_start_link() {
    if (!first_shard() || link_started_ || directories_started_ < context_.env().shards() ||
        requests_.port() == 0)
        return;
    link_started_ = true;
    link_.start(proofs_agree_ ? previous_epoch_ : no_broker_epoch, requests_.port());
}

void Broker::on(ImageArrived arrived) {
    context_.image = std::move(arrived.image);
    context_.broker_epoch = arrived.broker_epoch;
    context_.caught_up = arrived.caught_up;
    if (!directory_ || directory_->phase() != storage::DirectoryPhase::ready) return;
    drop_partitions();
    open_partitions();
    set_strays_aside();
    for (const auto& [id, broker] : context_.image->brokers()) {
        if (id == context_.self() || broker.endpoints.empty()) continue;
        const env::Endpoint endpoint{broker.endpoints.front().host, broker.endpoints.front().port};
        auto at = fetchers_.find(id);
        if (at != fetchers_.end() && at->second.endpoint() != endpoint) {
            at->second.close();
            fetchers_.erase(at);
            at = fetchers_.end();
        }
        if (at == fetchers_.end())
            fetchers_.emplace(std::piecewise_construct, std::forward_as_tuple(id),
                              std::forward_as_tuple(context_, hosts_, id, endpoint));
    }
    hosts_.follow_image();
    groups_.follow_image();
    const metadata::BrokerImage* self = context_.image->broker(context_.self());
    if (first_shard() && !told_serving_ && self != nullptr && self->active() &&
        self->epoch == context_.broker_epoch) {
        told_serving_ = true;
        context_.env().log(fmt::format("broker {} is serving on port {}", context_.self().value,
                                       requests_.port()));
    }
}

void Broker::on(LogsOpened) {
    if (++logs_opened_ == context_.env().shards()) link_.set_ready();
}

void Broker::take(env::StopAsked&) {
    if (!first_shard() || stage_ != Stage::starting) return;
    stage_ = Stage::shutting_down;
    if (link_started_)
        link_.ask_shutdown();
    else
        context_.env().stop(0);
}

void Broker::maybe_close() {
    if (!first_shard() || stage_ != Stage::shutting_down || !link_.may_stop()) return;
    for (env::ShardIndex shard = 0; shard < context_.env().shards(); ++shard)
        context_.post(shard, CloseLogs{context_.broker_epoch});
    stage_ = Stage::serving;  // until the order to close reaches this shard too
}

void Broker::on(CloseLogs close) {
    stage_ = Stage::closing;
    directory_->close(context_.env(), close.broker_epoch, context_.caught_up);
    check_directory();
}

void Broker::on(LogsClosed) {
    if (++logs_closed_ == context_.env().shards()) context_.env().stop(0);
}

// --- events of the disk

void Broker::after_directory_event(storage::PartitionLog* touched) {
    if (touched != nullptr)
        if (ReplicaHost* host = hosts_.find(touched->partition())) {
            host->on_log_event();
            if (!start_over(*host) && host->is_anothers()) {
                context_.env().log(
                    fmt::format("{} belongs to another topic id: it is set aside", host->name()));
                let_go(touched->partition(), true);
            }
        }
    check_directory();
}

void Broker::take(env::ReadDone& event) {
    if (const auto partition = context_.take_copy(event.token)) {
        ReplicaHost* host = hosts_.find(*partition);
        // Of a partition that has gone nobody waits for a read.
        if (host != nullptr && !going_.contains(*partition)) host->on_copied(event);
        return;
    }
    if (directory_) after_directory_event(directory_->on_event(context_.env(), event));
}
void Broker::take(env::Synced& event) {
    if (directory_) after_directory_event(directory_->on_event(context_.env(), event));
}
void Broker::take(env::Listed& event) {
    if (directory_) after_directory_event(directory_->on_event(context_.env(), event));
}

// --- events of the network

void Broker::take(env::Accepted& event) {
    // As Kafka, whose ports open when the broker has caught up with the metadata: before, it would
    // tell clients that their topics are not there.
    if (!context_.caught_up) return context_.env().network().close(event.connection);
    requests_.accepted(event);
}

void Broker::take(env::Connected& event) {
    if (first_shard() && (link_.connected(event) || forwarder_.connected(event))) return;
    if (lines_.connected(event)) return;
    for (auto& [leader, fetcher] : fetchers_)
        if (fetcher.connected(event)) return;
}

void Broker::take(env::Received& event) {
    if (requests_.received(event)) return;
    if (first_shard() && (link_.received(event) || forwarder_.received(event))) return;
    if (lines_.received(event)) return;
    for (auto& [leader, fetcher] : fetchers_)
        if (fetcher.received(event)) return;
}

void Broker::take(env::Drained& event) { requests_.drained(event); }

void Broker::take(env::Closed& event) {
    if (requests_.closed(event)) return;
    if (first_shard() && (link_.closed(event) || forwarder_.closed(event))) return;
    if (lines_.closed(event)) return;
    for (auto& [leader, fetcher] : fetchers_)
        if (fetcher.closed(event)) return;
}

void Broker::take(env::MailArrived& event) {
    // Only shards of this broker post here, and they post nothing else.
    deliver(std::move(static_cast<ShardMail&>(*event.mail).value));
}

void Broker::take(env::Alarm&) {}
void Broker::take(env::Computed&) {}

// --- commands for partitions

void Broker::on(ProduceCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition))
        return host->produce(std::move(command));
    context_.post(command.reply.shard, ProduceOutcome{.reply = command.reply,
                                                      .error = ErrorCode::not_leader_or_follower});
}

void Broker::on(ReadCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition)) return host->read(command);
    context_.post(command.reply.shard,
                  ReadOutcome{.reply = command.reply, .error = ErrorCode::not_leader_or_follower});
}

void Broker::on(WatchCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition)) return host->watch(command);
    context_.post(command.reply.shard, WatchFired{command.reply});
}

void Broker::on(OffsetCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition)) return host->find_offset(command);
    context_.post(command.reply.shard, OffsetOutcome{.reply = command.reply,
                                                     .error = ErrorCode::not_leader_or_follower});
}

void Broker::on(EpochEndCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition)) return host->find_epoch_end(command);
    context_.post(command.reply.shard, EpochEndOutcome{.reply = command.reply,
                                                       .error = ErrorCode::not_leader_or_follower});
}

void Broker::on(MarkerCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition)) return host->mark(command);
    context_.post(command.reply.shard,
                  MarkerOutcome{command.reply, ErrorCode::not_leader_or_follower});
}

void Broker::on(ProducersCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition))
        return host->describe_producers(command);
    context_.post(
        command.reply.shard,
        ProducersOutcome{.reply = command.reply, .error = ErrorCode::not_leader_or_follower});
}

void Broker::on(VerifyOutcome outcome) {
    if (outcome.group) return groups_.on(outcome);
    if (ReplicaHost* host = hosts_.find(outcome.partition)) host->on(outcome);
}

void Broker::on(AlterIsrCommand command) { link_.on(std::move(command)); }

void Broker::on(AlterIsrOutcome outcome) {
    if (ReplicaHost* host = hosts_.find(outcome.partition)) host->on(outcome);
}

void Broker::on(ProducerIdsCommand command) { link_.on(command); }

void Broker::on(ForwardCommand command) { forwarder_.on(std::move(command)); }

void Broker::on(CreateTopicCommand command) { forwarder_.on(std::move(command)); }

void Broker::on(CutNow now) {
    if (ReplicaHost* host = hosts_.find(now.partition)) host->on(now);
}

void Broker::on(DeleteRecordsCommand command) {
    if (ReplicaHost* host = hosts_.find(command.partition)) return host->delete_records(command);
    context_.post(
        command.reply.shard,
        DeleteRecordsOutcome{.reply = command.reply, .error = ErrorCode::not_leader_or_follower});
}

void Broker::on(LogDirCommand command) {
    LogDirOutcome outcome;
    outcome.reply = command.reply;
    outcome.path = context_.settings.log_dirs.at(context_.env().shard());
    outcome.offline = !directory_ || directory_->phase() == storage::DirectoryPhase::offline;
    if (const auto space = context_.env().disk().space(); space.ok())
        outcome.usable_bytes = static_cast<std::int64_t>(*space);
    for (const auto& [partition, host] : hosts_.hosts()) {
        if (command.wanted && std::find(command.wanted->begin(), command.wanted->end(),
                                        partition) == command.wanted->end())
            continue;
        const storage::PartitionLog& log = host->log();
        if (!log.opened()) continue;
        outcome.rows.push_back({partition, host->topic(), log.size_bytes(),
                                std::max<std::int64_t>(0, host->high_watermark() - log.log_end())});
    }
    context_.post(command.reply.shard, std::move(outcome));
}

// --- between events

void Broker::release_pins() {
    for (const net::Pin pin : pins_.take_closing()) {
        requests_.drop_holding(pin);
        requests_.inbound().close_holding(context_.env(), pin);
    }
    for (const net::Pin pin : requests_.inbound().take_released()) {
        const auto [partition, id] = pins_.release(pin);
        if (ReplicaHost* host = hosts_.find(partition)) host->log().unpin(id);
    }
}

void Broker::tick() {
    if (failed_) return;
    if (directory_) directory_->settle(context_.turn());
    check_directory();
    requests_.tick();
    hosts_.tick(context_.now());
    groups_.tick();
    transactions_.tick();
    lines_.tick();
    if (first_shard()) {
        link_.tick();
        if (forwarder_.take_doubt()) link_.doubt_controller(forwarder_.controller());
        forwarder_.set_controller(link_.controller());
        forwarder_.tick();
        maybe_close();
    }
    if (!logs_told_ && stage_ != Stage::closing && context_.broker_epoch != no_broker_epoch &&
        context_.caught_up && hosts_.settled()) {
        logs_told_ = true;
        context_.post(0, LogsOpened{});
    }
    if (directory_ && directory_->phase() == storage::DirectoryPhase::ready) {
        if (names_awaited_) open_partitions();
        if (directory_->doomed_due() <= context_.now()) directory_->remove_doomed(context_.env());
    }
    look_after_logs();
    if (context_.now() >= checkpoint_due_ &&
        directory_->phase() == storage::DirectoryPhase::ready) {
        directory_->checkpoint(context_.env());
        checkpoint_due_ =
            context_.now() +
            milliseconds(context_.settings.options.replica_high_watermark_checkpoint_interval_ms);
    }
}

/// Retention and cleaning, when their time has come. No alarm is set for them: checkpoints come
/// often enough.
void Broker::look_after_logs() {
    if (!directory_ || directory_->phase() != storage::DirectoryPhase::ready) return;
    const config::BrokerOptions& options = context_.settings.options;
    const Instant now = context_.now();
    if (now >= retention_due_) {
        if (retention_due_ > Instant{0})
            for (const auto& [partition, host] : hosts_.hosts())
                if (host->retain()) static_cast<void>(hosts_.find(partition));  // looks at it
        retention_due_ = now + milliseconds(options.log_retention_check_interval_ms);
    }
    if (!options.log_cleaner_enable || now < cleaner_due_) return;
    if (cleaning_) {
        const ReplicaHost* host = hosts_.contains(*cleaning_) ? hosts_.find(*cleaning_) : nullptr;
        if (host != nullptr && host->cleaning()) return;
        cleaning_.reset();
    }
    // The dirtiest first; what has waited for too long before that.
    std::pair<bool, std::int64_t> most{false, -1};
    std::optional<TopicPartition> chosen;
    for (const auto& [partition, host] : hosts_.hosts()) {
        const auto range = host->cleanable();
        if (!range || std::pair(range->overdue, range->dirty_ratio()) <= most) continue;
        most = {range->overdue, range->dirty_ratio()};
        chosen = partition;
    }
    if (chosen && hosts_.find(*chosen)->clean())
        cleaning_ = chosen;
    else
        cleaner_due_ = now + milliseconds(options.log_cleaner_backoff_ms);
}

void Broker::set_alarm() {
    Instant first = std::min(requests_.deadline_min(), checkpoint_due_);
    if (directory_) first = std::min(first, directory_->doomed_due());
    first = std::min({first, hosts_.deadline_min(), groups_.deadline_min(),
                      transactions_.deadline_min(), lines_.deadline_min()});
    for (const auto& [leader, fetcher] : fetchers_) first = std::min(first, fetcher.deadline_min());
    if (first_shard()) first = std::min({first, link_.deadline_min(), forwarder_.deadline_min()});
    if (first == alarm_) return;
    alarm_ = first;
    context_.env().wake_at(first);
}

std::uint64_t Broker::state_digest() const {
    return fold64(static_cast<std::uint64_t>(context_.image->offset()), hosts_.digest());
}

}  // namespace klamm::server
