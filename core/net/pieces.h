#pragma once
// From an encoded frame to the pieces that the network sends: the encoded bytes, cut at their
// splices, with the external parts (shared buffers, file ranges) put in between. Nothing is copied.

#include <span>
#include <vector>

#include "core/env/network.h"
#include "core/protocol/types.h"

namespace klamm::net {

using Pieces = std::vector<env::Piece>;

/// Total bytes of `pieces`.
std::uint64_t size_of(const Pieces& pieces);

/// The frame `encoded`, with externals[i] at its i-th splice; each has the size that its splice
/// announced.
Pieces to_pieces(protocol::Encoded encoded, std::span<Pieces> externals = {});

}  // namespace klamm::net
