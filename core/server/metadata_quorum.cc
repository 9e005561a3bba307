// A metadata node that is one controller of a quorum: from the news of what is committed and of who
// leads to the image, and back to rows that wait.
#include <algorithm>

#include "core/metadata/change_records.h"
#include "core/record/batch.h"
#include "core/record/record.h"
#include "core/server/metadata_node.h"

namespace klamm::server {

void MetadataNode::start_quorum(const env::Started& started) {
    QuorumSettings settings;
    settings.cluster = settings_.cluster;
    settings.node = settings_.node;
    settings.log_dir = settings_.log_dir;
    settings.voters = settings_.voters;
    settings.raft = settings_.quorum;
    settings.log = settings_.log;
    quorum_ = std::make_unique<Quorum>(std::move(settings), inbound_);
    constexpr auto domain = draw_domain("server.directory");
    const Draws& draws = env_->turn().draws;
    const auto node = static_cast<std::uint64_t>(settings_.node.value);
    saved_at_ = env_->turn().now;
    quorum_->start(*env_, started.incarnation,
                   uuid_from_halves(draws.word(domain, node, 0), draws.word(domain, node, 1)));
}

bool MetadataNode::settle_quorum() {
    quorum_->tick(*env_);
    const std::vector<QuorumNews> all = quorum_->take_news();
    for (const QuorumNews& news : all) std::visit([this](const auto& one) { on(one); }, news);
    if (!quorum_->failure().empty()) {
        env_->log("the quorum: " + quorum_->failure());
        env_->stop(1);
        return false;
    }
    return !all.empty();
}

void MetadataNode::on(const Committed& news) {
    // What it has decided itself is applied already.
    if (!serving_) load_bytes(news.batches);
    committed_ = news.next;
    unsaved_bytes_ += news.batches.size();
    ByteView rest = news.batches;
    ByteView one;
    while (record::next_batch(rest, one) == record::Peek::ok)
        committed_at_ = record::BatchView(one).max_timestamp();
}

void MetadataNode::on(const Elected& news) {
    serving_ = true;
    epoch_ = news.epoch;
    topics_made_ = 0;
    brokers_.activate(env_->turn().now, image_);
    unclean_due_ = env_->turn().now + settings_.unclean_check_interval;
    const bool fresh = image_.offset() < 0;
    if (fresh) bootstrap();
}

void MetadataNode::on(const Deposed&) {
    serving_ = false;
    for (const Reply& reply : std::exchange(replies_, {}))
        answer_error(reply.asked, protocol::ErrorCode::not_controller);
    facts_.clear();
    asked_.clear();
    watched_.clear();
    image_ = metadata::ClusterImage();
    producer_id_next_ = ProducerId(0);
    loaded_ = committed_ = Offset(0);
}

/// In place of everything before its end.
void MetadataNode::on(const SnapshotPart& news) {
    if (news.first) {
        image_ = metadata::ClusterImage();
        producer_id_next_ = ProducerId(0);
        loaded_ = committed_ = Offset(0);
        if (saving_ != nullptr) quorum_->abandon_snapshot(*env_);
        saving_.reset();
    }
    ByteView rest = news.batches;
    ByteView bytes;
    while (record::next_batch(rest, bytes) == record::Peek::ok) {
        const record::BatchView batch(bytes);
        if (batch.is_control()) continue;
        record::for_each_record(batch.records(), [&](const record::Record& record) {
            if (record.value) load_record(*record.value, news.id.offset.value - 1, true);
        });
    }
    if (!news.last) return;
    loaded_ = committed_ = news.id.offset;
    unsaved_bytes_ = 0;
    saved_at_ = env_->turn().now;
}

/// Makes a snapshot when enough has been committed since the last, a slice of records a turn.
void MetadataNode::save() {
    if (saving_ == nullptr) {
        const Instant now = env_->turn().now;
        const bool due = unsaved_bytes_ >= settings_.snapshot_bytes ||
                         (unsaved_bytes_ > 0 && now >= saved_at_ + settings_.snapshot_interval) ||
                         (unsaved_bytes_ > 0 &&
                          env_->turn().maybe(Site::snapshot_early, 0,
                                             static_cast<std::uint64_t>(committed_.value)));
        // What has been decided and is not committed yet must not be in it.
        const bool settled = !serving_ || committed_ == log_end();
        if (!due || !settled || image_.offset() < 0 || quorum_->making_snapshot()) return;
        if (!quorum_->begin_snapshot(*env_, committed_, committed_at_)) return;
        unsaved_bytes_ = 0;
        saved_at_ = now;
        saving_ = std::make_unique<Saving>(image_);
        saving_->producer_id_next = producer_id_next_;
    }
    std::vector<Bytes> frames;
    bool last = false;
    while (!last && frames.size() < settings_.snapshot_slice_records) {
        const auto change = saving_->records.next();
        last = !change.has_value();
        if (!last) frames.push_back(metadata::encode_change(*change));
    }
    if (last && saving_->producer_id_next > ProducerId(0))
        frames.push_back(metadata::encode_record(
            metadata::ProducerIdsRecord{.broker_id = no_broker,
                                        .broker_epoch = no_broker_epoch,
                                        .next_producer_id = saving_->producer_id_next}));
    quorum_->add_to_snapshot(*env_, frames);
    if (last) {
        saving_.reset();
        quorum_->finish_snapshot(*env_);
    } else {
        alarm_ = env_->turn().now;
    }
}

void MetadataNode::stop_quorum() {
    // One that is alone goes when nobody is connected; the others of a quorum stay connected.
    // What it has decided of the brokers is to be committed before it leaves.
    const auto& brokers = image_.brokers();
    const bool needed = std::any_of(brokers.begin(), brokers.end(),
                                    [](const auto& row) { return !row.second.fenced; });
    const bool stays = settings_.stays_for_brokers && quorum_->raft() != nullptr &&
                       (needed || (serving_ && committed_ < log_end())) &&
                       env_->turn().now < stop_due_;
    if (stop_due_ != instant_never && !stopping_ && settings_.voters.size() > 1 && !stays)
        begin_stop();
    if (!stopping_) return;
    if (quorum_->may_stop(env_->turn().now)) quorum_->close(*env_);
    if (quorum_->closed()) env_->stop(0);
}

}  // namespace klamm::server
