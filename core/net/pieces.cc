#include "core/net/pieces.h"

#include <utility>

namespace klamm::net {

std::uint64_t size_of(const Pieces& pieces) {
    std::uint64_t total = 0;
    for (const env::Piece& piece : pieces) {
        if (const auto* buffer = std::get_if<Buffer>(&piece)) total += buffer->size();
        if (const auto* range = std::get_if<env::FileRange>(&piece)) total += range->length;
    }
    return total;
}

Pieces to_pieces(protocol::Encoded encoded, std::span<Pieces> externals) {
    KLAMM_ASSERT(encoded.splices.size() == externals.size());
    const Buffer whole = Buffer::from(std::move(encoded.bytes));
    Pieces pieces;
    pieces.reserve(1 + 2 * externals.size());
    std::size_t from = 0;
    for (std::size_t i = 0; i < externals.size(); ++i) {
        const protocol::Splice& splice = encoded.splices[i];
        KLAMM_ASSERT(size_of(externals[i]) == splice.size);
        if (splice.position > from) pieces.emplace_back(whole.slice(from, splice.position - from));
        from = splice.position;
        for (env::Piece& piece : externals[i]) pieces.push_back(std::move(piece));
    }
    if (whole.size() > from) pieces.emplace_back(whole.slice(from, whole.size() - from));
    return pieces;
}

}  // namespace klamm::net
