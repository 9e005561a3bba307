#include "sim/world/world.h"

#include <algorithm>

#include "sim/world/impl.h"

namespace klamm::sim {

namespace {
constexpr DrawDomain boot_domain = draw_domain("world.clock.boot");
constexpr DrawDomain perturb_domain = draw_domain("world.perturb");
constexpr DrawDomain write_back_domain = draw_domain("world.disk.write_back");

void throw_world_ended(const AssertionPlace& place) { throw WorldEnded{place}; }

// While it lives a failed assertion ends the world instead of the process.
class AssertionGuard {
  public:
    AssertionGuard() : before_(install_assertion_handler(&throw_world_ended)) {}
    ~AssertionGuard() { install_assertion_handler(before_); }
    AssertionGuard(const AssertionGuard&) = delete;
    AssertionGuard& operator=(const AssertionGuard&) = delete;

  private:
    AssertionHandler before_;
};
}  // namespace

const char* to_string(EventKind kind) {
    static constexpr const char* names[] = {"none",          "start", "deliver", "alarm",
                                            "turn end",      "disk",  "packet",  "fin",
                                            "reset",         "syn",   "syn ack", "connect timeout",
                                            "break timeout", "lag",   "pump",    "harness"};
    static_assert(std::size(names) == static_cast<std::size_t>(EventKind::harness) + 1);
    return names[static_cast<std::size_t>(kind)];
}

World::Impl::Impl(World& world, WorldOptions options)
    : world_(world),
      options_(options),
      draws_(options.seed),
      trace_(options.checkpoint_events, options.turns_kept) {
    trace_.fold(options.seed);
    if (options_.explore.how != ExploreOptions::How::timed)
        explorer_.emplace(options_.explore, draws_);
}

World::Impl::~Impl() = default;

Pending& World::Impl::push(Instant when, EventKind kind) {
    Pending& pending = heap_.push(std::max(when, now_));
    pending.kind = kind;
    pending.machine = 0;
    pending.shard = 0;
    pending.incarnation = 0;
    pending.a = 0;
    return pending;
}

void World::Impl::record(EventKind kind, std::uint32_t machine, env::ShardIndex shard,
                         std::uint64_t id) {
    trace_.fold(static_cast<std::uint64_t>(now_.nanoseconds));
    trace_.fold(fold64(static_cast<std::uint64_t>(kind), fold64(machine, fold64(shard, id))));
    EventRecord record;
    record.time = now_;
    record.kind = to_string(kind);
    record.id = id;
    trace_.finish(record);
}

void World::Impl::dispatch(Pending& pending) {
    const std::uint32_t place = pending.machine;
    switch (pending.kind) {
        case EventKind::none: KLAMM_UNREACHABLE();
        case EventKind::start: {
            Machine& machine = *machines_[place];
            record(pending.kind, place, 0, pending.incarnation);
            if (machine.starting && machine.start_number == pending.a) begin_process(machine);
            return;
        }
        case EventKind::deliver:
            post(place, pending.incarnation, pending.shard, std::move(pending.event));
            return;
        case EventKind::alarm:
            if (Shard* shard = shard_of(place, pending.incarnation, pending.shard))
                on_alarm(*machines_[place], *shard, pending.a);
            return;
        case EventKind::turn_end:
            if (Shard* shard = shard_of(place, pending.incarnation, pending.shard)) {
                record(pending.kind, place, pending.shard, 0);
                end_turn(*machines_[place], *shard);
            }
            return;
        case EventKind::disk: on_work(static_cast<std::uint32_t>(pending.a)); return;
        case EventKind::harness: {
            record(pending.kind, place, 0, pending.incarnation);
            auto found = actions_.extract(pending.a);
            found.mapped()();
            if (observer_ != nullptr) observer_->after_event(no_node);
            return;
        }
        default: break;
    }
    record(pending.kind, place, pending.shard, pending.a);
    if (connection(place) == nullptr) return;
    switch (pending.kind) {
        case EventKind::packet: on_packet(place, pending.shard, pending.a); return;
        case EventKind::fin: on_fin(place, pending.shard); return;
        case EventKind::reset: on_reset(place, pending.shard); return;
        case EventKind::syn: on_syn(place); return;
        case EventKind::syn_ack: on_syn_ack(place); return;
        case EventKind::connect_timeout: on_connect_timeout(place); return;
        case EventKind::break_timeout: on_break_timeout(place, pending.shard, pending.a); return;
        case EventKind::lag: {
            Direction& way = connection(place)->ways[pending.shard];
            way.lagging = false;
            way.lag_over = true;
            pump(place, pending.shard);
            return;
        }
        case EventKind::pump: pump(place, pending.shard); return;
        default: KLAMM_UNREACHABLE();
    }
}

/// The chain that an event belongs to, and the machine that it is for.
std::pair<std::uint64_t, std::uint32_t> World::Impl::chain_of(const Pending& pending) {
    const auto kind = static_cast<std::uint64_t>(pending.kind);
    switch (pending.kind) {
        case EventKind::disk: {
            const DiskWork& work = work_[pending.a];
            const std::uint64_t key = machines_[work.machine]->key;
            return {fold64(fold64(key, work.incarnation), fold64(kind, work.shard)), work.machine};
        }
        case EventKind::none:
        case EventKind::start:
        case EventKind::deliver:
        case EventKind::alarm:
        case EventKind::turn_end:
        case EventKind::harness: {
            const std::uint64_t key = machines_[pending.machine]->key;
            return {fold64(fold64(key, pending.incarnation), fold64(kind, pending.shard)),
                    pending.machine};
        }
        default: break;
    }
    const Connection* made = connection(pending.machine);
    if (made == nullptr) return {0, no_node.value};
    // What one side sends stays in order: its packets and its end, and before them its greeting.
    std::uint64_t way = pending.shard;
    if (pending.kind == EventKind::reset) way = 1 - pending.shard;
    if (pending.kind == EventKind::syn_ack) way = 1;
    const bool sent = pending.kind == EventKind::packet || pending.kind == EventKind::fin ||
                      pending.kind == EventKind::reset || pending.kind == EventKind::syn ||
                      pending.kind == EventKind::syn_ack;
    if (!sent) return {fold64(made->key, fold64(kind, way)), made->sides[way % 2].machine};
    return {fold64(made->key, way), made->sides[1 - way % 2].machine};
}

std::pair<Instant, Pending> World::Impl::next_event() {
    if (!explorer_) return heap_.pop();
    while (!heap_.empty()) {
        const bool none = explorer_->empty();
        const bool harness = heap_.front().kind == EventKind::harness;
        if (harness && (none || heap_.time_min() <= now_)) return heap_.pop();
        const Instant first = none ? heap_.time_min() : explorer_->time_min();
        const Instant end = std::min(first + explorer_->window(), explore_until_);
        if (!none && (harness || heap_.time_min() > end)) break;
        auto [time, pending] = heap_.pop();
        const auto [chain, machine] = chain_of(pending);
        explorer_->take(time, chain, machine, std::move(pending));
    }
    return explorer_->choose();
}

bool World::Impl::step() {
    if (ended_ || idle()) return false;
    try {
        auto [time, pending] = next_event();
        KLAMM_ASSERT(explorer_ || time >= now_);
        now_ = std::max(now_, time);
        dispatch(pending);
    } catch (const WorldEnded& end) {
        EndReport report;
        report.condition = end.place.condition;
        report.file = end.place.file;
        report.line = end.place.line;
        report.time = now_;
        report.last_turns = trace_.last_turns();
        if (running_machine_ != no_node.value) {
            report.node = NodeId(running_machine_);
            record_.hash = trace_.hash();
            record_.number = trace_.events() + 1;
            report.last_turns.push_back(record_);
        }
        ended_ = std::move(report);
        return false;
    }
    return true;
}

bool World::Impl::run(Instant until, const std::function<bool()>* done) {
    const AssertionGuard guard;
    if (done != nullptr && (*done)()) return true;
    explore_until_ = until;
    while (!ended_ && time_min() <= until && !idle()) {
        if (!step()) break;
        if (done != nullptr && (*done)()) return true;
    }
    if (ended_) return false;
    if (until != instant_never) now_ = std::max(now_, until);
    return done == nullptr;
}

// --- The public door

World::World(WorldOptions options) : impl_(std::make_unique<Impl>(*this, options)) {}
World::~World() = default;

NodeId World::add_node(NodeSpec spec) {
    KLAMM_ASSERT(!spec.name.empty());
    KLAMM_ASSERT(!impl_->names_.contains(spec.name));
    KLAMM_ASSERT(spec.shards > 0);
    const NodeId id(static_cast<std::uint32_t>(impl_->machines_.size()));
    const std::uint64_t key = digest64(as_bytes(spec.name));
    const Instant boot{
        impl_->draws_.between(1'000'000'000, 1'000'000'000'000, boot_domain, key, 0)};
    NodeClock clock(boot, impl_->options_.start_wall, spec.clock.wall_offset, spec.clock.drift_ppm);
    impl_->names_.emplace(spec.name, id.value);
    impl_->machines_.push_back(std::make_unique<Machine>(id, std::move(spec), clock, key));
    return id;
}

std::size_t World::nodes() const { return impl_->machines_.size(); }
const std::string& World::name(NodeId node) const { return impl_->machine(node).spec.name; }
std::optional<NodeId> World::find(std::string_view name) const {
    auto found = impl_->names_.find(name);
    if (found == impl_->names_.end()) return std::nullopt;
    return NodeId(found->second);
}
void World::start(NodeId node) { impl_->start(impl_->machine(node)); }
void World::kill(NodeId node, KillRule rule) { impl_->kill(impl_->machine(node), rule); }
void World::power_loss(std::span<const NodeId> nodes) { impl_->power_loss(nodes); }
void World::disarm(NodeId node) { impl_->machine(node).armed = false; }
void World::pause(NodeId node) { impl_->pause(impl_->machine(node), true); }
void World::resume(NodeId node) { impl_->pause(impl_->machine(node), false); }
void World::wipe(NodeId node) {
    Machine& machine = impl_->machine(node);
    machine.starting = false;
    impl_->end_process(machine, Impl::Ending::killed);
    ++machine.power_epoch;
    impl_->forget_stalled_work(machine);
    machine.disk.wipe();
    if (impl_->observer_ != nullptr) impl_->observer_->on_crash(node, CrashKind::wipe, {});
}
void World::ask_stop(NodeId node) {
    Machine& machine = impl_->machine(node);
    if (machine.process == nullptr) return;
    for (env::ShardIndex i = 0; i < machine.spec.shards; ++i) {
        Pending& pending = impl_->push(impl_->now_, EventKind::deliver);
        pending.machine = node.value;
        pending.shard = i;
        pending.incarnation = machine.incarnation;
        pending.event = env::StopAsked{};
    }
}
void World::post(NodeId node, env::Mail mail) {
    if (impl_->machine(node).process == nullptr) return;
    Pending& pending = impl_->push(impl_->now_, EventKind::deliver);
    pending.machine = node.value;
    pending.incarnation = impl_->machine(node).incarnation;
    pending.event = env::MailArrived{0, std::move(mail)};
}
bool World::alive(NodeId node) const { return impl_->machine(node).process != nullptr; }
bool World::paused(NodeId node) const { return impl_->machine(node).paused; }
std::uint64_t World::incarnation(NodeId node) const { return impl_->machine(node).incarnation; }
std::optional<int> World::stop_status(NodeId node) const {
    return impl_->machine(node).stop_status;
}
env::Node* World::shard_object(NodeId node, env::ShardIndex shard) {
    Machine& machine = impl_->machine(node);
    if (machine.process == nullptr || shard >= machine.process->shards.size()) return nullptr;
    return machine.process->shards[shard]->node_.get();
}

Instant World::now() const { return impl_->now_; }
bool World::run_until(Instant until) { return impl_->run(until, nullptr); }
bool World::run_for(Duration duration) { return impl_->run(impl_->now_ + duration, nullptr); }
bool World::run_until(const std::function<bool()>& done, Instant limit) {
    return impl_->run(limit, &done);
}
bool World::run_until(const std::function<bool()>& done, Duration limit) {
    return impl_->run(impl_->now_ + limit, &done);
}
bool World::step() {
    const AssertionGuard guard;
    return impl_->step();
}
void World::schedule(Instant when, std::uint64_t tag, std::function<void()> act) {
    Pending& pending = impl_->push(when, EventKind::harness);
    pending.incarnation = tag;
    pending.a = impl_->next_action_++;
    impl_->actions_.emplace(pending.a, std::move(act));
}
const std::optional<EndReport>& World::ended() const { return impl_->ended_; }

Instant World::monotonic(NodeId node) const {
    return impl_->machine(node).clock.monotonic(impl_->now_);
}
Timestamp World::wall(NodeId node) const { return impl_->machine(node).clock.wall(impl_->now_); }
void World::step_wall(NodeId node, Duration by) { impl_->machine(node).clock.step_wall(by); }
void World::set_drift(NodeId node, std::int64_t ppm) {
    KLAMM_ASSERT(ppm > -900'000);
    Machine& machine = impl_->machine(node);
    machine.clock.set_drift(impl_->now_, ppm);
    if (machine.process != nullptr)
        for (auto& shard : machine.process->shards) impl_->ask_alarm(machine, *shard);
}

const DiskOptions& World::disk_options(NodeId node) const { return impl_->machine(node).spec.disk; }
void World::set_disk_options(NodeId node, const DiskOptions& options) {
    Machine& machine = impl_->machine(node);
    machine.spec.disk = options;
    machine.disk.set_options(options);
}
void World::stall_disk(NodeId node, bool stalled) {
    impl_->stall_disk(impl_->machine(node), stalled);
}
void World::set_cpu_options(NodeId node, const CpuOptions& options) {
    impl_->machine(node).spec.cpu = options;
}
const Bytes* World::file_bytes(NodeId node, std::string_view path) const {
    const InodePointer inode = impl_->machine(node).disk.find(path);
    return inode && !inode->is_directory() ? &inode->file.live() : nullptr;
}
std::optional<Bytes> World::durable_bytes(NodeId node, std::string_view path) const {
    return impl_->machine(node).disk.durable_bytes(path);
}
std::vector<std::string> World::paths(NodeId node) const {
    return impl_->machine(node).disk.paths();
}
std::uint64_t World::disk_bytes(NodeId node) const { return impl_->machine(node).disk.used(); }
void World::put_file(NodeId node, std::string_view path, ByteView bytes) {
    impl_->machine(node).disk.put(path, bytes);
}
bool World::rot_file(NodeId node, std::string_view path, std::uint64_t position, ByteView seen) {
    return impl_->machine(node).disk.rot(path, position, seen);
}
bool World::break_file(NodeId node, std::string_view path, ByteRange range) {
    return impl_->machine(node).disk.break_range(path, range);
}
bool World::misdirect_next_write(NodeId node, std::string_view path, std::uint64_t lands_at) {
    return impl_->machine(node).disk.misdirect_next_write(path, lands_at);
}
bool World::fail_write_back(NodeId node, std::string_view path) {
    Machine& machine = impl_->machine(node);
    return machine.disk.fail_write_back(path, impl_->draws_.fork(write_back_domain, machine.key),
                                        machine.incarnation);
}
void World::mend_medium(NodeId node) { impl_->machine(node).disk.mend(); }
std::optional<FileDamage> World::file_state(NodeId node, std::string_view path) const {
    const DiskImage& disk = impl_->machine(node).disk;
    const InodePointer inode = disk.find(path);
    if (!inode || inode->is_directory()) return std::nullopt;
    return disk.describe(inode, {});
}
std::map<std::string, Bytes> World::disk_contents(NodeId node) const {
    return impl_->machine(node).disk.contents();
}
void World::set_disk_contents(NodeId node, const std::map<std::string, Bytes>& contents) {
    Machine& machine = impl_->machine(node);
    machine.starting = false;
    if (machine.process != nullptr) impl_->kill_now(machine, {});
    ++machine.power_epoch;
    impl_->forget_stalled_work(machine);
    machine.disk.wipe();
    for (const auto& [path, bytes] : contents) machine.disk.put(path, bytes);
}
std::optional<Bytes> World::read_file(NodeId node, std::string_view path) const {
    const InodePointer inode = impl_->machine(node).disk.find(path);
    if (!inode || inode->is_directory()) return std::nullopt;
    Bytes bytes(inode->file.length());
    if (!inode->read(0, bytes).ok()) return std::nullopt;
    return bytes;
}

void World::set_observer(WorldObserver* observer) { impl_->observer_ = observer; }
void World::set_tap(NetworkTap* tap) { impl_->tap_ = tap; }
void World::perturb(std::uint64_t salt) {
    impl_->draws_ = impl_->draws_.fork(perturb_domain, salt);
    for (auto& machine : impl_->machines_) {
        if (machine->process == nullptr) continue;
        for (auto& shard : machine->process->shards) shard->take_draws(impl_->draws_);
    }
}
void World::perturb_surroundings(std::uint64_t salt) {
    impl_->draws_ = impl_->draws_.fork(perturb_domain, salt);
}
Plants& World::plants() { return impl_->plants_; }
Maybes& World::maybes(NodeId node) { return impl_->machine(node).maybes; }
const Maybes& World::maybes(NodeId node) const { return impl_->machine(node).maybes; }
const Draws& World::draws() const { return impl_->draws_; }
std::uint64_t World::hash() const { return impl_->trace_.hash(); }
std::uint64_t World::events() const { return impl_->trace_.events(); }
const std::vector<Checkpoint>& World::checkpoints() const { return impl_->trace_.checkpoints(); }
std::vector<EventRecord> World::last_turns() const { return impl_->trace_.last_turns(); }
void World::set_event_sink(EventSink sink) { impl_->trace_.set_sink(std::move(sink)); }

}  // namespace klamm::sim
