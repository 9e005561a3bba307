// The quorum's values as Kafka's messages and back, in every version that Kafka 4.1 understands:
// what a version cannot say is lost, the rest is there.
#include "core/raft/wire.h"

#include <rapidcheck/catch.h>
#include <catch2/catch.hpp>

#include "core/metadata/metadata_topic.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/frame.h"
#include "core/protocol/messages/quorum_vote.h"

using namespace klamm;
using namespace klamm::raft;
using protocol::ApiKey;

namespace {

const WireNames names{"cluster", "CONTROLLER"};

template <class Number>
Number number(std::int64_t from, std::int64_t to) {
    return Number(static_cast<typename Number::Rep>(*rc::gen::inRange<std::int64_t>(from, to + 1)));
}
BrokerId id() { return number<BrokerId>(0, 9); }
LeaderEpoch epoch() { return number<LeaderEpoch>(0, 1'000'000); }
Offset offset() { return number<Offset>(0, std::int64_t{1} << 40); }
bool coin() { return *rc::gen::arbitrary<bool>(); }
Uuid directory() { return coin() ? Uuid() : uuid_from_halves(7, *rc::gen::inRange(1U, 99U)); }
ReplicaKey key() { return {id(), directory()}; }
LogId log_id() { return {epoch(), offset()}; }
std::int16_t small() { return static_cast<std::int16_t>(*rc::gen::inRange(0, 3)); }
Duration wait() { return milliseconds(*rc::gen::inRange(0, 100'000)); }
Endpoint endpoint(const std::string& listener) {
    return {listener, "k" + std::to_string(*rc::gen::inRange(1, 9)),
            static_cast<std::uint16_t>(*rc::gen::inRange(1, 65'536))};
}
Endpoints endpoints() {
    Endpoints all;
    if (coin()) all.push_back(endpoint("CONTROLLER"));
    if (coin()) all.push_back(endpoint("OTHER"));
    return all;
}

Request request(int kind) {
    switch (kind) {
        case 0: return VoteRequest{epoch(), key(), key(), log_id(), coin()};
        case 1: return BeginQuorumEpochRequest{epoch(), id(), key(), endpoints()};
        case 2: return EndQuorumEpochRequest{epoch(), id(), {key(), key()}, endpoints()};
        case 3: return FetchRequest{epoch(), key(), log_id(), number<Offset>(-1, 99), wait()};
        case 4: return FetchSnapshotRequest{epoch(), key(), log_id(), 77, 8 << 20};
        case 5: return AddVoterRequest{key(), endpoints(), wait()};
        case 6: return RemoveVoterRequest{key()};
        case 7: return UpdateVoterRequest{epoch(), {key(), endpoints(), small(), small()}};
        default: return ApiVersionsRequest{};
    }
}
constexpr int kinds = 9;

/// What the version has fields for.
Request said(Request request, int version) {
    if (auto* vote = std::get_if<VoteRequest>(&request); vote != nullptr && version < 1) {
        vote->voter = {};
        vote->candidate.directory = {};
    }
    if (auto* begin = std::get_if<BeginQuorumEpochRequest>(&request); begin && version < 1) {
        begin->voter = {};
        begin->endpoints.clear();
    }
    if (auto* end = std::get_if<EndQuorumEpochRequest>(&request); end != nullptr && version < 1) {
        for (ReplicaKey& one : end->preferred) one.directory = {};
        end->endpoints.clear();
    }
    if (auto* fetch = std::get_if<FetchRequest>(&request)) {
        if (version < 17) fetch->replica.directory = {};
        if (version < 18) fetch->high_watermark = Offset(INT64_MAX);
    }
    if (auto* snapshot = std::get_if<FetchSnapshotRequest>(&request); snapshot && version < 1)
        snapshot->replica.directory = {};
    return request;
}

/// Header and body of a frame with its length.
std::pair<protocol::RequestHeader, ByteView> open_frame(const Bytes& frame) {
    protocol::Reader reader(ByteView(frame).subspan(protocol::frame_length_bytes));
    const auto header = protocol::decode_request_header(reader);
    RC_ASSERT(header.ok());
    return {*header, reader.bytes(reader.remaining())};
}

QuorumView view() {
    QuorumView view{epoch(), coin() ? id() : no_broker, {}};
    if (view.leader != no_broker && coin()) view.endpoints.push_back(endpoint("CONTROLLER"));
    return view;
}

/// An answer to a request of the kind, with the bytes that go beside it.
std::pair<Response, Bytes> response(int kind) {
    const ErrorCode error = coin() ? ErrorCode::none : ErrorCode::fenced_leader_epoch;
    switch (kind) {
        case 0: return {VoteResponse{error, view(), coin()}, {}};
        case 1: return {BeginQuorumEpochResponse{error, view()}, {}};
        case 2: return {EndQuorumEpochResponse{error, view()}, {}};
        case 3: {
            FetchResponse fetch{error, view(), offset(), offset(), {}, {}, false, no_offset};
            const int what = *rc::gen::inRange(0, 4);
            if (what == 1) fetch.diverging = log_id();
            if (what == 2) fetch.snapshot = log_id();
            fetch.has_records = what == 3 && error == ErrorCode::none;
            return {fetch, fetch.has_records ? Bytes{1, 2, 3} : Bytes{}};
        }
        case 4: return {FetchSnapshotResponse{error, view(), log_id(), 900, 70, 4}, {1, 2, 3, 4}};
        case 5:
        case 6: return {ChangeVoterResponse{error, coin() ? "because" : ""}, {}};
        case 7: return {UpdateVoterResponse{error, view()}, {}};
        default: return {ApiVersionsResponse{ErrorCode::none, true, small(), small()}, {}};
    }
}

QuorumView* view_of(Response& response) {
    return std::visit(
        [](auto& body) -> QuorumView* {
            if constexpr (requires { body.view; })
                return &body.view;
            else
                return nullptr;
        },
        response);
}

/// A frame as it is on the wire, without its length: the bytes at the splice put in.
Bytes joined(const protocol::Encoded& encoded, const Bytes& external) {
    Bytes bytes = encoded.bytes;
    if (!external.empty()) {
        RC_ASSERT(encoded.splices.size() == 1U);
        const auto at = static_cast<std::ptrdiff_t>(encoded.splices.front().position);
        bytes.insert(bytes.begin() + at, external.begin(), external.end());
    }
    bytes.erase(bytes.begin(), bytes.begin() + protocol::frame_length_bytes);
    return bytes;
}

int version_of(ApiKey api, int least) {
    const protocol::ApiInfo& info = *protocol::find_api(api);
    return *rc::gen::inRange(std::max<int>(least, info.version_min), info.version_max + 1);
}

}  // namespace

TEST_CASE("wire: what a request says comes back, in every version that can say it") {
    rc::prop("round trip", [] {
        const Request asked = request(*rc::gen::inRange(0, kinds));
        const WireApi api = api_of(asked);
        const int version = version_of(api.key, 0);
        const auto frame = encode_request(asked, version, 42, names);
        const auto* vote = std::get_if<VoteRequest>(&asked);
        const bool unsayable = (vote != nullptr && vote->pre_vote && version < 2) ||
                               (api.key == ApiKey::fetch && version < 13);
        RC_ASSERT(frame.has_value() == !unsayable);
        if (unsayable) return;
        const auto [header, body] = open_frame(*frame);
        RC_ASSERT(header.api_key == api.key);
        RC_ASSERT(header.correlation_id == 42);
        const auto read = decode_request(api.key, version, body, names);
        RC_ASSERT(read.ok());
        RC_ASSERT(read->request.has_value());
        RC_ASSERT(*read->request == said(asked, version));
    });
}

TEST_CASE("wire: the newest versions lose nothing") {
    rc::prop("newest", [] {
        const Request asked = request(*rc::gen::inRange(0, kinds));
        const WireApi api = api_of(asked);
        // Version 1 of AddRaftVoter came with 4.2.
        const int later = api.key == ApiKey::add_raft_voter ? 1 : 0;
        RC_ASSERT(api.version == protocol::find_api(api.key)->version_max - later);
        RC_ASSERT(said(asked, api.version) == asked);
    });
}

TEST_CASE("wire: what an answer says comes back, in every version") {
    rc::prop("round trip", [] {
        const int kind = *rc::gen::inRange(0, kinds);
        const ApiKey key = api_of(request(kind)).key;
        auto [answer, bytes] = response(kind);
        const int version = version_of(key, key == ApiKey::fetch ? 13 : 0);
        const Bytes frame =
            joined(encode_response(answer, key, version, 42, names, bytes.size()), bytes);
        const auto read = decode_response(key, version, 42, frame, names);
        RC_ASSERT(read.ok());
        RC_ASSERT(Bytes(read->bytes.begin(), read->bytes.end()) == bytes);
        const int endpoints_from = key == ApiKey::fetch               ? 16
                                   : key == ApiKey::update_raft_voter ? 0
                                                                      : 1;
        if (QuorumView* said_of = view_of(answer); said_of != nullptr && version < endpoints_from)
            said_of->endpoints.clear();
        if (auto* features = std::get_if<ApiVersionsResponse>(&answer); features && version < 3)
            *features = ApiVersionsResponse{};
        RC_ASSERT(read->response == answer);
        RC_ASSERT(!decode_response(key, version, 43, frame, names).ok());
    });
}

TEST_CASE("wire: a refusal of the whole request says nothing of the quorum") {
    for (int kind = 0; kind < kinds; ++kind) {
        const ApiKey key = std::array{ApiKey::vote,
                                      ApiKey::begin_quorum_epoch,
                                      ApiKey::end_quorum_epoch,
                                      ApiKey::fetch,
                                      ApiKey::fetch_snapshot,
                                      ApiKey::add_raft_voter,
                                      ApiKey::remove_raft_voter,
                                      ApiKey::update_raft_voter,
                                      ApiKey::api_versions}[static_cast<std::size_t>(kind)];
        Response refusal = refusal_of(key, ErrorCode::inconsistent_cluster_id);
        const int version = protocol::find_api(key)->version_max;
        const Bytes frame = joined(encode_response(refusal, key, version, 1, names), {});
        const auto read = decode_response(key, version, 1, frame, names);
        REQUIRE(read.ok());
        CHECK(read->response == refusal);
        if (const QuorumView* view = view_of(refusal)) CHECK(view->epoch == no_leader_epoch);
    }
}

TEST_CASE(
    "wire: another cluster, another topic and two partitions are refused, garbage is not read") {
    const Request vote =
        VoteRequest{LeaderEpoch(3), {BrokerId(1), {}}, {BrokerId(2), {}}, {}, false};
    const auto refusal = [&](const Bytes& body) {
        const auto read = decode_request(ApiKey::vote, 2, body, names);
        REQUIRE(read.ok());
        REQUIRE_FALSE(read->request.has_value());
        return read->refusal;
    };
    const auto frame = encode_request(vote, 2, 1, {"elsewhere", "CONTROLLER"});
    REQUIRE(frame.has_value());
    const ByteView body = open_frame(*frame).second;
    CHECK(refusal({body.begin(), body.end()}) == ErrorCode::inconsistent_cluster_id);

    protocol::VoteRequest message;  // names no cluster: it is ours
    message.topics = {{metadata::metadata_topic_name, {{}}}};
    CHECK(decode_request(ApiKey::vote, 2, protocol::encode(message, 2).bytes, names)
              ->request.has_value());
    message.topics = {{"orders", {{}}}};
    CHECK(refusal(protocol::encode(message, 2).bytes) == ErrorCode::invalid_request);
    message.topics = {{metadata::metadata_topic_name, {{}, {}}}};
    CHECK(refusal(protocol::encode(message, 2).bytes) == ErrorCode::invalid_request);

    CHECK_FALSE(decode_request(ApiKey::vote, 2, Bytes{1, 2, 3}, names).ok());
    CHECK_FALSE(decode_request(ApiKey::vote, 3, {}, names).ok());
    CHECK_FALSE(decode_request(ApiKey::produce, 9, {}, names).ok());
}
