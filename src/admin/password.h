#pragma once
// Passwords of the dashboard's users, stored as scrypt hashes with their parameters:
//
//   "scrypt:<log2 N>:<r>:<p>:<salt hex>:<hash hex>"
//   "scrypt:" base64(salt[16] hash[32])    LiteLLM's, as an import brings it: N 2^14, r 8, p 1
#include <string>
#include <string_view>

namespace belay::admin {

// 16 MiB and some tens of milliseconds: not for an event loop.
[[nodiscard]] std::string hash_password(std::string_view password);
// Constant time in the hash. False for a text of another form, also an unsalted hash of old.
[[nodiscard]] bool password_matches(std::string_view password, std::string_view stored);
// Spends the time that a wrong password would, for names that do not exist.
void pretend_to_check(std::string_view password);

}  // namespace belay::admin
