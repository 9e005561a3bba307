// Machines: how a process starts and ends, power, pauses, and the work that a disk does behind the
// turns. A process that ends leaves its disk's page cache; what its connections still deliver is
// drawn.

#include <algorithm>
#include <cstring>

#include "sim/world/impl.h"

namespace klamm::sim {

namespace {
constexpr DrawDomain read_domain = draw_domain("world.disk.read");
constexpr DrawDomain read_fails = draw_domain("world.disk.read_fails");
constexpr DrawDomain sync_domain = draw_domain("world.disk.sync");
constexpr DrawDomain sync_fails = draw_domain("world.disk.sync_fails");
constexpr DrawDomain sync_lies = draw_domain("world.disk.sync_lies");
constexpr DrawDomain kill_effects = draw_domain("world.kill.effects");
constexpr DrawDomain crash_domain = draw_domain("world.crash");
}  // namespace

void World::Impl::start(Machine& machine) {
    if (machine.process != nullptr || machine.starting) return;
    machine.starting = true;
    machine.powered = true;
    Pending& pending = push(now_ + machine.spec.cpu.start_base, EventKind::start);
    pending.machine = machine.id.value;
    pending.incarnation = machine.incarnation + 1;
    pending.a = ++machine.start_number;
    for (std::uint32_t other = 0; other < machines_.size(); ++other)
        release(other, machine.id.value);
}

void World::Impl::begin_process(Machine& machine) {
    machine.starting = false;
    machine.paused = false;
    machine.stop_status.reset();
    machine.process = std::make_unique<Process>();
    Process& process = *machine.process;
    process.incarnation = ++machine.incarnation;
    for (env::ShardIndex i = 0; i < machine.spec.shards; ++i) {
        process.shards.push_back(
            std::make_unique<Shard>(machine, process, i, observer_, &plants_, draws_));
        running_machine_ = machine.id.value;
        record_ = {.time = now_, .node = machine.id, .shard = i, .kind = "factory"};
        process.shards.back()->node_ = machine.spec.factory(i, machine.spec.shards);
        running_machine_ = no_node.value;
    }
    if (observer_ != nullptr) observer_->on_start(machine.id, process.incarnation);
    const std::uint64_t incarnation = process.incarnation;
    for (env::ShardIndex i = 0; i < machine.spec.shards; ++i)
        post(machine.id.value, incarnation, i, env::Started{incarnation});
}

void World::Impl::end_process(Machine& machine, Ending ending) {
    std::unique_ptr<Process> process = std::move(machine.process);
    if (process == nullptr) return;
    machine.paused = false;
    machine.armed = false;
    machine.doom_report = {};
    machine.disk.end_recording();
    for (const ConnectionSide where : process->connections)
        if (connection(where.connection) != nullptr) hang_up(where.connection, where.side, ending);
    for (auto& shard : process->shards) shard->node_.reset();
}

void World::Impl::kill(Machine& machine, const KillRule& rule) {
    if (machine.starting) {
        machine.starting = false;
        return;
    }
    if (machine.process == nullptr) return;
    if (machine.process->doomed) {
        if (rule.when == KillRule::When::at_once) kill_now(machine, machine.doom_report);
        return;
    }
    if (rule.when == KillRule::When::in_turn) {
        machine.armed = true;
        machine.armed_skip = rule.skip;
        machine.armed_only_writes = rule.only_with_writes;
        machine.armed_keep = rule.keep;
        machine.armed_keep_bytes = rule.keep_bytes;
        return;
    }
    for (auto& shard : machine.process->shards) {
        if (!shard->busy_ || shard->stuck_) continue;
        const std::size_t count = shard->effects_.size();
        std::size_t kept = draws_.below(count + 1, kill_effects, shard->key_, shard->turns_);
        if (rule.keep >= 0) kept = std::min(count, static_cast<std::size_t>(rule.keep));
        for (std::size_t i = 0; i < kept; ++i) leave(machine, *shard, shard->effects_[i]);
    }
    kill_now(machine, {});
}

void World::Impl::kill_now(Machine& machine, const DamageReport& report) {
    DamageReport copy = report;
    copy.blemished = machine.disk.blemished_files();
    end_process(machine, Ending::killed);
    if (observer_ != nullptr) observer_->on_crash(machine.id, CrashKind::kill, copy);
}

void World::Impl::power_loss(std::span<const NodeId> nodes) {
    for (const NodeId node : nodes) {
        Machine& lost = machine(node);
        lost.starting = false;
        lost.powered = false;
        end_process(lost, Ending::power);
    }
    for (const NodeId node : nodes) {
        Machine& lost = machine(node);
        ++lost.power_epoch;
        lost.disk_stalled = false;
        forget_stalled_work(lost);
        const DamageReport report =
            lost.disk.power_loss(draws_.fork(crash_domain, lost.key), lost.incarnation);
        if (observer_ != nullptr) observer_->on_crash(node, CrashKind::power, report);
    }
}

void World::Impl::pause(Machine& machine, bool paused) {
    if (machine.process == nullptr || machine.paused == paused) return;
    machine.paused = paused;
    if (paused) return;
    const std::uint64_t incarnation = machine.process->incarnation;
    for (env::ShardIndex i = 0; i < machine.spec.shards; ++i) {
        Shard* shard = shard_of(machine.id.value, incarnation, i);
        if (shard == nullptr) return;
        if (shard->end_waits_) {
            shard->end_waits_ = false;
            Pending& end = push(now_, EventKind::turn_end);
            end.machine = machine.id.value;
            end.shard = i;
            end.incarnation = incarnation;
        } else {
            next_turn(machine, *shard);
        }
    }
}

void World::Impl::stall_disk(Machine& machine, bool stalled) {
    if (machine.disk_stalled == stalled) return;
    machine.disk_stalled = stalled;
    if (stalled) return;
    if (machine.process != nullptr)
        for (auto& shard : machine.process->shards) {
            if (!shard->stuck_) continue;
            shard->stuck_ = false;
            Pending& end = push(now_ + shard->cost_, EventKind::turn_end);
            end.machine = machine.id.value;
            end.shard = shard->index_;
            end.incarnation = machine.process->incarnation;
        }
    for (const std::uint32_t index : machine.stalled_work) push(now_, EventKind::disk).a = index;
    machine.stalled_work.clear();
}

void World::Impl::forget_stalled_work(Machine& machine) {
    for (const std::uint32_t index : machine.stalled_work) {
        work_[index].effect = StopEffect{0};
        free_work_.push_back(index);
    }
    machine.stalled_work.clear();
}

// --- Disk work

void World::Impl::begin_work(Machine& machine, Shard& shard, Effect effect) {
    std::uint32_t index;
    if (free_work_.empty()) {
        index = static_cast<std::uint32_t>(work_.size());
        work_.emplace_back();
    } else {
        index = free_work_.back();
        free_work_.pop_back();
    }
    const DiskOptions& disk = machine.spec.disk;
    const std::uint64_t n = ++shard.disk_work_;
    Duration wait = disk.read_base;
    bool fails = false;
    bool lies = false;
    if (const auto* sync = std::get_if<SyncEffect>(&effect)) {
        wait = disk.sync_base +
               Duration{draws_.exponential(disk.sync_mean.nanoseconds, sync_domain, shard.key_, n) +
                        static_cast<std::int64_t>(sync->dirty_bytes) *
                            disk.sync_nanoseconds_per_kib / 1024};
        fails = disk.sync_error_rate > 0 &&
                draws_.happens(disk.sync_error_rate, sync_fails, shard.key_, n);
        lies =
            disk.sync_lie_rate > 0 && draws_.happens(disk.sync_lie_rate, sync_lies, shard.key_, n);
    } else {
        wait = wait +
               Duration{draws_.exponential(disk.read_mean.nanoseconds, read_domain, shard.key_, n)};
        fails = disk.read_error_rate > 0 &&
                draws_.happens(disk.read_error_rate, read_fails, shard.key_, n);
    }
    work_[index] = {machine.id.value,
                    shard.index_,
                    machine.process->incarnation,
                    machine.power_epoch,
                    std::move(effect),
                    fails,
                    lies};
    push(now_ + wait * disk.slow_factor, EventKind::disk).a = index;
}

void World::Impl::on_work(std::uint32_t index) {
    Machine& machine = *machines_[work_[index].machine];
    if (machine.disk_stalled && work_[index].power_epoch == machine.power_epoch) {
        machine.stalled_work.push_back(index);
        return;
    }
    DiskWork work = std::move(work_[index]);
    work_[index].effect = StopEffect{0};
    free_work_.push_back(index);
    if (work.power_epoch != machine.power_epoch) return;
    env::Event event = env::Alarm{};
    if (auto* sync = std::get_if<SyncEffect>(&work.effect)) {
        Status status;
        if (!sync->inode) {
            status = Failure::not_found;
        } else if (work.fails) {
            machine.disk.fail_sync(*sync->inode, sync->mark, draws_.fork(crash_domain, machine.key),
                                   work.incarnation);
            status = Failure::io;
        } else if (machine.disk.overfull()) {
            machine.disk.fail_sync(*sync->inode, sync->mark, draws_.fork(crash_domain, machine.key),
                                   work.incarnation);
            status = Failure::no_space;
        } else if (work.lies) {
            machine.disk.lie_about_sync(*sync->inode, sync->mark);
        } else {
            machine.disk.complete_sync(*sync->inode, sync->mark);
            if (std::exchange(sync->inode->write_back_failed, false)) status = Failure::io;
        }
        event = env::Synced{sync->token, std::move(status)};
    } else if (auto* read = std::get_if<ReadEffect>(&work.effect)) {
        env::ReadDone done{read->token, std::size_t{0}, std::move(read->out)};
        if (!read->file) {
            done.count = Failure::closed;
        } else if (work.fails) {
            done.count = Failure::io;
        } else {
            done.count = read->file->read(read->position, done.out.span());
        }
        event = std::move(done);
    } else if (auto* list = std::get_if<ListEffect>(&work.effect)) {
        env::Listed listed{list->token, Failure::io};
        if (!work.fails) listed.entries = machine.disk.list(list->path);
        event = std::move(listed);
    }
    post(work.machine, work.incarnation, work.shard, std::move(event));
}

}  // namespace klamm::sim
