#include "tests/server/quorum_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/raft/quorum_state.h"
#include "core/record/batch.h"
#include "core/record/record.h"

namespace klamm::server::test {

namespace {

constexpr env::ListenerId listener{1};

Bytes bytes_of(std::uint64_t number) {
    Bytes bytes(8);
    store_big_endian(bytes.data(), static_cast<std::int64_t>(number));
    return bytes;
}

}  // namespace

NumbersNode::NumbersNode(QuorumSettings settings, QuorumLedger& ledger, std::size_t snapshot_every)
    : settings_(std::move(settings)),
      ledger_(ledger),
      inbound_(net::InboundLimits{}),
      quorum_(settings_, inbound_),
      snapshot_every_(snapshot_every) {}

void NumbersNode::handle(env::Env& env, env::Event event) {
    std::vector<net::Request> requests;
    if (const auto* started = std::get_if<env::Started>(&event)) {
        for (const QuorumVoter& voter : settings_.voters)
            if (voter.id == settings_.node) env.network().listen(voter.at, listener);
        const auto id = static_cast<std::uint64_t>(settings_.node.value);
        quorum_.start(env, started->incarnation, uuid_from_halves(7, id));
    } else if (const auto* accepted = std::get_if<env::Accepted>(&event)) {
        inbound_.accepted(env, *accepted, false);
    } else if (const auto* mail = std::get_if<env::MailArrived>(&event)) {
        const std::uint64_t number = static_cast<const AppendNumber&>(*mail->mail).number;
        const auto end = quorum_.append(env, {bytes_of(number)});
        if (end.has_value()) waiting_.emplace_back(*end, number);
    } else if (std::holds_alternative<env::StopAsked>(event)) {
        stop_at_ = env.turn().now + seconds(5);
        quorum_.shut_down(seconds(5));
    } else if (!quorum_.on_event(env, event)) {
        if (const auto* received = std::get_if<env::Received>(&event))
            inbound_.received(env, *received, requests);
        if (const auto* drained = std::get_if<env::Drained>(&event))
            inbound_.drained(env, *drained);
        if (const auto* closed = std::get_if<env::Closed>(&event)) inbound_.closed(env, *closed);
    }
    for (const net::Request& request : requests) {
        protocol::Reader reader(request.frame);
        const auto header = protocol::decode_request_header(reader);
        KLAMM_ASSERT(header.ok());
        quorum_.on_request(env, {request.key, *header, reader.bytes(reader.remaining())});
    }
    for (bool again = true; again;) {
        quorum_.tick(env);
        const auto all = quorum_.take_news();
        for (const QuorumNews& news : all) std::visit([this](const auto& one) { on(one); }, news);
        again = !all.empty();
    }
    if (!quorum_.failure().empty()) {
        env.log(quorum_.failure());
        return env.stop(1);
    }
    if (quorum_.closed()) return env.stop(0);
    if (snapshot_every_ > 0 && quorum_.raft() != nullptr && stop_at_ == instant_never) save(env);
    const bool leaving = stop_at_ != instant_never;
    if (leaving && quorum_.may_stop(env.turn().now)) quorum_.close(env);
    env.wake_at(leaving ? std::min(quorum_.deadline(), stop_at_)
                        : (saving_ ? env.turn().now : quorum_.deadline()));
}

/// Two numbers a turn.
void NumbersNode::save(env::Env& env) {
    if (std::exchange(abandons_, false)) quorum_.abandon_snapshot(env);
    if (!saving_.has_value()) {
        if (numbers_.size() < saved_ + snapshot_every_ || quorum_.making_snapshot()) return;
        if (!quorum_.begin_snapshot(env, next_, env.turn().wall)) return;
        saved_ = numbers_.size();
        saving_.emplace(numbers_.rbegin(), numbers_.rend());
    }
    std::vector<Bytes> values;
    for (; values.size() < 2 && !saving_->empty(); saving_->pop_back())
        values.push_back(bytes_of(saving_->back()));
    quorum_.add_to_snapshot(env, values);
    if (!saving_->empty()) return;
    saving_.reset();
    quorum_.finish_snapshot(env);
}

void NumbersNode::on(const SnapshotPart& news) {
    if (news.first) {
        numbers_.clear();
        abandons_ = saving_.has_value();
        saving_.reset();
    }
    ByteView rest = news.batches;
    ByteView bytes;
    while (record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        if (batch.is_control()) continue;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            numbers_.push_back(
                static_cast<std::uint64_t>(load_big_endian<std::int64_t>(record.value->data())));
        });
    }
    if (!news.last) return;
    ++snapshots_taken_;
    saved_ = numbers_.size();
    next_ = news.id.offset;
    std::vector<std::uint64_t> committed;
    for (const auto& [base, batch] : ledger_.committed) {
        if (base >= news.id.offset) break;
        const record::BatchView view{ByteView(batch.bytes)};
        if (view.is_control()) continue;
        record::for_each_record(view.records(), [&](const record::Record& record) {
            committed.push_back(
                static_cast<std::uint64_t>(load_big_endian<std::int64_t>(record.value->data())));
        });
    }
    if (committed != numbers_)
        ledger_.fail(fmt::format("the snapshot at {} is not what was committed below it",
                                 news.id.offset.value));
}

void NumbersNode::on(const Committed& news) {
    if (news.from != next_) ledger_.fail("what is handed out does not follow what was");
    ByteView rest = news.batches;
    ByteView bytes;
    while (record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        const QuorumLedger::Batch seen{batch.leader_epoch(), {bytes.begin(), bytes.end()}};
        const auto [row, fresh] = ledger_.committed.emplace(batch.base_offset(), seen);
        if (row->second != seen)
            ledger_.fail(
                fmt::format("two batches are committed at offset {}", batch.base_offset().value));
        if (fresh) ledger_.fresh.push_back(batch.base_offset());
        if (batch.is_control()) continue;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            const auto number =
                static_cast<std::uint64_t>(load_big_endian<std::int64_t>(record.value->data()));
            numbers_.push_back(number);
            if (fresh) ledger_.numbers.insert(number);
        });
    }
    next_ = news.next;
    while (!waiting_.empty() && waiting_.front().first <= next_) {
        ledger_.acknowledged.insert(waiting_.front().second);
        waiting_.pop_front();
    }
}

void NumbersNode::on(const Elected& news) {
    leads_ = true;
    if (news.epoch != raft()->epoch() || !waiting_.empty())
        ledger_.fail("it is told that it leads, and is out of date");
}

void NumbersNode::on(const Deposed&) {
    leads_ = false;
    waiting_.clear();
    numbers_.clear();
    next_ = Offset(0);
}

QuorumWorld::QuorumWorld(int replicas, std::uint64_t seed, const sim::DiskOptions& disk,
                         std::size_t snapshot_every)
    : world({.seed = seed, .network = {}}), ends(static_cast<std::size_t>(replicas), Offset(0)) {
    std::vector<QuorumVoter> voters;
    for (int i = 1; i <= replicas; ++i)
        voters.push_back({BrokerId(i), {fmt::format("k{}", i), 9093}});
    for (const QuorumVoter& voter : voters) {
        QuorumSettings settings;
        settings.cluster = "test";
        settings.node = voter.id;
        settings.voters = voters;
        if (snapshot_every > 0) {
            settings.log = {600, 0};
            settings.raft.snapshot_piece_bytes = 300;
        }
        nodes.push_back(world.add_node(
            {.name = voter.at.host,
             .factory = [settings, snapshot_every, this](
                            env::ShardIndex, env::ShardIndex) -> std::unique_ptr<env::Node> {
                 return std::make_unique<NumbersNode>(settings, ledger, snapshot_every);
             },
             .clock = {},
             .disk = disk,
             .cpu = {}}));
    }
}

void QuorumWorld::start_all() {
    for (const sim::NodeId node : nodes) world.start(node);
}

void QuorumWorld::look() {
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const NumbersNode* node = at(i);
        if (node == nullptr || node->raft() == nullptr || !node->raft()->is_leader()) continue;
        const std::pair leader{nodes[i], world.incarnation(nodes[i])};
        const auto [row, fresh] = ledger.leaders.emplace(node->raft()->epoch(), leader);
        if (row->second != leader)
            ledger.fail(fmt::format("epoch {} has two leaders", node->raft()->epoch().value));
        if (!fresh) continue;
        check_logs();
        check_votes(row->first, BrokerId(static_cast<std::int32_t>(i) + 1));
    }
    for (const Offset base : std::exchange(ledger.fresh, {})) check_durable(base);
}

/// A majority has durably voted for it, follows it, or has gone on to a later epoch.
void QuorumWorld::check_votes(LeaderEpoch epoch, BrokerId leader) {
    if (nodes.size() == 1) return;  // nobody is told
    std::size_t count = 0;
    for (const sim::NodeId node : nodes) {
        const auto text = world.durable_bytes(node, quorum_state_path);
        if (!text.has_value()) continue;
        const auto state = raft::decode_quorum_state(as_text(*text));
        if (!state.ok()) continue;
        const bool voted = state->voted.has_value() && state->voted->id == leader;
        if (state->epoch > epoch || (state->epoch == epoch && (voted || state->leader == leader)))
            ++count;
    }
    if (!majority(count))
        ledger.fail(
            fmt::format("the votes for the leader of epoch {} are not durable", epoch.value));
}

void QuorumWorld::check_durable(Offset base) {
    std::size_t count = 0;
    for (const sim::NodeId node : nodes) {
        bool has = false;
        for (const std::string& path : world.paths(node)) {
            if (!path.starts_with(quorum_log_directory)) continue;
            const std::string name = path.substr(std::strlen(quorum_log_directory));
            const auto bytes = world.durable_bytes(node, path);
            if (!bytes.has_value()) continue;
            const auto snapshot = snapshot_of_file(name);
            has = has || (snapshot.has_value() && snapshot->offset > base);
            if (!name.ends_with(".log")) continue;
            const auto log = batches_in(*bytes);
            const auto found = log.find(base);
            has = has || (found != log.end() && found->second == ledger.committed.at(base));
        }
        count += has ? 1 : 0;
    }
    if (!majority(count))
        ledger.fail(fmt::format("what is committed at offset {} is not durable", base.value));
}

bool QuorumWorld::run_until(const std::function<bool()>& done, Duration limit) {
    const bool came = world.run_until(
        [&] {
            look();
            return !ledger.violation.empty() || done();
        },
        limit);
    if (world.ended().has_value())
        ledger.fail(fmt::format("{} at {}:{}", world.ended()->condition, world.ended()->file,
                                world.ended()->line));
    for (std::size_t i = 0; i < nodes.size(); ++i)
        if (world.stop_status(nodes[i]) == 1) ledger.fail(fmt::format("replica {} gave up", i + 1));
    return came && ledger.violation.empty();
}

int QuorumWorld::leader() {
    int best = -1;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const NumbersNode* node = at(i);
        if (node == nullptr || !node->leads()) continue;
        if (best < 0 || node->raft()->epoch() > at(static_cast<std::size_t>(best))->raft()->epoch())
            best = static_cast<int>(i);
    }
    return best;
}

std::uint64_t QuorumWorld::append() {
    const int to = leader();
    if (to < 0) return 0;
    world.post(nodes[static_cast<std::size_t>(to)], std::make_unique<AppendNumber>(++numbers));
    return numbers;
}

void QuorumWorld::isolate(std::size_t replica) {
    for (const sim::NodeId other : nodes) {
        if (other == nodes[replica]) continue;
        world.cut(nodes[replica], other);
        world.cut(other, nodes[replica]);
    }
}

bool QuorumWorld::settles(Duration limit) {
    world.heal_all();
    for (const sim::NodeId node : nodes) {
        world.stall_disk(node, false);
        world.resume(node);
        world.disarm(node);
        world.start(node);
    }
    const Instant until = world.now() + limit;
    while (world.now() < until) {
        // One whose disk stalled in a turn in which it was to be killed dies only now.
        for (const sim::NodeId node : nodes) world.start(node);
        const std::uint64_t number = append();
        const bool came = run_until([&] { return acknowledged(number); }, milliseconds(500));
        if (!ledger.violation.empty()) return false;
        if (came) break;
    }
    for (const sim::NodeId node : nodes) world.start(node);
    const bool same = run_until(
        [&] {
            for (std::size_t i = 0; i < nodes.size(); ++i)
                if (at(i) == nullptr || at(i)->numbers().size() != ledger.numbers.size())
                    return false;
            return leader() >= 0;
        },
        until - world.now());
    check_logs();
    for (const std::uint64_t number : ledger.acknowledged)
        if (!ledger.numbers.contains(number)) ledger.fail("an acknowledged number is lost");
    for (std::size_t i = 1; same && i < nodes.size(); ++i)
        if (at(i)->numbers() != at(0)->numbers()) ledger.fail("replicas keep other numbers");
    return same && ledger.violation.empty();
}

std::map<Offset, QuorumLedger::Batch> QuorumWorld::batches_in(ByteView file) {
    std::map<Offset, QuorumLedger::Batch> log;
    ByteView one;
    while (record::next_batch(file, one) == record::Peek::ok) {
        const record::BatchView batch(one);
        if (!batch.crc_holds()) break;
        log[batch.base_offset()] = {batch.leader_epoch(), {one.begin(), one.end()}};
    }
    return log;
}

std::map<Offset, QuorumLedger::Batch> QuorumWorld::log_of(std::size_t replica) const {
    std::map<Offset, QuorumLedger::Batch> log;
    for (const std::string& path : world.paths(nodes[replica])) {
        if (!path.starts_with(quorum_log_directory) || !path.ends_with(".log")) continue;
        const Bytes* bytes = world.file_bytes(nodes[replica], path);
        if (bytes != nullptr) log.merge(batches_in(*bytes));
    }
    return log;
}

std::vector<std::string> QuorumWorld::snapshots_of(std::size_t replica) const {
    std::vector<std::string> names;
    for (const std::string& path : world.paths(nodes[replica]))
        if (path.starts_with(quorum_log_directory) && path.find(".checkpoint") != path.npos)
            names.push_back(path.substr(std::strlen(quorum_log_directory)));
    return names;
}

void QuorumWorld::check_logs() {
    std::vector<std::map<Offset, QuorumLedger::Batch>> logs;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        // What a power loss left of a replica that is down is not a log before it has recovered.
        const bool whole = at(i) != nullptr && at(i)->raft() != nullptr;
        logs.push_back(whole ? log_of(i) : std::map<Offset, QuorumLedger::Batch>{});
        const Offset end = logs[i].empty() ? Offset(0) : logs[i].rbegin()->first;
        if (whole && end < ends[i]) ++ledger.cuts;
        if (whole) ends[i] = end;
    }
    for (std::size_t a = 0; a < logs.size(); ++a)
        for (std::size_t b = a + 1; b < logs.size(); ++b) {
            bool must_match = false;
            for (auto one = logs[a].rbegin(); one != logs[a].rend(); ++one) {
                if (!logs[b].empty() && one->first < logs[b].begin()->first) break;
                const auto other = logs[b].find(one->first);
                const bool same = other != logs[b].end() && other->second == one->second;
                must_match = must_match ||
                             (other != logs[b].end() && other->second.epoch == one->second.epoch);
                if (must_match && !same)
                    return ledger.fail(fmt::format("the logs of replicas {} and {} differ at {}",
                                                   a + 1, b + 1, one->first.value));
            }
        }
}

}  // namespace klamm::server::test
