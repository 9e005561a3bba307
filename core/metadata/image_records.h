#pragma once
// An image as the records that make it again, one after the other: what a snapshot of the metadata
// log holds (KIP-630). It is a copy of the image, so that the records can be taken in slices while
// the image goes on.

#include <optional>

#include "core/metadata/image.h"

namespace klamm::metadata {

class ImageRecords {
  public:
    explicit ImageRecords(ClusterImage image);
    ImageRecords(const ImageRecords&) = delete;
    ImageRecords& operator=(const ImageRecords&) = delete;

    /// The next record; nothing after the last. Applied in this order to an empty image by
    /// ClusterImage::restore(), they give the image again, but for registered_at of its brokers.
    [[nodiscard]] std::optional<Change> next();

  private:
    std::optional<Change> next_partition();

    ClusterImage image_;
    std::map<std::string, std::int16_t>::const_iterator feature_;
    std::map<BrokerId, BrokerImage>::const_iterator broker_;
    std::map<Uuid, TopicImage>::const_iterator topic_;
    bool in_topic_ = false;
    std::map<PartitionIndex, PartitionImage>::const_iterator partition_;
    std::map<ConfigResource, std::map<std::string, std::string>>::const_iterator resource_;
    bool in_resource_ = false;
    std::map<std::string, std::string>::const_iterator config_;
};

}  // namespace klamm::metadata
