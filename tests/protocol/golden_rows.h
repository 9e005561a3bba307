#pragma once
// Rows of golden bytes (tests/golden/README.md), Kafka's values in the canonical text of
// shape_bytes.h.

#include <string>
#include <vector>

#include "core/base/bytes.h"

namespace klamm::protocol::test {

struct GoldenRow {
    int version;
    Bytes header;
    Bytes bytes;
    std::string values;
    std::string newest;  // empty where the newest version cannot have all of it
};

/// The rows of a file in tests/golden/protocol; none when there is no such file.
std::vector<GoldenRow> golden_rows(const std::string& path);

/// What a client sent and was told, by tests/clients/capture: frames without their length.
struct ClientRow {
    std::string client;  // e.g. "librdkafka-2.0.2"
    int key;
    int version;
    Bytes request;
    Bytes response;  // empty: none
};
std::vector<ClientRow> client_rows();

/// A table in tests/golden/protocol, without its heading.
std::vector<std::vector<std::string>> golden_table(const std::string& path);

}  // namespace klamm::protocol::test
