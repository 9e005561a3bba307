#pragma once
// A directory that lives as long as the object, below the system's directory for such things.

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "core/base/assert.h"

namespace klamm::conformance {

class TemporaryDirectory {
  public:
    TemporaryDirectory()
        : path_((std::filesystem::temp_directory_path() / "klamm-test-XXXXXX").string()) {
        const bool made = ::mkdtemp(path_.data()) != nullptr;
        KLAMM_ASSERT(made);
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace klamm::conformance
