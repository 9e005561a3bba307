#include "sim/picture/copies.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "sim/judge/damage.h"
#include "sim/run/cluster.h"
#include "sim/run/listener.h"
#include "sim/run/token.h"
#include "sim/world/world.h"

namespace klamm::sim {

namespace {

constexpr std::size_t leaders_told = 6;
constexpr std::size_t losses_told = 3;

std::string clock_text(Instant at) {
    return fmt::format("{}.{:03} s", at.nanoseconds / 1'000'000'000,
                       at.nanoseconds / 1'000'000 % 1000);
}

std::string list(const std::vector<BrokerId>& ids) {
    std::string text;
    for (const BrokerId id : ids) text += fmt::format("{}{}", text.empty() ? "" : ",", id.value);
    return "{" + text + "}";
}

bool take(std::string_view& text, std::string_view word) {
    if (!text.starts_with(word)) return false;
    text.remove_prefix(word.size());
    return true;
}

template <class Number>
bool take_number(std::string_view& text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

/// "offset 41 of trial-0" or "offsets 41 to 43 of trial-0" at the beginning of `text`.
std::optional<RecordPlace> place_at(std::string_view text) {
    RecordPlace place;
    std::int64_t last = 0;
    const bool many = text.starts_with("offsets ");
    if (!take(text, many ? "offsets " : "offset ") || !take_number(text, place.offset.value))
        return std::nullopt;
    if (many && (!take(text, " to ") || !take_number(text, last))) return std::nullopt;
    if (!take(text, " of trial-") || !take_number(text, place.partition)) return std::nullopt;
    return place;
}

}  // namespace

std::optional<RecordPlace> guilty_record(const std::vector<Violation>& violations) {
    if (violations.empty()) return std::nullopt;
    const std::string_view sentence = violations.front().sentence;
    for (std::size_t at = sentence.find("offset"); at != std::string_view::npos;
         at = sentence.find("offset", at + 1))
        if (const auto place = place_at(sentence.substr(at))) return place;
    return std::nullopt;
}

void Copies::fault(Instant at, const FaultEvent& fault) { faults_.emplace_back(at, fault); }

bool Copies::here(const TopicPartition& partition) const {
    return partition == TopicPartition{trial_topic, PartitionIndex(place_.partition)};
}

Copies::Copy* Copies::living(NodeId node) {
    for (Copy& copy : copies_)
        if (copy.node == node.value && !copy.until.has_value()) return &copy;
    return nullptr;
}

void Copies::end(NodeId node, Instant at, std::string how) {
    if (Copy* copy = living(node)) {
        copy->until = at;
        copy->how = std::move(how);
    }
}

void Copies::appended(NodeId node, Instant time, const facts::BatchAppended& fact) {
    if (place_.offset < fact.base_offset || place_.offset > fact.last_offset) return;
    end(node, time, "written over");
    copies_.push_back({node.value,
                       {fact.epoch, fact.base_offset, fact.crc},
                       time,
                       fact.as_leader,
                       fact.segment_base,
                       fact.position,
                       fact.size,
                       std::nullopt,
                       {}});
}

void Copies::promised(NodeId node, Instant time, std::string words, bool consumer) {
    std::optional<Promise>& promise = consumer ? served_ : answered_;
    if (promise.has_value()) return;
    promise = Promise{time, node.value, std::move(words), std::nullopt};
    if (const Copy* copy = living(node)) promise->batch = copy->batch;
}

void Copies::on_fact(NodeId node, env::ShardIndex, Instant time, const facts::Fact& fact) {
    if (const auto* f = std::get_if<facts::BatchAppended>(&fact); f != nullptr) {
        if (here(f->partition)) appended(node, time, *f);
    } else if (const auto* cut = std::get_if<facts::LogTruncated>(&fact); cut != nullptr) {
        if (here(cut->partition) && cut->end <= place_.offset) end(node, time, describe(fact));
    } else if (const auto* opened = std::get_if<facts::LogOpened>(&fact); opened != nullptr) {
        if (here(opened->partition) && opened->end <= place_.offset)
            end(node, time, describe(fact));
    } else if (const auto* moved = std::get_if<facts::LogStartMoved>(&fact); moved != nullptr) {
        if (here(moved->partition) && moved->start > place_.offset)
            end(node, time, fmt::format("its log now starts at {}", moved->start.value));
    } else if (const auto* answer = std::get_if<facts::ProduceAnswered>(&fact); answer != nullptr) {
        if (here(answer->partition) && answer->error == 0 && answer->acks != 0 &&
            answer->base_offset <= place_.offset && place_.offset <= answer->last_offset)
            promised(node, time,
                     fmt::format("offsets {} to {} with acks={}, leader epoch {}, ISR {}, "
                                 "min.insync.replicas {}",
                                 answer->base_offset.value, answer->last_offset.value,
                                 answer->acks == -1 ? "all" : std::to_string(answer->acks),
                                 answer->epoch.value, list(answer->committed_isr), answer->min_isr),
                     false);
    } else if (const auto* serve = std::get_if<facts::ConsumerServed>(&fact); serve != nullptr) {
        if (here(serve->partition) && serve->from <= place_.offset && place_.offset < serve->to)
            promised(node, time,
                     fmt::format("leader epoch {}, high watermark {}", serve->epoch.value,
                                 serve->high_watermark.value),
                     true);
    } else if (const auto* committed = std::get_if<facts::PartitionCommitted>(&fact);
               committed != nullptr) {
        if (here(committed->partition)) leaders_.push_back({time, describe(fact)});
    } else if (const auto* leads = std::get_if<facts::Leading>(&fact); leads != nullptr) {
        if (here(leads->partition))
            leaders_.push_back({time, names_[node.value] + " " + describe(fact)});
    }
}

void Copies::on_crash(NodeId node, CrashKind kind, const DamageReport& report) {
    const Copy* copy = living(node);
    if (copy == nullptr) return;
    if (kind == CrashKind::wipe) {
        end(node, now_(), "its disk is gone");
        return;
    }
    for (const FileDamage& file : report.files) {
        const auto path = segment_path(file.path);
        if (!path.has_value() || path->partition.value != place_.partition ||
            path->base != copy->segment)
            continue;
        for (const ByteRange& range : file.changed) {
            if (range.to <= copy->position || range.from >= copy->position + copy->size) continue;
            end(node, now_(),
                fmt::format("{} took it: segment {} had {} bytes, of them {} synced, and has {}",
                            kind == CrashKind::power ? "the loss of power" : "the kill",
                            path->base.value, file.length_before, file.synced_length,
                            file.length_after));
            return;
        }
    }
}

/// The fault that fell at this moment on this node; node n is broker n.
std::string Copies::fault_of(Instant at, std::uint32_t node) const {
    for (const auto& [when, fault] : faults_) {
        if (when != at) continue;
        const bool aimed =
            std::find(fault.targets.begin(), fault.targets.end(), node - 1) != fault.targets.end();
        if (aimed || fault.targets.empty())
            return fmt::format(", by fault {} ({})", fault.id, to_string(fault));
    }
    return {};
}

std::string Copies::to_text(Instant until) const {
    if (!answered_.has_value() && !served_.has_value()) return {};
    const auto name_of = [&](std::uint32_t node) {
        const auto found = names_.find(node);
        return found == names_.end() ? fmt::format("node {}", node) : found->second;
    };
    std::string text = fmt::format("what became of offset {} of trial-{}:\n", place_.offset.value,
                                   place_.partition);
    std::optional<Identity> batch;
    for (const auto& [promise, word] :
         {std::pair{&answered_, "acknowledged"}, {&served_, "consumed"}}) {
        if (!promise->has_value()) continue;
        const Promise& one = **promise;
        text += fmt::format("  {:<13} {} by {}: {}\n", word, clock_text(one.at), name_of(one.node),
                            one.words);
        if (!batch.has_value()) batch = one.batch;
    }
    const Copy* last = nullptr;
    std::string left;
    for (const Copy& copy : copies_) {
        if (copy.since > until || (batch.has_value() && copy.batch != *batch)) continue;
        const bool gone = copy.until.has_value() && *copy.until <= until;
        text += fmt::format("  {:<13} {} {}{}", "copy", clock_text(copy.since), name_of(copy.node),
                            copy.as_leader ? ", as leader" : "");
        if (gone) text += fmt::format("; until {}: {}", clock_text(*copy.until), copy.how);
        text += '\n';
        if (!gone) {
            left += (left.empty() ? "" : ", ") + name_of(copy.node);
        } else if (last == nullptr || *copy.until >= *last->until) {
            last = &copy;
        }
    }
    if (!left.empty()) {
        text += fmt::format("  {:<13} on {}\n", "copies left", left);
    } else if (last != nullptr) {
        text +=
            fmt::format("  {:<13} {} from {}: {}{}\n", "the last went", clock_text(*last->until),
                        name_of(last->node), last->how, fault_of(*last->until, last->node));
    }
    std::vector<Said> said;
    for (const Said& one : leaders_)
        if (one.at <= until) said.push_back(one);
    for (std::size_t i = said.size() > leaders_told ? said.size() - leaders_told : 0;
         i < said.size(); ++i)
        text +=
            fmt::format("  {:<13} {} {}\n", "leadership", clock_text(said[i].at), said[i].words);
    return text;
}

std::string lawful_before(const RunResult& result) {
    std::string text;
    std::size_t told = 0;
    std::int64_t more = 0;
    for (const Loss& loss : result.bill.losses) {
        if (!loss.permitted() || loss.lost > result.first_violation) continue;
        if (++told > losses_told)
            more += loss.records();
        else
            text += fmt::format("  {:<13} {}\n", "lawful before", to_sentence(loss, "trial"));
    }
    if (told == 0) return fmt::format("  {:<13} nothing was lost\n", "lawful before");
    if (more > 0) text += fmt::format("  {:<13} and {} records more\n", "", more);
    return text;
}

std::string story_of_guilty_record(const RunPlan& plan, const RunResult& result) {
    const auto place = guilty_record(result.violations);
    if (!place.has_value()) return {};
    Copies copies(*place);
    RunHooks hooks;
    hooks.stop_at_first_violation = true;
    hooks.observer = &copies;
    hooks.begin_sink = [&](const World& world) {
        copies.set_now([&world] { return world.now(); });
        for (std::uint32_t i = 0; i < world.nodes(); ++i)
            copies.name(NodeId(i), world.name(NodeId(i)));
    };
    hooks.fault_sink = [&](Instant at, const FaultEvent& fault) { copies.fault(at, fault); };
    (void)run_plan(plan, hooks);
    std::string text = copies.to_text(result.first_violation);
    if (text.empty()) return text;
    text += lawful_before(result);
    const std::string token = to_token(plan);
    text += fmt::format("  {:<13} klamm shrink {}, klamm why {}, klamm replay {} --html FILE\n",
                        "see also", token, token, token);
    return text;
}

}  // namespace klamm::sim
