#pragma once
// Names of counters in Redis, the same on every instance, and back again.
#include <optional>
#include <string>
#include <string_view>

#include "governance/shared.h"

namespace belay::redis {

class Keys {
  public:
    explicit Keys(const std::string& name_space) : prefix_("{" + name_space + "}:") {}

    [[nodiscard]] std::string plain(std::string_view name) const {
        return prefix_ + std::string(name);
    }
    // The row's counters, and who holds of them.
    [[nodiscard]] std::string counters(const governance::SharedRow& row) const;
    [[nodiscard]] std::string holds(const governance::SharedRow& row) const;
    // The budget window that counters() made this key of.
    [[nodiscard]] std::optional<governance::SharedRow> parse_window(std::string_view key) const;

  private:
    [[nodiscard]] std::string name(const governance::SharedRow& row, std::string_view what) const;
    std::string prefix_;
};

}  // namespace belay::redis
