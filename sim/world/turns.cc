// Turns: an event meets an idle shard and the node handles it; the shard is then busy until the
// turn's cost has passed; then its effects leave in order and the next event is taken. A turn that
// calls a disk which does not answer ends when the disk does.

#include <algorithm>

#include "sim/world/impl.h"

namespace klamm::sim {

namespace {
constexpr DrawDomain turn_cost_domain = draw_domain("world.turn.cost");
constexpr DrawDomain hiccup_domain = draw_domain("world.turn.hiccup");
constexpr DrawDomain mail_domain = draw_domain("world.mail.delay");
constexpr DrawDomain compute_domain = draw_domain("world.compute");
constexpr DrawDomain kill_domain = draw_domain("world.kill.keep");
constexpr DrawDomain kill_inside_domain = draw_domain("world.kill.inside");
constexpr DrawDomain kill_bytes_domain = draw_domain("world.kill.keep_bytes");
}  // namespace

const char* name_of(const env::Event& event) {
    static constexpr const char* names[] = {
        "Started",   "Alarm",    "ReadDone", "Synced", "Listed",      "Listening", "Accepted",
        "Connected", "Received", "Drained",  "Closed", "MailArrived", "Computed",  "StopAsked"};
    static_assert(std::size(names) == std::variant_size_v<env::Event>);
    return names[event.index()];
}

std::uint64_t digest_of(const env::Event& event, std::uint64_t& id) {
    struct Visitor {
        std::uint64_t& id;
        std::uint64_t operator()(const env::Started& e) const { return id = e.incarnation; }
        std::uint64_t operator()(const env::Alarm&) const { return 0; }
        std::uint64_t operator()(const env::ReadDone& e) const {
            id = e.token;
            if (!e.count) return static_cast<std::uint64_t>(e.count.failure()) + 1;
            return fold64(*e.count, crc32c(ByteView(e.out.span()).first(*e.count)));
        }
        std::uint64_t operator()(const env::Synced& e) const {
            id = e.token;
            return e.status ? 0 : static_cast<std::uint64_t>(e.status.failure()) + 1;
        }
        std::uint64_t operator()(const env::Listed& e) const {
            id = e.token;
            if (!e.entries) return static_cast<std::uint64_t>(e.entries.failure()) + 1;
            std::uint64_t digest = 0;
            for (const env::DirectoryEntry& entry : *e.entries)
                digest = digest64(as_bytes(entry.name), digest ^ entry.size);
            return digest;
        }
        std::uint64_t operator()(const env::Listening& e) const {
            id = static_cast<std::uint64_t>(e.listener);
            return e.port ? *e.port : 0x10000;
        }
        std::uint64_t operator()(const env::Accepted& e) const {
            id = static_cast<std::uint64_t>(e.connection);
            return digest64(as_bytes(e.peer));
        }
        std::uint64_t operator()(const env::Connected& e) const {
            return id = static_cast<std::uint64_t>(e.connection);
        }
        std::uint64_t operator()(const env::Received& e) const {
            id = static_cast<std::uint64_t>(e.connection);
            return e.count;
        }
        std::uint64_t operator()(const env::Drained& e) const {
            id = static_cast<std::uint64_t>(e.connection);
            return e.token;
        }
        std::uint64_t operator()(const env::Closed& e) const {
            return id = static_cast<std::uint64_t>(e.connection);
        }
        std::uint64_t operator()(const env::MailArrived& e) const {
            id = e.from;
            return e.mail->digest();
        }
        std::uint64_t operator()(const env::Computed& e) const { return id = e.token; }
        std::uint64_t operator()(const env::StopAsked&) const { return 0; }
    };
    id = 0;
    const std::uint64_t digest = std::visit(Visitor{id}, event);
    return fold64(fold64(event.index() + 100, id), digest);
}

Shard* World::Impl::shard_of(std::uint32_t index, std::uint64_t incarnation,
                             env::ShardIndex shard) {
    Process* process = machines_[index]->process.get();
    if (process == nullptr || process->incarnation != incarnation) return nullptr;
    return process->shards[shard].get();
}

void World::Impl::post(std::uint32_t index, std::uint64_t incarnation, env::ShardIndex shard_index,
                       env::Event event) {
    Shard* shard = shard_of(index, incarnation, shard_index);
    if (shard == nullptr) return;
    Machine& machine = *machines_[index];
    if (shard->busy_ || machine.paused || machine.process->doomed || !shard->waiting_.empty()) {
        shard->waiting_.push_back(std::move(event));
        return;
    }
    run_turn(machine, *shard, std::move(event));
}

void World::Impl::run_turn(Machine& machine, Shard& shard, env::Event event) {
    EventRecord record;
    record.time = now_;
    record.node = machine.id;
    record.shard = shard.index_;
    record.kind = name_of(event);
    const std::uint64_t digest = digest_of(event, record.id);
    trace_.fold(static_cast<std::uint64_t>(now_.nanoseconds));
    trace_.fold(fold64(machine.key, shard.index_) ^ digest);
    const bool cut = machine.armed;
    if (cut) machine.disk.begin_recording();
    shard.begin(now_, cut);
    shard.busy_ = true;
    running_machine_ = machine.id.value;
    record_ = record;
    shard.node_->handle(shard, std::move(event));
    running_machine_ = no_node.value;
    record.disk_calls = shard.disk_calls_;
    record.effects = static_cast<std::uint32_t>(shard.effects_.size());
    trace_.fold(shard.digest_ ^ shard.node_->state_digest());
    trace_.finish(record);

    const CpuOptions& cpu = machine.spec.cpu;
    Duration cost = shard.cost_ + cpu.turn_base;
    if (cpu.turn_mean.nanoseconds > 0)
        cost = cost + Duration{draws_.exponential(cpu.turn_mean.nanoseconds, turn_cost_domain,
                                                  shard.key_, shard.turns_)};
    if (cpu.hiccup_rate > 0 &&
        draws_.happens(cpu.hiccup_rate, hiccup_domain, shard.key_, shard.turns_))
        cost = cost + Duration{draws_.exponential(cpu.hiccup_mean.nanoseconds, hiccup_domain,
                                                  shard.key_, ~shard.turns_)};
    shard.cost_ = cost;
    if (cut) cut_turn(machine, shard);
    tell_misdirected(machine);
    tell_ranges_cut(machine, shard);
    shard.stuck_ = machine.disk_stalled && shard.disk_used_ && !machine.process->doomed;
    if (!shard.stuck_) {
        Pending& end = push(now_ + cost, EventKind::turn_end);
        end.machine = machine.id.value;
        end.shard = shard.index_;
        end.incarnation = machine.process->incarnation;
    }
    if (observer_ != nullptr) observer_->after_event(machine.id);
}

void World::Impl::tell_misdirected(Machine& machine) {
    for (const DiskImage::Misdirected& one : machine.disk.take_misdirected()) {
        if (observer_ == nullptr) continue;
        const auto file = machine.disk.describe(one.inode, {one.belongs, one.landed});
        if (file) observer_->on_misdirected(machine.id, *file);
    }
}

// What this turn sends waits, and what it closes still sends, until the turn's effects leave.
void World::Impl::tell_ranges_cut(Machine& machine, const Shard& shard) {
    for (const Machine::CutFile& cut : std::exchange(machine.cuts, {})) {
        if (observer_ == nullptr) continue;
        const auto look = [&](const auto& pieces) {
            for (const OutPiece& piece : pieces) {
                const std::uint64_t end = piece.position + piece.length;
                if (piece.file != cut.inode || end <= cut.length) continue;
                const auto file = machine.disk.describe(cut.inode, {{cut.length, end}});
                if (file) observer_->on_range_cut(machine.id, *file);
            }
        };
        for (const std::uint32_t index : live_connections_) {
            const Connection& made = *connections_[index];
            for (std::size_t side = 0; side < 2; ++side) {
                const Side& sender = made.sides[side];
                if (sender.open && sender.machine == machine.id.value) look(made.ways[side].queue);
            }
        }
        const std::size_t before = std::min(cut.effects_before, shard.effects_.size());
        for (std::size_t i = 0; i < before; ++i)
            if (const auto* sent = std::get_if<SendEffect>(&shard.effects_[i])) look(sent->pieces);
    }
}

// Decides whether the kill falls into the turn that has just been recorded, and if so keeps a
// prefix of it.
void World::Impl::cut_turn(Machine& machine, Shard& shard) {
    const std::size_t d = machine.disk.recorded();
    const std::size_t e = shard.effects_.size();
    const bool counts = machine.armed_only_writes ? d > 0 : d + e > 0;
    if (!counts || machine.armed_skip > 0) {
        if (counts) --machine.armed_skip;
        machine.disk.end_recording();
        shard.release_facts(d, false, e + 1);
        return;
    }
    machine.armed = false;
    std::size_t keep = draws_.below(d + e + 1, kill_domain, shard.key_, shard.turns_);
    if (machine.armed_keep >= 0)
        keep = std::min<std::size_t>(d + e, static_cast<std::size_t>(machine.armed_keep));
    DamageReport report;
    std::uint64_t bytes = 0;
    if (keep < d) {
        const std::uint64_t size = machine.disk.recorded_bytes(keep);
        // Half of the cuts fall between two calls.
        if (size > 0 && draws_.happens(500'000, kill_inside_domain, shard.key_, shard.turns_))
            bytes = draws_.below(size, kill_bytes_domain, shard.key_, shard.turns_);
        if (machine.armed_keep_bytes >= 0)
            bytes = std::min(size, static_cast<std::uint64_t>(machine.armed_keep_bytes));
        report = machine.disk.keep_prefix(keep, bytes);
    }
    machine.disk.end_recording();
    shard.release_facts(std::min(keep, d), bytes > 0, keep > d ? keep - d : 0);
    shard.effects_.resize(keep > d ? keep - d : 0);
    machine.process->doomed = true;
    shard.doomed_ = true;
    machine.doom_report = std::move(report);
}

void World::Impl::end_turn(Machine& machine, Shard& shard) {
    if (machine.paused) {
        shard.end_waits_ = true;
        return;
    }
    const std::uint64_t incarnation = machine.process->incarnation;
    if (shard.alarm_asked_) set_alarm(machine, shard, *shard.alarm_asked_);
    shard.alarm_asked_.reset();
    std::optional<int> stopped;
    for (Effect& effect : shard.effects_) {
        if (const StopEffect* stop = std::get_if<StopEffect>(&effect)) stopped = stop->status;
        leave(machine, shard, effect);
    }
    shard.effects_.clear();
    KLAMM_ASSERT(machine.process != nullptr && machine.process->incarnation == incarnation);
    if (observer_ != nullptr) observer_->on_turn_end(machine.id, shard.index_);
    if (shard.doomed_) {
        kill_now(machine, machine.doom_report);
        return;
    }
    if (stopped) {
        machine.stop_status = stopped;
        end_process(machine, Ending::stopped);
        if (observer_ != nullptr) observer_->on_stop(machine.id, *stopped);
        return;
    }
    shard.busy_ = false;
    next_turn(machine, shard);
}

void World::Impl::next_turn(Machine& machine, Shard& shard) {
    if (shard.busy_ || machine.paused || machine.process->doomed) return;
    while (!shard.waiting_.empty()) {
        env::Event event = std::move(shard.waiting_.front());
        shard.waiting_.pop_front();
        if (std::holds_alternative<env::Alarm>(event)) {
            // Replaced while it waited.
            if (!shard.alarm_queued_) continue;
            shard.alarm_queued_ = false;
        }
        run_turn(machine, shard, std::move(event));
        return;
    }
}

void World::Impl::leave(Machine& machine, Shard& shard, Effect& effect) {
    const std::uint64_t incarnation = machine.process->incarnation;
    if (auto* listening = std::get_if<ListenEffect>(&effect)) {
        listen(machine, shard, *listening);
    } else if (auto* connecting = std::get_if<ConnectEffect>(&effect)) {
        connect(machine, shard, *connecting);
    } else if (auto* receiving = std::get_if<ReceiveEffect>(&effect)) {
        receive(machine, shard, *receiving);
    } else if (auto* sending = std::get_if<SendEffect>(&effect)) {
        send(machine, shard, *sending);
    } else if (auto* closing = std::get_if<CloseEffect>(&effect)) {
        ConnectionSide where{};
        if (connection_of(*machine.process, shard, closing->connection, where) != nullptr)
            hang_up(where.connection, where.side, Ending::stopped);
    } else if (auto* mail = std::get_if<MailEffect>(&effect)) {
        const CpuOptions& cpu = machine.spec.cpu;
        const std::uint64_t n = ++shard.mails_;
        const Duration wait =
            cpu.mail_base +
            Duration{draws_.exponential(cpu.mail_mean.nanoseconds, mail_domain, shard.key_, n)};
        Instant& last = shard.mail_last_[mail->to];
        last = std::max(last, now_ + wait);
        Pending& pending = push(last, EventKind::deliver);
        pending.machine = machine.id.value;
        pending.shard = mail->to;
        pending.incarnation = incarnation;
        pending.event = env::MailArrived{shard.index_, std::move(mail->mail)};
    } else if (auto* compute = std::get_if<ComputeEffect>(&effect)) {
        compute->job->run();
        const std::uint64_t n = ++shard.jobs_;
        Pending& pending =
            push(now_ + Duration{draws_.exponential(machine.spec.cpu.compute_mean.nanoseconds,
                                                    compute_domain, shard.key_, n)},
                 EventKind::deliver);
        pending.machine = machine.id.value;
        pending.shard = shard.index_;
        pending.incarnation = incarnation;
        pending.event = env::Computed{compute->token, std::move(compute->job)};
    } else if (!std::holds_alternative<StopEffect>(effect)) {
        begin_work(machine, shard, std::move(effect));
    }
}

// --- The alarm

void World::Impl::set_alarm(Machine& machine, Shard& shard, Instant when) {
    shard.alarm_ = when;
    shard.alarm_queued_ = false;
    ask_alarm(machine, shard);
}

// An event that comes too early looks again; only an earlier alarm needs a new event.
void World::Impl::ask_alarm(Machine& machine, Shard& shard) {
    if (shard.alarm_ == instant_never) return;
    const Instant truth = std::max(now_, machine.clock.truth_of(shard.alarm_));
    if (truth >= shard.alarm_event_) return;
    if (truth == instant_never) return;
    shard.alarm_event_ = truth;
    Pending& pending = push(truth, EventKind::alarm);
    pending.machine = machine.id.value;
    pending.shard = shard.index_;
    pending.incarnation = machine.process->incarnation;
    pending.a = ++shard.alarm_number_;
}

void World::Impl::on_alarm(Machine& machine, Shard& shard, std::uint64_t number) {
    if (number != shard.alarm_number_) return;
    shard.alarm_event_ = instant_never;
    if (shard.alarm_ == instant_never) return;
    if (machine.clock.monotonic(now_) < shard.alarm_) {
        ask_alarm(machine, shard);
        return;
    }
    shard.alarm_ = instant_never;
    shard.alarm_queued_ = true;
    if (!shard.waiting_.empty() || shard.busy_)
        shard.waiting_.emplace_back(env::Alarm{});
    else
        post(machine.id.value, machine.process->incarnation, shard.index_, env::Alarm{});
}

}  // namespace klamm::sim
