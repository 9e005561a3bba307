// Stands in for libFuzzer where the compiler has none: every file of the given directories is tried
// as it is, then with mutations drawn from a fixed seed. Deterministic.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <vector>

#include "core/base/draws.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr int mutations_per_input = 400;

std::vector<std::uint8_t> mutate(std::vector<std::uint8_t> input, std::uint64_t key,
                                 std::uint64_t n) {
    const klamm::Draws draws(key);
    const auto domain = klamm::draw_domain("fuzz.mutation");
    const std::uint64_t edits = 1 + draws.below(4, domain, n, 0);
    for (std::uint64_t edit = 0; edit < edits; ++edit) {
        const std::uint64_t kind = draws.below(4, domain, n, 4 * edit + 1);
        const std::uint64_t where =
            input.empty() ? 0 : draws.below(input.size(), domain, n, 4 * edit + 2);
        const auto byte = static_cast<std::uint8_t>(draws.word(domain, n, 4 * edit + 3));
        if (kind == 0 && !input.empty()) input[where] = byte;
        if (kind == 1 && !input.empty())
            input[where] ^= static_cast<std::uint8_t>(1U << (byte & 7));
        if (kind == 2) input.insert(input.begin() + static_cast<std::ptrdiff_t>(where), byte);
        if (kind == 3) input.resize(where);
    }
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    std::set<std::filesystem::path> files;
    for (int i = 1; i < argc; ++i)
        for (const auto& entry : std::filesystem::directory_iterator(argv[i]))
            if (entry.is_regular_file()) files.insert(entry.path());
    std::vector<std::vector<std::uint8_t>> inputs = {
        {}, std::vector<std::uint8_t>(64, 0), std::vector<std::uint8_t>(64, 0xff)};
    for (const auto& path : files) {
        std::ifstream file(path, std::ios::binary);
        inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    std::uint64_t runs = 0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        LLVMFuzzerTestOneInput(inputs[i].data(), inputs[i].size());
        for (std::uint64_t n = 0; n < mutations_per_input; ++n, ++runs) {
            const auto input = mutate(inputs[i], i + 1, n);
            LLVMFuzzerTestOneInput(input.data(), input.size());
        }
    }
    std::printf("%zu inputs, %llu mutations\n", inputs.size(),
                static_cast<unsigned long long>(runs));
    return 0;
}
