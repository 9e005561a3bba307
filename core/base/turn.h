#pragma once
// What a pure core may know of the moment: one event is one turn, with time standing still. Cores
// take `const Turn&` and inputs, and give effects as values; they see no Env.

#include "core/base/draws.h"
#include "core/base/facts.h"
#include "core/base/ids.h"
#include "core/base/maybe.h"
#include "core/base/plants.h"
#include "core/base/time.h"

#ifndef KLAMM_PLANTS
#define KLAMM_PLANTS 1
#endif

namespace klamm {

struct Turn {
    Instant now;     // monotonic, frozen for the turn
    Timestamp wall;  // may jump between turns
    Draws draws;
    Plants* plants = nullptr;       // nullptr: none
    facts::Facts* facts = nullptr;  // nullptr: nobody listens
    Maybes* maybes = nullptr;       // nullptr: no site does what is rare

    [[nodiscard]] bool planted([[maybe_unused]] Bug bug) const {
#if KLAMM_PLANTS
        if (plants == nullptr) [[likely]]
            return false;
        return plants->ask(bug);
#else
        return false;
#endif
    }

    /// Whether the code does here what it rarely does; `entity` and `n` name the moment.
    [[nodiscard]] bool maybe([[maybe_unused]] Site site, [[maybe_unused]] std::uint64_t entity,
                             [[maybe_unused]] std::uint64_t n) const {
#if KLAMM_PLANTS
        if (maybes == nullptr) [[likely]]
            return false;
        return maybes->ask(site, draws, entity, n);
#else
        return false;
#endif
    }

    /// The error that this request is to be answered with, where somebody has asked for that.
    [[nodiscard]] std::optional<std::int16_t> refusal(
        [[maybe_unused]] std::int16_t api, [[maybe_unused]] std::int32_t correlation,
        [[maybe_unused]] std::string_view client) const {
#if KLAMM_PLANTS
        if (maybes == nullptr) [[likely]]
            return std::nullopt;
        return maybes->refusal(api, correlation, client);
#else
        return std::nullopt;
#endif
    }

    /// Whether anyone listens; ask before building a fact that allocates.
    [[nodiscard]] bool facts_wanted() const { return facts != nullptr && facts->wanted(); }
    void state(const facts::Fact& fact) const {
        if (facts_wanted()) facts->emit(fact);
    }
};

}  // namespace klamm
