#pragma once
// The secrets that clients present. A generated key is "sk-" and 22 or more URL-safe random
// characters. LiteLLM's identity of it is the lower-case hexadecimal SHA-256 of the whole string;
// what is stored is that, hashed again under the installation's secret (Directory::key_id), so that
// nobody who reads the database can try out guesses at keys that people chose. Keys from before,
// and imported ones, stand under the plain SHA-256 and go on working. 128 bits or more of
// randomness need no slow hash.
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace belay::governance {

[[nodiscard]] Secret generate_key();
// "sk-" and at least 16 characters, printable ASCII without spaces.
[[nodiscard]] Result<void> check_chosen_key(std::string_view key);
// LiteLLM's identity of a key.
[[nodiscard]] std::string key_hash(std::string_view key);
// "sk-...wxyz".
[[nodiscard]] std::string key_name(std::string_view key);
// 64 lower-case hexadecimal digits.
[[nodiscard]] bool is_key_hash(std::string_view text);

}  // namespace belay::governance
