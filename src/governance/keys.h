#pragma once
// The secrets that clients present. A generated key is "sk-" and 22 or more URL-safe random
// characters. What is stored is LiteLLM's identity of it, the lower-case hexadecimal SHA-256 of the
// whole string: an imported installation's keys keep working, and 128 bits or more of randomness
// need no slow hash.
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace belay::governance {

[[nodiscard]] Secret generate_key();
// "sk-" and at least 16 characters, printable ASCII without spaces.
[[nodiscard]] Result<void> check_chosen_key(std::string_view key);
[[nodiscard]] std::string key_hash(std::string_view key);
// "sk-...wxyz".
[[nodiscard]] std::string key_name(std::string_view key);
// What clients may send where a key is meant: the key itself or its hash; the hash of it.
[[nodiscard]] std::string hash_of(std::string_view key_or_hash);

}  // namespace belay::governance
