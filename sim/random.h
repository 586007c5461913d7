#pragma once
// The world's randomness: a small generator with an explicit seed, and keyed checksums that let the
// world recognise later what it issued earlier (tokens, signatures, encrypted items) without
// remembering any of it. Neither is cryptography: nothing here guards anything real.
#include <cstdint>
#include <string>
#include <string_view>

namespace belay::sim {

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t next();
    [[nodiscard]] double unit();  // [0, 1)
    [[nodiscard]] std::string hex(size_t chars);
    [[nodiscard]] std::string alnum(size_t chars);
    [[nodiscard]] std::string base64(size_t chars);  // base64 alphabet, no padding
    [[nodiscard]] std::string uuid();

  private:
    std::string draw(size_t chars, std::string_view alphabet);
    uint64_t state_;
};

[[nodiscard]] uint64_t keyed_hash(uint64_t key, std::string_view text);
[[nodiscard]] std::string hex64(uint64_t value);  // 16 characters

// text + "." + checksum, and back: false when the checksum is not ours.
[[nodiscard]] std::string seal(uint64_t key, std::string_view text);
[[nodiscard]] bool sealed_by(uint64_t key, std::string_view sealed);

}  // namespace belay::sim
