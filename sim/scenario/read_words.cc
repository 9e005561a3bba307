#include "sim/scenario/read_words.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace klamm::sim {

namespace {

constexpr std::int64_t seconds_max = std::int64_t{30} * 24 * 3600;

constexpr std::array<std::pair<std::string_view, Who::Role>, 12> roles{{
    {"leader", Who::Role::leader},
    {"follower", Who::Role::follower},
    {"ISR member", Who::Role::isr_follower},
    {"ELR member", Who::Role::elr_member},
    {"outside ISR", Who::Role::outside_isr},
    {"brokers", Who::Role::brokers},
    {"controller", Who::Role::controller},
    {"controllers", Who::Role::controllers},
    {"metadata", Who::Role::controller},
    {"members", Who::Role::members},
    {"clients", Who::Role::clients},
    {"all clients", Who::Role::clients},
}};

bool read_number(std::string_view text, std::int64_t& number) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    return !text.empty() && parsed.ec == std::errc() && parsed.ptr == end;
}

std::optional<Who> numbered(Who::Role role, std::string_view number) {
    std::int64_t value = 0;
    if (!read_number(number, value) || value < 1 || value > 99) return std::nullopt;
    Who who;
    who.role = role;
    who.number = static_cast<std::int32_t>(value);
    return who;
}

}  // namespace

std::optional<Duration> read_duration(std::string_view text) {
    constexpr std::pair<std::string_view, std::int64_t> units[] = {
        {"us", 1'000}, {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}};
    const bool back = text.starts_with('-');
    if (back) text.remove_prefix(1);
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    for (const auto& [unit, length] : units) {
        if (!text.ends_with(unit)) continue;
        std::int64_t number = 0;
        if (!read_number(text.substr(0, text.size() - unit.size()), number)) continue;
        if (number > seconds_max * 1'000'000'000 / length) return std::nullopt;
        return Duration{(back ? -number : number) * length};
    }
    return std::nullopt;
}

std::optional<Who> read_who(std::string_view text) {
    if (text.starts_with("client ")) text.remove_prefix(7);
    for (const auto& [prefix, role] : {std::pair{std::string_view("broker-"), Who::Role::broker},
                                       {std::string_view("producer-"), Who::Role::producer},
                                       {std::string_view("consumer-"), Who::Role::consumer},
                                       {std::string_view("member-"), Who::Role::member},
                                       {std::string_view("controller-"), Who::Role::controller_n},
                                       {std::string_view("rack-"), Who::Role::rack}})
        if (text.starts_with(prefix)) return numbered(role, text.substr(prefix.size()));
    Who who;
    std::string_view word = text;
    if (const auto of = text.find(" of trial-"); of != std::string_view::npos) {
        std::int64_t partition = 0;
        if (!read_number(text.substr(of + 10), partition) || partition < 0 || partition > 63)
            return std::nullopt;
        who.partition = static_cast<std::int32_t>(partition);
        word = text.substr(0, of);
    }
    for (const auto& [name, role] : roles) {
        if (name != word) continue;
        who.role = role;
        return who;
    }
    const bool is_name = !word.empty() && word.size() == text.size() && word.size() <= 40 &&
                         std::all_of(word.begin(), word.end(), [](char c) {
                             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                    (c >= '0' && c <= '9') || c == ' ' || c == '-' || c == '_';
                         });
    if (!is_name) return std::nullopt;
    who.role = Who::Role::named;
    who.name = text;
    return who;
}

std::span<const std::string_view> who_words() {
    static constexpr std::array<std::string_view, 12> words{
        "leader",     "follower",    "ISR member", "ELR member", "outside ISR", "brokers",
        "controller", "controllers", "metadata",   "members",    "clients",     "broker-1"};
    return words;
}

}  // namespace klamm::sim
