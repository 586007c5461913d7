#include "base/secret.h"

#include <openssl/crypto.h>

#include <cstdint>
#include <cstring>

namespace belay {

Secret::~Secret() {
    if (!value_.empty()) {
        OPENSSL_cleanse(value_.data(), value_.size());
    }
}

Secret& Secret::operator=(const Secret& other) {
    if (this != &other) {
        *this = Secret(other);
    }
    return *this;
}

// Swapping leaves the old value to the other object, whose destructor wipes it; a plain move could
// free the old buffer, or copy a short value, without wiping.
Secret& Secret::operator=(Secret&& other) noexcept {
    value_.swap(other.value_);
    return *this;
}

Secret::Secret(Secret&& other) noexcept { value_.swap(other.value_); }

bool Secret::equals(std::string_view presented) const {
    return !value_.empty() && constant_time_equal(value_, presented);
}

std::string Secret::masked() const {
    // Seven shown characters of a short secret would give most of it away.
    if (value_.size() < 16) {
        return "…";
    }
    return value_.substr(0, 3) + "…" + value_.substr(value_.size() - 4);
}

bool constant_time_equal(std::string_view a, std::string_view b) {
    // The time depends on `b` (what was presented) alone, also when the lengths differ: then `b` is
    // compared with itself, and the answer is known.
    const char* const expected = a.size() == b.size() ? a.data() : b.data();
    uint64_t difference = a.size() == b.size() ? 0 : 1;
    size_t i = 0;
    for (; i + 8 <= b.size(); i += 8) {
        uint64_t left = 0;
        uint64_t right = 0;
        std::memcpy(&left, expected + i, 8);
        std::memcpy(&right, b.data() + i, 8);
        difference |= left ^ right;
    }
    for (; i < b.size(); ++i) {
        difference |= static_cast<unsigned char>(expected[i] ^ b[i]);
    }
    return static_cast<volatile uint64_t&>(difference) == 0;
}

}  // namespace belay
