#pragma once
// Sites: places where the code may lawfully do what it rarely does (a short answer, a timer that is
// late, a segment that ends early), and does so by chance where somebody has asked for it
// (FoundationDB's BUGGIFY). The code asks turn.maybe(Site::name, entity, n); what is drawn is keyed
// by the node's own draws, the site, and the two numbers that name the moment. Nobody asks in the
// real world: Turn::maybes is nullptr there, and built with KLAMM_PLANTS=0 the answer is a
// constant.
//
// Unlike a plant (plants.h) a site is never a mistake: with every site on, nothing forbidden may
// happen.

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/draws.h"

namespace klamm {

enum class Site : std::uint8_t {
    fetch_answered_short,  // a leader answers a fetch with one batch, whatever there is
    follower_rests,        // a follower backs off after a fetch that succeeded
    produce_given_up,      // acks=all: REQUEST_TIMED_OUT as soon as the records are appended
    isr_shrinks_early,     // a leader takes a follower that keeps up for one that does not
    segment_rolled_early,  // a log goes on in a new segment though the old one has room
    heartbeat_late,        // a broker is silent for as long as a session lasts
    stop_unmarked,         // a clean stop leaves no marker: the next start recovers
    line_gives_up,         // a request's timeout is a sixteenth of what was asked for
    partition_denied,      // a broker says that it does not lead what it leads
    election_hasty,        // a controller's election timeout is an eighth
    snapshot_early,        // a controller makes a snapshot of what little there is
    count_,
};
constexpr std::size_t site_count = static_cast<std::size_t>(Site::count_);

/// "fetch-answered-short"
std::string_view to_string(Site site);
std::optional<Site> site_from_name(std::string_view name);

/// A request that is to be answered with an error instead of being looked at.
struct Refusal {
    std::int16_t api = 0;
    std::int32_t correlation = 0;
    std::uint64_t client = 0;  // digest64 of the client id
    std::int16_t error = 0;
};

/// What may happen at one machine, and how often it did.
class Maybes {
  public:
    /// In so many of a million cases; 0: never.
    void set(Site site, std::int64_t rate) { rates_[index(site)] = rate; }
    [[nodiscard]] std::int64_t rate(Site site) const { return rates_[index(site)]; }
    [[nodiscard]] std::uint64_t taken(Site site) const { return taken_[index(site)]; }
    /// Whether it happens here; a true answer is counted.
    bool ask(Site site, const Draws& draws, std::uint64_t entity, std::uint64_t n);

    void refuse(const Refusal& refusal) { refusals_.push_back(refusal); }
    /// The error that this request is to be answered with; said once.
    std::optional<std::int16_t> refusal(std::int16_t api, std::int32_t correlation,
                                        std::string_view client);

  private:
    static constexpr std::size_t index(Site site) { return static_cast<std::size_t>(site); }
    std::array<std::int64_t, site_count> rates_{};
    std::array<std::uint64_t, site_count> taken_{};
    std::vector<Refusal> refusals_;
};

}  // namespace klamm
