#pragma once
// A string that cannot be printed by accident: no stream operator, no formatter, no comparison that
// leaks time. reveal() is for the header writer and the vault only. Zeroed when destroyed.
#include <string>
#include <string_view>

namespace belay {

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    Secret(const Secret&) = default;
    Secret(Secret&&) noexcept;
    Secret& operator=(const Secret&);
    Secret& operator=(Secret&&) noexcept;
    ~Secret();

    [[nodiscard]] const std::string& reveal() const { return value_; }
    [[nodiscard]] bool empty() const { return value_.empty(); }
    // Constant time in the length of the presented text. An empty secret equals nothing.
    [[nodiscard]] bool equals(std::string_view presented) const;
    // "sk-…1234": first three and last four characters, or "…" when too short to show any.
    [[nodiscard]] std::string masked() const;

  private:
    std::string value_;
};

[[nodiscard]] bool constant_time_equal(std::string_view a, std::string_view b);

}  // namespace belay
