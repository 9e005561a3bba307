#include "checkers/kafka_tables.h"

#include <fmt/format.h>

#include <algorithm>

namespace klamm::checkers {

std::uint32_t KafkaTables::intern(std::uint32_t key, std::uint32_t value) {
    const auto [at, fresh] = ids_.try_emplace((std::uint64_t{key} << 32) | value,
                                              static_cast<std::uint32_t>(values.size()));
    if (fresh) {
        values.emplace_back();
        values.back().key = key;
        values.back().value = value;
    }
    return at->second;
}

std::uint32_t KafkaTables::find(std::uint32_t key, std::uint32_t value) const {
    return ids_.at((std::uint64_t{key} << 32) | value);
}

KafkaTables::KafkaTables(const KafkaHistory& given) : history(given) {
    const std::vector<KafkaOperation>& operations = history.operations;
    committed.assign(operations.size(), false);
    versions.assign(history.texts.size(), 0);
    orders.assign(history.texts.size(), {});
    for (std::uint32_t i = 0; i < operations.size(); ++i) {
        const KafkaOperation& one = operations[i];
        committed[i] = one.outcome == Outcome::ok;
        for (const KafkaRecord& record : one.sends) {
            KafkaValue& value = values[intern(record.key, record.value)];
            value.writer = i;
            value.acked = record.offset;
        }
        for (const KafkaRecord& record : one.reads) {
            const std::uint32_t id = intern(record.key, record.value);
            KafkaValue& value = values[id];
            if (value.read_offset < 0) value.read_offset = record.offset;
            if (one.outcome == Outcome::ok &&
                (value.reader == no_operation || one.ret < operations[value.reader].ret)) {
                value.reader = i;
            }
            seen.push_back({record.key, record.offset, id});
        }
    }
    // One value that an ok operation has read proves the whole of an unknown transaction.
    for (const KafkaValue& value : values) {
        if (value.writer == no_operation || value.reader == no_operation) continue;
        if (operations[value.writer].outcome == Outcome::unknown) committed[value.writer] = true;
    }
    for (std::uint32_t i = 0; i < operations.size(); ++i) {
        if (!committed[i]) continue;
        for (const KafkaRecord& record : operations[i].sends) {
            if (record.offset < 0) continue;
            seen.push_back({record.key, record.offset, find(record.key, record.value)});
        }
    }
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    for (std::size_t i = 0; i < seen.size(); ++i) {
        const Seen& one = seen[i];
        const bool fresh = i == 0 || seen[i - 1].key != one.key || seen[i - 1].offset != one.offset;
        if (fresh) {
            ++versions[one.key];
            orders[one.key].push_back(one.value);
        }
        KafkaValue& value = values[one.value];
        value.last = versions[one.key] - 1;
        if (value.first == no_index) value.first = value.last;
    }
}

std::int64_t KafkaTables::distance(const KafkaRecord& a, const KafkaRecord& b) const {
    const std::int64_t from = of(a).last;
    const std::int64_t to = of(b).last;
    return from == no_index || to == no_index ? 1 : to - from;
}

std::string KafkaTables::name(const KafkaRecord& record) const {
    return fmt::format("value {} of key {}", history.texts[record.value],
                       history.texts[record.key]);
}

std::string KafkaTables::name(const KafkaValue& value) const {
    return fmt::format("value {} of key {}", history.texts[value.value], history.texts[value.key]);
}

std::string KafkaTables::name(const KafkaOperation& operation) const {
    constexpr const char* names[] = {"send",      "poll",  "transaction", "assign",
                                     "subscribe", "crash", "operation"};
    return fmt::format("process {}'s {} (line {})", operation.process,
                       names[static_cast<std::size_t>(operation.function)], operation.line);
}

}  // namespace klamm::checkers
