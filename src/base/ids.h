#pragma once
// Identifiers and randomness. The only place that asks the kernel for random bytes.
#include <cstdint>
#include <string>
#include <string_view>

namespace belay {

// Random bytes from the kernel, fit for keys.
void fill_random(void* data, size_t size);
// A fast per-thread generator for jitter and request ids; not for keys.
[[nodiscard]] uint64_t quick_random();
// In [0, 1).
[[nodiscard]] double quick_random_unit();
// "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx".
[[nodiscard]] std::string random_uuid();
// `bytes` random bytes as lower-case hex.
[[nodiscard]] std::string random_hex(size_t bytes);
// Lower-case hex SHA-256.
[[nodiscard]] std::string sha256_hex(std::string_view data);

}  // namespace belay
