#pragma once
// Lays out the header lines of an attempt. Headers configured on the deployment (extra_headers) win
// over whatever a provider adds, except where the provider insists; they can never touch the
// credential, the framing or the connection. Control bytes in values become spaces.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace belay::providers {

class HeaderLines {
  public:
    using Extra = std::vector<std::pair<std::string, std::string>>;

    // `extra` must outlive this.
    explicit HeaderLines(const Extra& extra) : extra_(extra) { out_.reserve(768); }
    // Unless an extra header of that name is configured.
    void add(std::string_view name, std::string_view value);
    // The provider's word is final: an extra header of that name is left out.
    void insist(std::string_view name, std::string_view value);
    // Never sent, configured or not.
    void exclude(std::string_view name) { insisted_.push_back(name); }
    // The configured value of a header that is not reserved; "" when there is none.
    [[nodiscard]] std::string_view configured(std::string_view name) const;
    // Appends the extra headers that are allowed, and gives everything.
    [[nodiscard]] std::string finish();

  private:
    [[nodiscard]] bool is_settled(std::string_view name) const;
    const Extra& extra_;
    std::vector<std::string_view> insisted_;
    std::string out_;
};

// Credential, framing and connection headers: never taken from a configuration.
[[nodiscard]] bool is_reserved_header(std::string_view name);

}  // namespace belay::providers
