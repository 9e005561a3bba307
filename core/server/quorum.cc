#include "core/server/quorum.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/protocol/api_versions.h"
#include "core/raft/describe.h"
#include "core/record/batch.h"

namespace klamm::server {

namespace {

constexpr std::uint64_t hand_out_bytes = 1 << 20;
constexpr std::uint64_t quorum_fetch_bytes_max = 8 << 20;

raft::VoterSet static_voters(const QuorumSettings& settings) {
    std::vector<raft::Voter> voters;
    for (const QuorumVoter& one : settings.voters)
        voters.push_back({{one.id, {}}, {{settings.listener, one.at.host, one.at.port}}, 0, 0});
    return raft::VoterSet(std::move(voters));
}

}  // namespace

Quorum::Quorum(QuorumSettings settings, net::Inbound& inbound)
    : settings_(std::move(settings)),
      names_{settings_.cluster, settings_.listener},
      inbound_(inbound),
      log_(settings_.log_dir, settings_.log),
      lines_(names_, settings_.node, settings_.raft.request_timeout) {}

void Quorum::start(env::Env& env, std::uint64_t incarnation, const Uuid& new_directory) {
    incarnation_ = incarnation;
    log_.start(env, {settings_.cluster, settings_.node, new_directory});
}

bool Quorum::on_event(env::Env& env, const env::Event& event) {
    if (const auto* read = std::get_if<env::ReadDone>(&event)) return log_.on_event(env, *read);
    if (const auto* synced = std::get_if<env::Synced>(&event)) return log_.on_event(env, *synced);
    if (const auto* listed = std::get_if<env::Listed>(&event)) return log_.on_event(env, *listed);
    if (const auto* connected = std::get_if<env::Connected>(&event))
        return lines_.on_event(env, *connected);
    if (const auto* received = std::get_if<env::Received>(&event))
        return lines_.on_event(env, *received);
    if (const auto* closed = std::get_if<env::Closed>(&event)) return lines_.on_event(env, *closed);
    return false;
}

void Quorum::on_request(env::Env& env, const QuorumAsked& asked) {
    const protocol::ApiKey api = asked.header.api_key;
    Asked row{asked.key, api, asked.header.api_version, asked.header.correlation_id, 0};
    const protocol::ApiInfo* info = protocol::find_api(api);
    const bool known =
        info != nullptr && row.version >= info->version_min && row.version <= info->version_max;
    if (api == protocol::ApiKey::describe_quorum) return describe(env, asked);
    auto read = raft::decode_request(api, row.version, asked.body, names_);
    env_ = &env;
    const raft::Ticket ticket = ++tickets_;
    if (api == protocol::ApiKey::api_versions && !known) {
        row.version = 0;  // so that whoever asks can read it (KIP-511)
        asked_[ticket] = row;
        respond(ticket, raft::refusal_of(api, protocol::ErrorCode::unsupported_version));
    } else if (!read.ok()) {
        env.log(fmt::format("closing a connection: {}", read.error().text));
        inbound_.close(env, asked.key.connection);
    } else if (!read->request.has_value()) {
        asked_[ticket] = row;
        respond(ticket, raft::refusal_of(api, read->refusal));
    } else {
        row.bytes_max = read->bytes_max;
        if (const auto* vote = std::get_if<raft::VoteRequest>(&*read->request);
            vote != nullptr && !vote->pre_vote)
            row.vote = facts::QuorumVoted{vote->epoch, vote->candidate.id};
        asked_[ticket] = row;
        inbox_.emplace_back(TakeRequest{ticket, std::move(*read->request)});
    }
    env_ = nullptr;
}

void Quorum::describe(env::Env& env, const QuorumAsked& asked) {
    const int version = asked.header.api_version;
    const auto request = protocol::decode<protocol::DescribeQuorumRequest>(asked.body, version);
    if (!request.ok()) {
        env.log(fmt::format("closing a connection: {}", request.error().text));
        return inbound_.close(env, asked.key.connection);
    }
    protocol::DescribeQuorumResponse response;
    if (raft_ != nullptr)
        response = raft::describe(*raft_, log_.view(), env.turn(), *request, version);
    else
        response.error_code = protocol::ErrorCode::not_leader_or_follower;
    inbound_.respond(env, asked.key,
                     net::to_pieces(protocol::encode_response_frame(response, version,
                                                                    asked.header.correlation_id)));
}

// --- the core

template <class Fn>
void Quorum::tell(Fn&& fn, const Buffer& records) {
    const raft::LogView view = log_.view();
    end_told_ = view.end;
    flushed_told_ = view.flushed;
    start_told_ = view.start;
    apply(fn(*raft_, env_->turn(), view), records);
}

void Quorum::apply(raft::Effects effects, const Buffer& records) {
    if (!effects.fault.empty()) {
        failure_ = effects.fault;
        return;
    }
    if (effects.persist.has_value()) log_.write_state(*env_, *effects.persist);
    for (raft::Send& send : effects.sends) held_.push_back({send.after, std::move(send)});
    for (raft::Answer& answer : effects.answers) held_.push_back({answer.after, std::move(answer)});
    if (raft_->is_leader() && led_told_ != raft_->epoch()) {
        led_told_ = raft_->epoch();
        env_->turn().state(facts::QuorumLeading{raft_->epoch(), raft_->progress()->epoch_start()});
    }
    if (effects.high_watermark.has_value()) {
        env_->turn().state(facts::QuorumCommitted{raft_->epoch(), high_watermark_,
                                                  *effects.high_watermark, raft_->is_leader()});
        high_watermark_ = *effects.high_watermark;
    }
    if (effects.drop_pieces) log_.snapshots().drop_pieces(*env_);
    if (effects.keep_piece.has_value())
        log_.snapshots().keep_piece(*env_, piece_id_, *effects.keep_piece, records);
    check();
    if (!failure_.empty()) return;
    if (effects.restart.has_value()) {
        log_.restart(*env_, *effects.restart);
        cut_pending_ = true;
        return;
    }
    std::vector<raft::ControlEntry> entries;
    if (effects.truncate.has_value()) {
        log_.truncate(*env_, *effects.truncate);
        cut_pending_ = true;
        return;
    }
    if (effects.append.has_value())
        log_.append_control(*env_, *effects.append);
    else if (effects.append_records)
        entries = log_.append_fetched(*env_, records, raft_->epoch());
    else
        return;
    check();
    if (!failure_.empty()) return;
    tell([&](raft::Raft& raft, const Turn& turn, const raft::LogView& view) {
        return raft.on_log(turn, view, entries);
    });
}

void Quorum::begin() {
    raft::Settings settings = settings_.raft;
    settings.incarnation = incarnation_;
    settings.bootstrap.clear();
    settings.endpoints.clear();
    for (const QuorumVoter& one : settings_.voters) {
        settings.bootstrap.push_back(one.id);
        if (one.id == settings_.node)
            settings.endpoints = {{settings_.listener, one.at.host, one.at.port}};
    }
    raft_ = std::make_unique<raft::Raft>(raft::ReplicaKey{settings_.node, log_.directory_id()},
                                         settings, static_voters(settings_));
    replay();
    high_watermark_ = log_.view().start;
    const auto content = log_.take_content();
    const auto stored = log_.take_stored();
    const auto entries = log_.take_entries();
    const raft::ElectionState known = stored.value_or(raft::ElectionState{});
    env_->turn().state(
        facts::QuorumStarted{known.epoch, known.voted ? known.voted->id : no_broker, known.leader});
    tell([&](raft::Raft& raft, const Turn& turn, const raft::LogView& view) {
        return raft.start(turn, view, stored, content, entries);
    });
}

void Quorum::tick(env::Env& env) {
    env_ = &env;
    alarm_ = instant_never;
    check();
    if (raft_ == nullptr && failure_.empty() && log_.phase() == QuorumLog::Phase::ready) begin();
    if (ready()) {
        lines_.tick(env);
        log_.clean(env);
        step();
        alarm_ = std::min({raft_alarm_, lines_.deadline(), log_.clean_due()});
    }
    check();
    env_ = nullptr;
}

void Quorum::check() {
    if (failure_.empty() && log_.phase() == QuorumLog::Phase::failed) failure_ = log_.failure();
}

/// Until nothing is left that can be done in this turn.
void Quorum::step() {
    const auto on_log = [](raft::Raft& raft, const Turn& turn, const raft::LogView& view) {
        return raft.on_log(turn, view);
    };
    const raft::LogView here = log_.view();
    if (cut_pending_ && !log_.cutting()) {
        cut_pending_ = false;
        const auto content = log_.take_content();
        if (content.has_value()) replay();  // what was handed out is replaced
        tell([&](raft::Raft& raft, const Turn& turn, const raft::LogView& now) {
            return raft.on_log(turn, now, {}, content);
        });
    } else if (!cut_pending_ && (here.end != end_told_ || here.flushed != flushed_told_ ||
                                 here.start != start_told_)) {
        tell(on_log);
    } else if (!cut_pending_ && env_->turn().now >= raft_alarm_) {
        tell([](raft::Raft& raft, const Turn& turn, const raft::LogView& view) {
            return raft.tick(turn, view);
        });
    }
    for (;;) {
        take_reads();
        take_snapshot_reads();
        release();
        for (QuorumLines::Outcome& outcome : lines_.take_outcomes())
            inbox_.emplace_back(std::move(outcome));
        check();
        if (!failure_.empty() || cut_pending_ || inbox_.empty()) break;
        const Input input = std::move(inbox_.front());
        inbox_.pop_front();
        take(input);
        note_leadership();
    }
    if (!failure_.empty()) return;
    note_leadership();
    hand_out();
    raft_alarm_ = cut_pending_ ? instant_never : raft_->alarm(env_->turn());
}

void Quorum::take(const Input& input) {
    const Buffer none;
    const auto* outcome = std::get_if<QuorumLines::Outcome>(&input);
    if (outcome != nullptr && outcome->response.has_value())
        if (const auto* piece = std::get_if<raft::FetchSnapshotResponse>(&*outcome->response))
            piece_id_ = piece->id;
    tell(
        [&](raft::Raft& raft, const Turn& turn, const raft::LogView& view) {
            if (const auto* asked = std::get_if<TakeRequest>(&input))
                return raft.on_request(turn, view, asked->ticket, asked->body);
            if (const auto* leave = std::get_if<ShutDown>(&input))
                return raft.shut_down(turn, view, leave->timeout);
            if (outcome == nullptr) return raft.resign(turn, view, raft.epoch());
            if (!outcome->response.has_value())
                return raft.on_failure(turn, view, outcome->from, outcome->request);
            return raft.on_response(turn, view, outcome->from, outcome->request,
                                    *outcome->response);
        },
        outcome != nullptr ? outcome->bytes : none);
}

// --- messages

/// In the order in which they were given, but that none waits for one that rests on a newer state.
void Quorum::release() {
    if (held_.empty()) return;
    std::deque<Held> left;
    for (Held& held : std::exchange(held_, {})) {
        if (held.after > log_.durable_state())
            left.push_back(std::move(held));
        else
            std::visit([this](auto& message) { leave(std::move(message)); }, held.message);
    }
    held_ = std::move(left);
}

void Quorum::leave(raft::Send send) {
    // The core may have forgotten it while it was held.
    if (!raft_->expects(send.to, send.request)) return;
    if (const auto* vote = std::get_if<raft::VoteRequest>(&send.body);
        vote != nullptr && !vote->pre_vote)
        env_->turn().state(facts::QuorumVoted{vote->epoch, settings_.node});
    std::optional<env::Endpoint> at;
    if (const raft::Endpoints* endpoints = raft_->endpoints_of(send.to))
        for (const raft::Endpoint& one : *endpoints)
            if (one.name == names_.listener) at = env::Endpoint{one.host, one.port};
    lines_.send(*env_, send.to, at, send.request, std::move(send.body));
}

void Quorum::leave(raft::Answer answer) {
    if (const auto* piece = std::get_if<raft::FetchSnapshotResponse>(&answer.body);
        piece != nullptr && piece->bytes > 0) {
        const std::uint64_t tag = ++tags_;
        serving_[tag] = {answer.ticket, *piece};
        return log_.snapshots().read(*env_, tag, piece->id, piece->position, piece->bytes);
    }
    const auto* fetch = std::get_if<raft::FetchResponse>(&answer.body);
    if (fetch == nullptr || !fetch->has_records) return respond(answer.ticket, answer.body);
    const auto asked = asked_.find(answer.ticket);
    if (asked == asked_.end()) return;
    const std::uint64_t bytes_max =
        std::min<std::uint64_t>(asked->second.bytes_max, quorum_fetch_bytes_max);
    const std::uint64_t tag = ++tags_;
    serving_[tag] = {answer.ticket, *fetch};
    log_.read(*env_, tag, fetch->read_from, bytes_max, log_.end());
}

void Quorum::respond(raft::Ticket ticket, const raft::Response& response,
                     std::vector<Buffer> records) {
    const auto row = asked_.find(ticket);
    if (row == asked_.end()) return;
    const Asked asked = row->second;
    asked_.erase(row);
    const auto* vote = std::get_if<raft::VoteResponse>(&response);
    if (vote != nullptr && vote->granted && asked.vote) env_->turn().state(*asked.vote);
    net::Pieces pieces;
    for (Buffer& one : records) pieces.emplace_back(std::move(one));
    const std::uint64_t bytes = net::size_of(pieces);
    protocol::Encoded frame =
        raft::encode_response(response, asked.api, asked.version, asked.correlation, names_, bytes);
    // Only what carries records has a place for them.
    const std::size_t externals = frame.splices.empty() ? 0 : 1;
    inbound_.respond(*env_, asked.key,
                     net::to_pieces(std::move(frame), std::span<net::Pieces>(&pieces, externals)));
}

void Quorum::take_reads() {
    for (QuorumLog::Read& read : log_.take_reads()) {
        if (read.tag == handing_out_) {
            handing_out_ = 0;
            Committed committed{read.joined(), handed_out_, handed_out_};
            ByteView rest = committed.batches;
            ByteView one;
            while (record::next_batch(rest, one) == record::Peek::ok)
                committed.next = std::max(committed.next, record::BatchView(one).next_offset());
            handed_out_ = committed.next;
            if (committed.next > committed.from) news_.emplace_back(std::move(committed));
            continue;
        }
        const auto row = serving_.find(read.tag);
        if (row == serving_.end()) continue;
        Serving serving = std::move(row->second);
        serving_.erase(row);
        auto& body = std::get<raft::FetchResponse>(serving.body);
        // What was read while it led is its log only if it leads still.
        if (!raft_->is_leader() || raft_->epoch() != body.view.epoch) {
            body = raft::FetchResponse{};
            body.error = protocol::ErrorCode::not_leader_or_follower;
            body.view = {raft_->epoch(), raft_->leader(), {}};
            read.pieces.clear();
        }
        respond(serving.ticket, body, std::move(read.pieces));
    }
}

// --- the state machine above

void Quorum::note_leadership() {
    const bool leads = raft_->is_leader();
    if (elected_.has_value() && (!leads || raft_->epoch() != *elected_)) {
        news_.emplace_back(Deposed{*elected_});
        elected_.reset();
        replay();
    }
    // The first record of the epoch is committed and handed out, and with it all before it.
    if (leads && !elected_.has_value() && handed_out_ > raft_->progress()->epoch_start()) {
        elected_ = raft_->epoch();
        news_.emplace_back(Elected{*elected_});
    }
}

void Quorum::hand_out() {
    hand_out_snapshot();
    while (!snapshot_due_.has_value() && handing_out_ == 0 && handed_out_ < high_watermark_ &&
           !cut_pending_) {
        const Offset before = handed_out_;
        handing_out_ = ++tags_;
        log_.read(*env_, handing_out_, handed_out_, hand_out_bytes, high_watermark_);
        take_reads();
        note_leadership();
        if (handing_out_ == 0 && handed_out_ == before) return;  // the log could not say
    }
}

std::optional<Offset> Quorum::append(env::Env& env, const std::vector<Bytes>& values) {
    if (!ready() || !elected_ || !raft_->is_leader() || raft_->epoch() != *elected_)
        return std::nullopt;
    if (!log_.append_values(env, values, *elected_)) return std::nullopt;
    return log_.end();
}

void Quorum::replay() {
    const raft::LogView view = log_.view();
    handed_out_ = view.start;
    handing_out_ = 0;
    snapshot_due_.reset();
    if (!view.snapshots.empty()) snapshot_due_ = SnapshotDue{view.snapshots.back().id};
}

void Quorum::close(env::Env& env) {
    if (closing_) return;
    closing_ = true;
    log_.close(env);
    check();
}

std::uint64_t Quorum::digest() const {
    if (raft_ == nullptr) return 0;
    return fold64(fold64(log_.digest(), static_cast<std::uint64_t>(raft_->epoch().value)),
                  static_cast<std::uint64_t>(high_watermark_.value));
}

}  // namespace klamm::server
