#include "sim/world/shard.h"

#include <algorithm>
#include <cstring>

namespace klamm::sim {

namespace {
constexpr DrawDomain write_fails = draw_domain("world.disk.write_fails");
constexpr DrawDomain write_prefix = draw_domain("world.disk.write_prefix");
constexpr DrawDomain would_block = draw_domain("world.disk.would_block");
constexpr DrawDomain node_domain = draw_domain("world.node");

// Calls, as they fold into the digest of a turn.
enum class Call : std::uint64_t {
    open = 1,
    close,
    mkdir,
    write,
    truncate,
    rename,
    remove,
    allocate,
    read,
    sync,
    sync_directory,
    list,
    listen,
    connect,
    receive,
    send,
    hang_up,
    wake,
    mail,
    compute,
    stop,
};
std::uint64_t code(Call call) { return static_cast<std::uint64_t>(call); }
template <class Id>
std::uint64_t number(Id id) {
    return static_cast<std::uint64_t>(id);
}
}  // namespace

Process::Process() = default;
Process::~Process() = default;

Shard::Shard(Machine& machine, Process& process, env::ShardIndex index, WorldObserver* observer,
             Plants* plants, const Draws& world_draws)
    : facts::Facts(observer != nullptr),
      index_(index),
      machine_(machine),
      process_(process),
      observer_(observer),
      key_(fold64(fold64(machine.key, process.incarnation), index)),
      mail_last_(machine.spec.shards) {
    take_draws(world_draws);
    turn_.plants = plants->any() ? plants : nullptr;
    turn_.facts = observer != nullptr ? this : nullptr;
    turn_.maybes = &machine.maybes;
}

void Shard::take_draws(const Draws& world_draws) {
    turn_.draws = world_draws.fork(node_domain, fold64(machine_.key, process_.incarnation));
}

env::ShardIndex Shard::shards() const { return machine_.spec.shards; }

void Shard::begin(Instant truth, bool record) {
    truth_ = truth;
    turn_.now = machine_.clock.monotonic(truth);
    turn_.wall = machine_.clock.wall(truth);
    cost_ = {};
    digest_ = 0;
    disk_calls_ = 0;
    disk_used_ = false;
    draw_number_ = 0;
    alarm_asked_.reset();
    recording_ = record;
    ++turns_;
}

void Shard::emit(const facts::Fact& fact) {
    if (observer_ == nullptr) return;
    if (recording_) {
        held_facts_.push_back({machine_.disk.recorded(), effects_.size(), fact});
        return;
    }
    observer_->on_fact(machine_.id, index_, truth_, fact);
}

void Shard::release_facts(std::size_t disk_kept, bool cut_inside, std::size_t effects_kept) {
    recording_ = false;
    const auto held = std::move(held_facts_);
    held_facts_.clear();
    for (const HeldFact& one : held) {
        const bool answer = std::holds_alternative<facts::ProduceAnswered>(one.fact) ||
                            std::holds_alternative<facts::ConsumerServed>(one.fact);
        const bool in_part = cut_inside && one.disk_operations == disk_kept + 1 &&
                             std::holds_alternative<facts::BatchAppended>(one.fact);
        const bool told =
            answer ? effects_kept > one.effects : one.disk_operations <= disk_kept || in_part;
        if (told) observer_->on_fact(machine_.id, index_, truth_, one.fact);
    }
}

void Shard::wake_at(Instant when) {
    fold(code(Call::wake));
    fold(static_cast<std::uint64_t>(when.nanoseconds));
    alarm_asked_ = when;
}

void Shard::mail(env::ShardIndex to, env::Mail mail) {
    KLAMM_ASSERT(to < shards());
    KLAMM_ASSERT(mail != nullptr);
    fold(code(Call::mail));
    fold(fold64(to, mail->digest()));
    effects_.emplace_back(MailEffect{to, std::move(mail)});
}

void Shard::compute(std::unique_ptr<env::Job> job, env::Token token) {
    fold(fold64(code(Call::compute), token));
    effects_.emplace_back(ComputeEffect{std::move(job), token});
}

void Shard::stop(int status) {
    fold(fold64(code(Call::stop), static_cast<std::uint64_t>(status)));
    effects_.emplace_back(StopEffect{status});
}

void Shard::log(std::string_view line) {
    if (observer_ != nullptr) observer_->on_log(machine_.id, index_, truth_, line);
}

// --- Disk: D

void Shard::spend(std::int64_t nanoseconds) {
    cost_ = cost_ + Duration{nanoseconds} * machine_.spec.disk.slow_factor;
}

void Shard::begin_d(std::uint64_t kind) {
    fold(kind);
    ++disk_calls_;
    disk_used_ = true;
    spend(machine_.spec.disk.call.nanoseconds);
}

bool Shard::disk_fails(std::int64_t rate, DrawDomain domain) {
    return rate > 0 && turn_.draws.happens(rate, domain, fold64(index_, turns_), draw_number_++);
}

InodePointer Shard::file(env::FileId file) const {
    const auto at = static_cast<std::uint64_t>(file);
    if (at == 0 || at > process_.files.size()) return nullptr;
    return process_.files[at - 1].inode;
}

Result<env::FileId> Shard::open(std::string_view path, env::OpenMode mode) {
    begin_d(code(Call::open));
    fold(path);
    auto inode = machine_.disk.open(path, mode);
    if (!inode) return inode.error();
    process_.files.push_back({std::move(*inode), mode != env::OpenMode::read});
    return env::FileId{process_.files.size()};
}

void Shard::close(env::FileId file) {
    fold(fold64(code(Call::close), number(file)));
    const std::uint64_t at = number(file);
    if (at > 0 && at <= process_.files.size()) process_.files[at - 1].inode = nullptr;
}

Status Shard::mkdir(std::string_view path) {
    begin_d(code(Call::mkdir));
    fold(path);
    return machine_.disk.mkdir(path);
}

Status Shard::write(env::FileId file, std::uint64_t position, std::span<const ByteView> parts) {
    begin_d(code(Call::write));
    const InodePointer inode = this->file(file);
    if (!inode) return Failure::closed;
    if (!process_.files[number(file) - 1].writable) return Failure::invalid;
    fold(fold64(number(file), position));
    std::uint64_t size = 0;
    for (const ByteView part : parts) {
        fold(fold64(part.size(), crc32c(part)));
        size += part.size();
    }
    const DiskOptions& options = machine_.spec.disk;
    spend(static_cast<std::int64_t>(size) * options.write_nanoseconds_per_kib / 1024);
    if (disk_fails(options.write_error_rate, write_fails)) {
        const std::uint64_t prefix =
            turn_.draws.below(size + 1, write_prefix, fold64(index_, turns_), draw_number_++);
        (void)machine_.disk.write(inode, position, parts, prefix);
        return Failure::io;
    }
    return machine_.disk.write(inode, position, parts);
}

Status Shard::truncate(env::FileId file, std::uint64_t length) {
    begin_d(code(Call::truncate));
    const InodePointer inode = this->file(file);
    if (!inode) return Failure::closed;
    if (!process_.files[number(file) - 1].writable) return Failure::invalid;
    fold(fold64(number(file), length));
    if (disk_fails(machine_.spec.disk.write_error_rate, write_fails)) return Failure::io;
    const Status cut = machine_.disk.truncate(inode, length);
    if (cut.ok()) machine_.cuts.push_back({inode, length, effects_.size()});
    return cut;
}

Status Shard::rename(std::string_view from, std::string_view to) {
    begin_d(code(Call::rename));
    fold(from);
    fold(to);
    if (disk_fails(machine_.spec.disk.write_error_rate, write_fails)) return Failure::io;
    return machine_.disk.rename(from, to);
}

Status Shard::remove(std::string_view path) {
    begin_d(code(Call::remove));
    fold(path);
    if (disk_fails(machine_.spec.disk.write_error_rate, write_fails)) return Failure::io;
    return machine_.disk.remove(path);
}

Status Shard::allocate(env::FileId file, std::uint64_t length) {
    begin_d(code(Call::allocate));
    const InodePointer inode = this->file(file);
    if (!inode) return Failure::closed;
    if (!process_.files[number(file) - 1].writable) return Failure::invalid;
    fold(fold64(number(file), length));
    return machine_.disk.allocate(inode, length);
}

Status Shard::lock(env::FileId file) {
    if (!this->file(file)) return Failure::closed;
    return {};  // one process a machine: nobody else can hold it
}

Result<std::uint64_t> Shard::length(env::FileId file) {
    const InodePointer inode = this->file(file);
    if (!inode) return Failure::closed;
    return inode->file.length();
}

Result<std::uint64_t> Shard::space() { return machine_.disk.space(); }

Result<std::size_t> Shard::read_if_cached(env::FileId file, std::uint64_t position,
                                          MutableByteView out) {
    const InodePointer inode = this->file(file);
    if (!inode) return Failure::closed;
    if (machine_.disk_stalled) return Failure::limit;
    if (disk_fails(machine_.spec.disk.would_block_rate, would_block)) return Failure::limit;
    auto count = inode->read(position, out);
    if (!count.ok()) return Failure::limit;  // what the medium cannot give is not in the cache
    return count;
}

// --- Disk: E

void Shard::read(env::FileId file, std::uint64_t position, MutableBuffer out, env::Token token) {
    fold(fold64(fold64(code(Call::read), number(file)), fold64(position, token)));
    effects_.emplace_back(ReadEffect{this->file(file), position, std::move(out), token});
}

void Shard::sync(env::FileId file, env::Token token) {
    fold(fold64(fold64(code(Call::sync), number(file)), token));
    SyncEffect effect{this->file(file), {0, 0}, 0, token};
    if (effect.inode) {
        effect.dirty_bytes = effect.inode->file.dirty_bytes();
        effect.mark = machine_.disk.begin_sync(*effect.inode);
    }
    effects_.emplace_back(std::move(effect));
}

void Shard::sync_directory(std::string_view path, env::Token token) {
    fold(fold64(code(Call::sync_directory), token));
    fold(path);
    SyncEffect effect{machine_.disk.find(path), {0, 0}, 0, token};
    if (effect.inode && !effect.inode->is_directory()) effect.inode = nullptr;
    if (effect.inode) effect.mark = machine_.disk.begin_sync(*effect.inode);
    effects_.emplace_back(std::move(effect));
}

void Shard::list(std::string_view path, env::Token token) {
    fold(fold64(code(Call::list), token));
    fold(path);
    effects_.emplace_back(ListEffect{std::string(path), token});
}

// --- Network

void Shard::listen(const env::Endpoint& at, env::ListenerId listener) {
    fold(fold64(fold64(code(Call::listen), at.port), number(listener)));
    fold(at.host);
    effects_.emplace_back(ListenEffect{at, listener});
}

env::ConnectionId Shard::connect(const env::Endpoint& to) {
    fold(fold64(code(Call::connect), to.port));
    fold(to.host);
    process_.connections.push_back({no_connection, 0});
    const env::ConnectionId id{process_.connections.size()};
    effects_.emplace_back(ConnectEffect{to, id});
    return id;
}

void Shard::receive(env::ConnectionId connection, MutableBuffer into) {
    KLAMM_ASSERT(!into.empty());
    fold(fold64(fold64(code(Call::receive), number(connection)), into.size()));
    effects_.emplace_back(ReceiveEffect{connection, std::move(into)});
}

void Shard::send(env::ConnectionId connection, std::vector<env::Piece> pieces, env::Token token) {
    fold(fold64(fold64(code(Call::send), number(connection)), token));
    SendEffect effect{connection, {}};
    effect.pieces.reserve(pieces.size() + 1);
    for (env::Piece& piece : pieces) {
        OutPiece out;
        if (Buffer* buffer = std::get_if<Buffer>(&piece)) {
            if (buffer->empty()) continue;
            fold(fold64(buffer->size(), crc32c(buffer->view())));
            out.length = buffer->size();
            out.buffer = std::move(*buffer);
        } else {
            const env::FileRange& range = std::get<env::FileRange>(piece);
            if (range.length == 0) continue;
            fold(fold64(fold64(number(range.file), range.position), range.length));
            out.file = file(range.file);
            out.bad_handle = !out.file;
            out.position = range.position;
            out.length = range.length;
        }
        effect.pieces.push_back(std::move(out));
    }
    if (effect.pieces.empty()) effect.pieces.emplace_back();
    effect.pieces.back().token = token;
    effects_.emplace_back(std::move(effect));
}

void Shard::close(env::ConnectionId connection) {
    fold(fold64(code(Call::hang_up), number(connection)));
    effects_.emplace_back(CloseEffect{connection});
}

}  // namespace klamm::sim
