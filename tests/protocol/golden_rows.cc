#include "tests/protocol/golden_rows.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>

#include "tests/protocol/shape_bytes.h"

namespace klamm::protocol::test {

namespace {

Bytes from_hex(const std::string& text) {
    Bytes bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

/// JSON as Kafka's printer writes it, on one line: no spaces, and no string with a backslash.
class Json {
  public:
    explicit Json(const std::string& text) : text_(text) {}

    /// The members of an object, their values canonical.
    std::map<std::string, std::string> members() {
        std::map<std::string, std::string> found;
        expect('{');
        while (!took('}')) {
            const std::string name = string();
            expect(':');
            found[plain_name(name)] = value();
            took(',');
        }
        return found;
    }

  private:
    std::string value() {
        switch (text_.at(at_)) {
            case '{': {
                std::string all = "{";
                for (const auto& [name, given] : members()) all += name + ":" + given + " ";
                return all + "}";
            }
            case '[': {
                std::string all = "[";
                ++at_;
                while (!took(']')) {
                    all += value() + " ";
                    took(',');
                }
                return all + "]";
            }
            case '"': return '"' + string() + '"';
            default: {
                const std::size_t end = text_.find_first_of(",]}", at_);
                const std::string word = text_.substr(at_, end - at_);
                at_ = end;
                return word.find('.') == std::string::npos ? word : float_text(std::stod(word));
            }
        }
    }
    std::string string() {
        expect('"');
        const std::size_t end = text_.find('"', at_);
        const std::string inside = text_.substr(at_, end - at_);
        if (inside.find('\\') != std::string::npos) throw std::runtime_error("a backslash");
        at_ = end + 1;
        return inside;
    }
    bool took(char letter) {
        const bool there = text_.at(at_) == letter;
        if (there) ++at_;
        return there;
    }
    void expect(char letter) {
        if (!took(letter)) throw std::runtime_error("not what Kafka writes: " + text_);
    }

    const std::string& text_;
    std::size_t at_ = 0;
};

std::string unquoted(const std::string& text) {
    return text.size() < 2 ? std::string() : text.substr(1, text.size() - 2);
}

std::ifstream open(const std::string& path) {
    return std::ifstream(std::string(KLAMM_SOURCE_DIR) + "/tests/golden/protocol/" + path);
}

}  // namespace

std::vector<GoldenRow> golden_rows(const std::string& path) {
    std::ifstream file = open(path);
    std::vector<GoldenRow> rows;
    for (std::string line; std::getline(file, line);) {
        auto row = Json(line).members();
        rows.push_back({std::stoi(row.at("version")), from_hex(unquoted(row["header"])),
                        from_hex(unquoted(row.at("bytes"))), row.at("values"), row["newest"]});
    }
    return rows;
}

std::vector<ClientRow> client_rows() {
    std::vector<ClientRow> rows;
    const std::string folder = std::string(KLAMM_SOURCE_DIR) + "/tests/golden/clients";
    std::set<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        paths.insert(entry.path());
    for (const auto& path : paths) {
        std::ifstream file(path);
        for (std::string line; std::getline(file, line);) {
            auto row = Json(line).members();
            rows.push_back({path.stem().string(), std::stoi(row.at("key")),
                            std::stoi(row.at("version")), from_hex(unquoted(row.at("request"))),
                            from_hex(row.at("response") == "null" ? std::string()
                                                                  : unquoted(row.at("response")))});
        }
    }
    return rows;
}

std::vector<std::vector<std::string>> golden_table(const std::string& path) {
    std::ifstream file = open(path);
    std::vector<std::vector<std::string>> rows;
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        std::vector<std::string> row;
        std::istringstream cells(line);
        for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
        rows.push_back(row);
    }
    return rows;
}

}  // namespace klamm::protocol::test
