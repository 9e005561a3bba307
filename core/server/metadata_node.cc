#include "core/server/metadata_node.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/metadata/change_records.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/frame.h"
#include "core/record/builder.h"
#include "core/server/controller_link.h"

namespace klamm::server {

namespace {
constexpr env::ListenerId listener{1};
constexpr storage::TokenOwner log_owner_first = 1;
constexpr storage::TokenOwner log_owner_end = 16;
// Tokens of reads of this node's own, beside those of its log.
constexpr env::Token load_token = env::Token{log_owner_end} << 32;
constexpr std::uint64_t image_load_bytes_max = 1 << 20;
constexpr Duration stop_wait_max = seconds(25);
constexpr Duration quorum_stop_wait_max = seconds(5);  // for a successor, as Kafka's quorum waits

storage::LogConfig metadata_log_config() {
    storage::LogConfig config;
    config.flush_messages = 1;
    config.max_message_bytes = 8 << 20;
    config.tail_cache_bytes = 64 << 20;  // observers read what is fresh
    return config;
}
}  // namespace

MetadataNode::MetadataNode(MetadataSettings settings)
    : settings_(std::move(settings)),
      inbound_(net::InboundLimits{}),
      brokers_(settings_.session_timeout) {}

MetadataNode::~MetadataNode() = default;

env::NodeFactory metadata_factory(MetadataSettings settings) {
    return [settings = std::move(settings)](env::ShardIndex,
                                            env::ShardIndex shards) -> std::unique_ptr<env::Node> {
        KLAMM_ASSERT(shards == 1);
        return std::make_unique<MetadataNode>(settings);
    };
}

std::uint64_t Administration::digest() const {
    const auto of = [](const TopicPartition& partition) {
        return fold64(digest64(ByteView(partition.topic.bytes)),
                      static_cast<std::uint64_t>(partition.partition.value));
    };
    if (const auto* move = std::get_if<MoveLeader>(&command_))
        return fold64(of(move->partition), static_cast<std::uint64_t>(move->to.value));
    if (const auto* elect = std::get_if<ElectUnclean>(&command_))
        return fold64(of(elect->partition), 1);
    const auto& config = std::get<ChangeConfig>(command_);
    return digest64(as_bytes(config.key), digest64(as_bytes(config.value)));
}

void MetadataNode::handle(env::Env& env, env::Event event) {
    env_ = &env;
    take(event);
    do {
        tick();
    } while (quorum_ != nullptr && settle_quorum());
    env_->wake_at(quorum_ != nullptr ? std::min(alarm_, quorum_->deadline()) : alarm_);
    env_ = nullptr;
}

void MetadataNode::take(env::Event& event) {
    if (quorum_ != nullptr && quorum_->on_event(*env_, event)) return;
    if (const auto* started = std::get_if<env::Started>(&event)) {
        started_ = env_->turn().now;
        env_->network().listen(settings_.listen, listener);
        if (!settings_.voters.empty()) return start_quorum(*started);
        directory_ = std::make_unique<storage::LogDirectory>(settings_.log_dir, log_owner_first,
                                                             log_owner_end);
        constexpr auto domain = draw_domain("server.directory");
        const Draws& draws = env_->turn().draws;
        directory_->start(*env_,
                          {settings_.cluster, settings_.node,
                           uuid_from_halves(draws.word(domain, 9, 0), draws.word(domain, 9, 1))});
        after_log_event();  // one that is locked is offline at once
    } else if (auto* read = std::get_if<env::ReadDone>(&event)) {
        if (read->token == load_token) {
            loading_ = false;
            if (read->count.ok()) load_bytes({read->out.data(), *read->count});
        } else {
            directory_->on_event(*env_, *read);
        }
        after_log_event();
    } else if (auto* synced = std::get_if<env::Synced>(&event)) {
        directory_->on_event(*env_, *synced);
        after_log_event();
    } else if (auto* listed = std::get_if<env::Listed>(&event)) {
        directory_->on_event(*env_, *listed);
        after_log_event();
    } else if (auto* listening = std::get_if<env::Listening>(&event)) {
        if (listening->port.ok())
            port_ = *listening->port;
        else
            env_->stop(1);
    } else if (auto* accepted = std::get_if<env::Accepted>(&event)) {
        inbound_.accepted(*env_, *accepted, false);
    } else if (auto* received = std::get_if<env::Received>(&event)) {
        std::vector<net::Request> requests;
        inbound_.received(*env_, *received, requests);
        for (net::Request& request : requests) {
            if (serving_ || quorum_ != nullptr)
                dispatch(request);
            else
                early_.push_back(std::move(request));
        }
    } else if (auto* drained = std::get_if<env::Drained>(&event)) {
        inbound_.drained(*env_, *drained);
    } else if (auto* closed = std::get_if<env::Closed>(&event)) {
        inbound_.closed(*env_, *closed);
    } else if (auto* mail = std::get_if<env::MailArrived>(&event)) {
        // One shard has no mail of its own: it is what an administrator asks.
        asked_.push_back(static_cast<const Administration&>(*mail->mail).command());
    } else if (std::holds_alternative<env::StopAsked>(event)) {
        // Brokers that are stopping too need their leave first: the node goes when nobody is left.
        if (stop_due_ == instant_never) stop_due_ = env_->turn().now + stop_wait_max;
    }
}

// --- the log

void MetadataNode::after_log_event() {
    if (directory_->phase() == storage::DirectoryPhase::offline) {
        env_->log("the metadata log is offline: " +
                  (directory_->failure() ? directory_->failure()->text : std::string("unknown")));
        env_->stop(1);
        return;
    }
    if (directory_->phase() == storage::DirectoryPhase::closed) return env_->stop(0);
    if (directory_->phase() != storage::DirectoryPhase::ready) return;
    if (log_ == nullptr)
        log_ =
            &directory_->open_log(*env_, {metadata_topic, PartitionIndex(0)},
                                  fmt::format("{}-0", metadata_topic_name), metadata_log_config());
    if (!log_->opened()) return;
    if (!serving_) load();
    if (serving_) commit();
}

void MetadataNode::load() {
    while (!loading_ && loaded_ < log_->log_end()) {
        const storage::ReadPlan plan =
            log_->read(*env_, loaded_, image_load_bytes_max, log_->log_end(), true);
        if (plan.status != storage::ReadStatus::ok)
            return;  // it will be asked for again when it is there
        if (plan.ranged) {
            const auto& range = std::get<env::FileRange>(plan.pieces.front());
            loading_ = true;
            env_->disk().read(range.file, range.position, MutableBuffer(range.length), load_token);
            return;
        }
        for (const env::Piece& piece : plan.pieces) load_bytes(std::get<Buffer>(piece));
    }
    if (loading_) return;
    epoch_ = log_->epoch_cache().latest_epoch() + 1;
    log_->assign_epoch(epoch_);
    committed_ = log_->log_end();
    serving_ = true;
    brokers_.activate(env_->turn().now, image_);
    unclean_due_ = env_->turn().now + settings_.unclean_check_interval;
    if (log_->log_end() == Offset(0)) bootstrap();
    for (const net::Request& request : std::exchange(early_, {})) dispatch(request);
}

void MetadataNode::load_bytes(ByteView bytes) {
    std::size_t size = 0;
    while (record::peek_batch(bytes, size) == record::Peek::ok) {
        const record::BatchView batch(bytes.first(size));
        bytes = bytes.subspan(size);
        if (batch.next_offset() <= loaded_) continue;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            if (!batch.is_control() && record.value)
                load_record(*record.value, record::record_offset(batch, record).value, false);
        });
        loaded_ = batch.next_offset();
    }
}

void MetadataNode::load_record(ByteView frame, std::int64_t offset, bool of_snapshot) {
    const auto decoded = metadata::decode_record(frame);
    if (!decoded.ok()) return;
    if (const auto* ids = std::get_if<metadata::ProducerIdsRecord>(&decoded->record))
        producer_id_next_ = ids->next_producer_id;
    const auto change = metadata::change_of(decoded->record);
    if (!change) return;
    const Status applied =
        of_snapshot ? image_.restore(*change, offset) : image_.apply(*change, offset);
    if (!applied.ok()) env_->log("a metadata record does not apply: " + applied.error().text);
}

void MetadataNode::bootstrap() {
    controller::Decisions decisions;
    decisions.push_back({metadata::FeatureSet{
        std::string(metadata::elr_feature),
        static_cast<std::int16_t>(settings_.eligible_leader_replicas ? 1 : 0)}});
    if (settings_.transaction_version > 0)
        decisions.push_back({metadata::FeatureSet{std::string(metadata::transaction_feature),
                                                  settings_.transaction_version}});
    // Who is in sync enough is for the whole cluster to know: what the first controller's file says
    // of it becomes the cluster's own (KIP-966).
    if (const auto found = settings_.given.find("min.insync.replicas");
        found != settings_.given.end())
        decisions.push_back({metadata::ConfigSet{
            {metadata::ResourceType::broker, ""}, found->first, found->second}});
    for (const TopicPlan& topic : settings_.topics)
        for (const auto& [key, value] : topic.configs)
            decisions.push_back(
                {metadata::ConfigSet{{metadata::ResourceType::topic, topic.name}, key, value}});
    decide(decisions);
}

void MetadataNode::append(const std::vector<Bytes>& frames) {
    if (quorum_ != nullptr) {
        // It leads: had it been deposed in this turn, it would not be serving.
        if (quorum_->append(*env_, frames).has_value()) return;
        env_->log("the metadata log takes no more records");
        return env_->stop(1);
    }
    record::BatchBuilder builder;
    for (const Bytes& frame : frames)
        builder.append(env_->turn().wall, std::nullopt, ByteView(frame));
    const storage::Appended appended =
        log_->append_as_leader(env_->turn(), env_->disk(), Buffer::from(builder.build()), epoch_,
                               log::Origin::coordinator);
    if (appended.outcome != storage::AppendOutcome::appended) {
        env_->log("the metadata log takes no more records");
        env_->stop(1);
        return;
    }
    log_->flush(*env_);
}

/// Of a quorum another leader may commit it, to whom the record says less than is known here.
template <class Fact>
void MetadataNode::state_decided(Offset offset, const Fact& fact) {
    if (quorum_ != nullptr)
        env_->turn().state(facts::MetadataDecided{epoch_, offset, fact});
    else
        facts_.push_back({offset, fact});
}

void MetadataNode::decide(const controller::Decisions& decisions,
                          const facts::BrokerRegistered* registered) {
    if (decisions.empty()) return;
    std::vector<Bytes> frames;
    Offset offset = log_end();
    for (const controller::Decided& decided : decisions) {
        frames.push_back(metadata::encode_change(decided.change));
        const Status applied = image_.apply(decided.change, offset.value);
        KLAMM_ASSERT(applied.ok());
        TopicPartition changed;
        bool partition = true;
        if (const auto* created = std::get_if<metadata::PartitionCreated>(&decided.change))
            changed = created->partition;
        else if (const auto* change = std::get_if<metadata::PartitionChanged>(&decided.change))
            changed = change->partition;
        else
            partition = false;
        if (env_->turn().facts_wanted()) {
            state_configured(decided.change, offset);
            if (partition)
                state_decided(offset, controller::committed_fact(image_, changed, offset.value,
                                                                 decided.cause));
            if (const auto* broker = std::get_if<metadata::BrokerChanged>(&decided.change);
                broker != nullptr && broker->fenced)
                state_decided(offset, facts::BrokerFencing{offset.value, broker->broker,
                                                           broker->epoch, *broker->fenced});
            if (registered != nullptr &&
                std::holds_alternative<metadata::BrokerRegistered>(decided.change))
                state_decided(offset, *registered);
        }
        ++offset;
    }
    append(frames);
}

/// What is set for a topic, or its ELR being cleared, changes its partitions without a record of
/// theirs.
void MetadataNode::state_configured(const metadata::Change& change, Offset offset) {
    std::string_view name;
    if (const auto* cleared = std::get_if<metadata::ElrCleared>(&change))
        name = cleared->topic;
    else if (const auto* set = std::get_if<metadata::ConfigSet>(&change);
             set != nullptr && set->resource.type == metadata::ResourceType::topic)
        name = set->resource.name;
    else
        return;
    for (const auto& [id, topic] : image_.topics()) {
        if (!name.empty() && topic.name != name) continue;
        for (const auto& [index, partition] : topic.partitions)
            state_decided(offset,
                          controller::committed_fact(image_, {id, index}, offset.value,
                                                     facts::PartitionChangeCause::configuration));
    }
}

void MetadataNode::commit() {
    if (quorum_ == nullptr) committed_ = std::max(committed_, log_->flushed_end());
    while (!facts_.empty() && facts_.front().offset < committed_) {
        env_->turn().state(facts_.front().fact);
        facts_.pop_front();
    }
    while (!replies_.empty() && (replies_.front().required <= committed_ ||
                                 env_->turn().planted(Bug::controller_replies_before_commit))) {
        inbound_.respond(*env_, replies_.front().asked.key, std::move(replies_.front().pieces));
        replies_.pop_front();
    }
    std::erase_if(observers_, [this](const Observer& observer) {
        return (observer.from < committed_ || env_->turn().now >= observer.deadline) &&
               serve(observer);
    });
}

// --- time

void MetadataNode::run_script() {
    while (script_next_ < settings_.script.size() &&
           started_ + settings_.script[script_next_].at <= env_->turn().now) {
        administer(settings_.script[script_next_++].command);
    }
    for (const AdminCommand& command : std::exchange(asked_, {})) administer(command);
}

void MetadataNode::administer(const AdminCommand& command) {
    if (const auto* move = std::get_if<MoveLeader>(&command)) {
        const metadata::PartitionImage* partition = image_.partition(move->partition);
        const metadata::BrokerImage* broker = image_.broker(move->to);
        if (partition == nullptr || broker == nullptr || !broker->active() ||
            partition->leader == move->to || !metadata::contains(partition->isr, move->to))
            return;
        metadata::PartitionChanged change;
        change.partition = move->partition;
        change.leader = move->to;
        decide({{change, facts::PartitionChangeCause::preferred}});
    } else if (const auto* elect = std::get_if<ElectUnclean>(&command)) {
        watched_.push_back({elect->partition, env_->turn().now + elect->patience});
    } else if (const auto* config = std::get_if<ChangeConfig>(&command)) {
        decide({{metadata::ConfigSet{
            {metadata::ResourceType::topic, config->topic}, config->key, config->value}}});
        if (config->key == "min.insync.replicas")
            decide(controller::min_isr_changed(image_, config->topic));
        if (config->key == "unclean.leader.election.enable")
            decide(controller::elect_leaderless(image_));
    }
}

void MetadataNode::elect_unclean() {
    std::erase_if(watched_, [this](const Watched& watched) {
        const controller::Decisions decisions =
            controller::elect_leader(image_, watched.partition, controller::Election::unclean)
                .decisions;
        decide(decisions);
        return !decisions.empty() || env_->turn().now >= watched.until;
    });
}

void MetadataNode::tick() {
    const Instant now = env_->turn().now;
    Instant alarm = instant_never;
    // What was due while another led was for that one to do.
    if (quorum_ != nullptr && !serving_)
        while (script_next_ < settings_.script.size() &&
               started_ + settings_.script[script_next_].at <= now)
            ++script_next_;
    if (serving_ && !stopping_) {
        for (controller::Decisions fenced = brokers_.fence_expired(env_->turn(), image_);
             !fenced.empty(); fenced = brokers_.fence_expired(env_->turn(), image_))
            decide(fenced);
        while (topics_made_ < settings_.topics.size()) {
            const TopicPlan& topic = settings_.topics[topics_made_];
            const metadata::BrokerIds active = controller::active_brokers(image_);
            const bool ready = std::all_of(
                topic.assignments.begin(), topic.assignments.end(), [&](const auto& replicas) {
                    return std::all_of(replicas.begin(), replicas.end(), [&](BrokerId replica) {
                        return metadata::contains(active, replica);
                    });
                });
            const bool made = image_.topic(topic.id) != nullptr;
            if (!made && !ready) break;
            ++topics_made_;
            if (!made)
                decide(controller::create_topic(image_, topic.id, topic.name, topic.assignments));
        }
        run_script();
        elect_unclean();
        if (now >= unclean_due_) {
            unclean_due_ = now + settings_.unclean_check_interval;
            decide(controller::elect_leaderless(image_));
        }
        commit();
        alarm = std::min(brokers_.deadline_min(), unclean_due_);
        if (script_next_ < settings_.script.size())
            alarm = std::min(alarm, started_ + settings_.script[script_next_].at);
        for (const Observer& observer : observers_) alarm = std::min(alarm, observer.deadline);
    }
    if (stop_due_ != instant_never && !stopping_) {
        alarm = std::min(alarm, stop_due_);
        if (inbound_.size() == 0 || now >= stop_due_) begin_stop();
    }
    if (quorum_ != nullptr) stop_quorum();
    alarm_ = alarm;
    if (quorum_ != nullptr && quorum_->raft() != nullptr && !stopping_) save();
}

void MetadataNode::begin_stop() {
    stopping_ = true;
    if (quorum_ != nullptr) return quorum_->shut_down(quorum_stop_wait_max);
    if (directory_ && directory_->phase() == storage::DirectoryPhase::ready)
        directory_->close(*env_, BrokerEpoch(0));
    else
        env_->stop(0);
}

std::uint64_t MetadataNode::state_digest() const {
    const std::uint64_t own = fold64(static_cast<std::uint64_t>(image_.offset()),
                                     static_cast<std::uint64_t>(committed_.value));
    return quorum_ != nullptr ? fold64(own, quorum_->digest()) : own;
}

}  // namespace klamm::server
