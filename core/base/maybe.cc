#include "core/base/maybe.h"

#include <algorithm>

#include "core/base/bytes.h"

namespace klamm {

namespace {

constexpr std::array<std::string_view, site_count> site_names{
    "fetch-answered-short", "follower-rests", "produce-given-up", "isr-shrinks-early",
    "segment-rolled-early", "heartbeat-late", "stop-unmarked",    "line-gives-up",
    "partition-denied",     "election-hasty", "snapshot-early",
};

constexpr DrawDomain site_domain = draw_domain("maybe");

}  // namespace

std::string_view to_string(Site site) { return site_names[static_cast<std::size_t>(site)]; }

std::optional<Site> site_from_name(std::string_view name) {
    const auto found = std::find(site_names.begin(), site_names.end(), name);
    if (found == site_names.end()) return std::nullopt;
    return static_cast<Site>(found - site_names.begin());
}

bool Maybes::ask(Site site, const Draws& draws, std::uint64_t entity, std::uint64_t n) {
    const std::int64_t rate = rates_[index(site)];
    if (rate == 0) [[likely]]
        return false;
    const DrawDomain domain{fold64(site_domain.key, index(site))};
    if (!draws.happens(rate, domain, entity, n)) return false;
    ++taken_[index(site)];
    return true;
}

std::optional<std::int16_t> Maybes::refusal(std::int16_t api, std::int32_t correlation,
                                            std::string_view client) {
    if (refusals_.empty()) return std::nullopt;
    const std::uint64_t digest = digest64(as_bytes(client));
    const auto found = std::find_if(refusals_.begin(), refusals_.end(), [&](const Refusal& one) {
        return one.api == api && one.correlation == correlation && one.client == digest;
    });
    if (found == refusals_.end()) return std::nullopt;
    const std::int16_t error = found->error;
    refusals_.erase(found);
    return error;
}

}  // namespace klamm
