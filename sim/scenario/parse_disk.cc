// What a step may do to a broker's disk, to its links and to a request: one kind of trouble each.
#include <fmt/format.h>

#include <array>

#include "core/config/table.h"
#include "core/protocol/error_code.h"
#include "sim/scenario/parse_step.h"
#include "sim/scenario/words.h"

namespace klamm::sim {

namespace {

constexpr std::array<std::pair<std::string_view, FaultKind>, 14> disk_troubles{{
    {"stalls", FaultKind::disk_stall},
    {"slower", FaultKind::disk_slow},
    {"fails_writes", FaultKind::disk_error_writes},
    {"fails_syncs", FaultKind::disk_error_syncs},
    {"full_after", FaultKind::disk_full},
    {"full_at_sync_after", FaultKind::disk_full_late},
    {"lies", FaultKind::disk_lies},
    {"rots", FaultKind::disk_rot},
    {"unreadable", FaultKind::disk_unreadable},
    {"misdirects", FaultKind::disk_misdirect},
    {"loses_writes", FaultKind::disk_write_back},
    {"rolls_back", FaultKind::disk_rollback},
    {"swaps_with", FaultKind::disk_swap},
    {"loses_a_directory", FaultKind::disk_lost_directory},
}};
constexpr std::array<std::pair<std::string_view, FaultKind>, 3> link_troubles{{
    {"bytes_per_second", FaultKind::link_narrow},
    {"swallow_above", FaultKind::link_black_hole},
    {"refused", FaultKind::link_refused},
}};

bool befalls_a_file(FaultKind kind) {
    return kind == FaultKind::disk_rot || kind == FaultKind::disk_unreadable ||
           kind == FaultKind::disk_misdirect || kind == FaultKind::disk_write_back;
}

void must_be_true(const LocatedMember& what) {
    if (what.value.kind == Located::Kind::boolean && !what.value.boolean)
        throw ParseError{what.line, fmt::format("\"{}\": expected true", what.key)};
}

}  // namespace

void StepReader::disk(const Located& from, Deed& deed) const {
    deed.who = {who(*from.find("of"))};
    const LocatedMember* what = nullptr;
    const LocatedMember* aim = nullptr;
    for (const LocatedMember& one : from.members) {
        if (one.key == "of") continue;
        if (one.key == "file") {
            deed.aim.file =
                static_cast<DiskAim::File>(1 + index_of(disk_file_words, one.value.text));
            aim = &one;
        } else if (one.key == "batch") {
            deed.aim.batch = static_cast<DiskAim::Batch>(1 + index_of(batch_words, one.value.text));
            aim = &one;
        } else if (one.key == "part") {
            deed.aim.part =
                static_cast<DiskAim::Part>(1 + index_of(batch_part_words, one.value.text));
            aim = &one;
        } else if (one.key == "partition") {
            deed.aim.partition = partition(from);
            aim = &one;
        } else if (what != nullptr) {
            throw ParseError{
                one.line, fmt::format("one trouble a step: \"{}\" or \"{}\"", what->key, one.key)};
        } else {
            what = &one;
        }
    }
    if (what == nullptr)
        throw ParseError{from.line, "\"disk\": expected \"of\" and one kind of trouble"};
    must_be_true(*what);
    deed.amount = what->value.integer;
    deed.well = what->key == "well";
    deed.remember = what->key == "is_remembered";
    for (const auto& [key, kind] : disk_troubles)
        if (what->key == key) deed.kind = kind;
    if (deed.kind == FaultKind::disk_swap) deed.other = {who(what->value)};
    if (aim != nullptr && !befalls_a_file(deed.kind))
        throw ParseError{aim->line,
                         fmt::format("\"{}\" has no meaning with \"{}\"", aim->key, what->key)};
}

void StepReader::links(const Located& from, Deed& deed) const {
    deed.who = {who(*from.find("who"))};
    if (from.members.size() != 2)
        throw ParseError{from.line,
                         "\"links\": expected \"who\" and one of \"bytes_per_second\", "
                         "\"swallow_above\", \"refused\""};
    const LocatedMember& what = from.members[from.members[0].key == "who" ? 1 : 0];
    must_be_true(what);
    deed.amount = what.value.integer;
    for (const auto& [key, kind] : link_troubles)
        if (what.key == key) deed.kind = kind;
}

namespace {

/// By Kafka's name of the error, "NOT_LEADER_OR_FOLLOWER".
std::int16_t error_named(const Located& from) {
    constexpr std::int16_t errors_max = 200;
    for (std::int16_t code = -1; code < errors_max; ++code)
        if (code != 0 && from.text == protocol::to_string(static_cast<protocol::ErrorCode>(code)))
            return code;
    throw ParseError{from.line,
                     fmt::format("\"fails_with\": \"{}\" is no error of Kafka's, such as "
                                 "\"NOT_LEADER_OR_FOLLOWER\"",
                                 from.text)};
}

}  // namespace

void StepReader::site(const Located& from, Deed& deed) const {
    deed.site = static_cast<Site>(index_of(site_words, from.find("name")->text));
    const Located* rate = from.find("of_a_million");
    deed.amount = rate == nullptr ? per_million : rate->integer;
}

void StepReader::changed(const Located& from, Deed& deed) const {
    if (deed.verb != Verb::stop && deed.verb != Verb::kill && deed.verb != Verb::power)
        throw ParseError{from.line, "\"with\" goes with \"stop\", \"kill\" or \"power\" only"};
    config::BrokerOptions options = scenario_.cluster.broker;
    for (const LocatedMember& one : from.members) {
        const std::string text = option_text(one.value);
        const Status status = config::set(options, one.key, text);
        if (!status) throw ParseError{one.line, status.error().text};
        deed.options.emplace(one.key, text);
    }
    if (const Status status = config::check(options); !status)
        throw ParseError{from.line, status.error().text};
}

void StepReader::request(const Located& from, Deed& deed) const {
    const Located* stalls = from.find("stalls");
    const Located* resets = from.find("resets");
    const Located* fails = from.find("fails_with");
    if ((stalls != nullptr) + (resets != nullptr) + (fails != nullptr) != 1)
        throw ParseError{from.line, "\"on\": expected \"stalls\", \"resets\" or \"fails_with\""};
    if (fails != nullptr) {
        deed.kind = FaultKind::request_refused;
        deed.error = error_named(*fails);
        const std::string& api = from.find("api")->text;
        if (api == "metadata" || api == "api_versions")
            throw ParseError{fails->line,
                             fmt::format("\"fails_with\": {} has no error of its own", api)};
    } else {
        deed.kind = stalls != nullptr ? FaultKind::connection_stall : FaultKind::connection_reset;
        deed.applied = index_of(point_words, (stalls != nullptr ? stalls : resets)->text) == 1;
    }
    deed.api = api_keys[index_of(api_words, from.find("api")->text)];
    if (const Located* nth = from.find("nth")) deed.nth = static_cast<std::uint32_t>(nth->integer);
    if (const Located* who = from.find("from")) deed.who = whos(*who);
    if (const Located* to = from.find("to")) deed.other = whos(*to);
}

}  // namespace klamm::sim
