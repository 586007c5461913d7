#pragma once
// What is taken out of a text before it is kept: what looks like a key or a token (the log's own
// rules), and what the operator's patterns match. Patterns are POSIX extended regular expressions
// without back-references, so that no text makes them slow.
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace belay::observe {

inline constexpr size_t kPatternsMost = 32;
inline constexpr size_t kPatternMost = 512;  // bytes of one

// Whether the pattern can be used; the message says what is wrong with it.
[[nodiscard]] Result<void> check_pattern(const std::string& pattern);

class Redaction {
  public:
    // Patterns that check_pattern() refuses are left out.
    explicit Redaction(const std::vector<std::string>& patterns);
    ~Redaction();
    Redaction(const Redaction&) = delete;
    Redaction& operator=(const Redaction&) = delete;

    // Every match becomes "[redacted]".
    [[nodiscard]] std::string apply(std::string_view text) const;

    struct Pattern;

  private:
    std::vector<std::unique_ptr<Pattern>> patterns_;
};

}  // namespace belay::observe
