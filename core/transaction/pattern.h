#pragma once
// Which transactional ids ListTransactions is asked for (KIP-1152): regular expressions as RE2/J
// has them, as far as names need them. The whole of an id must match.
//
// Literals, `.`, classes `[a-z_]` and `[^a-z]`, `\d \w \s` and their opposites, escaped
// punctuation, groups `(…)` and `(?:…)`, alternatives `|`, and `* + ? {n} {n,} {n,m}`, lazy or not.
// A pattern with anything else is refused as one that is not understood.
//
// Its work is bounded: ends are kept as sets, and a pattern that wants too much is refused too.

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace klamm::transaction {

/// Whether all of `text` matches. Failure::invalid for a pattern that is none, or not understood.
Result<bool> matches(std::string_view pattern, std::string_view text);

}  // namespace klamm::transaction
