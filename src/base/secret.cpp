#include "base/secret.h"

#include <openssl/crypto.h>

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
    // The time depends on `b` (what was presented) alone, also when the lengths differ.
    unsigned char difference = a.size() == b.size() ? 0 : 1;
    for (size_t i = 0; i < b.size(); ++i) {
        const char expected = a.empty() ? '\0' : a[i < a.size() ? i : a.size() - 1];
        difference |= static_cast<unsigned char>(expected ^ b[i]);
    }
    return static_cast<volatile unsigned char&>(difference) == 0;
}

}  // namespace belay
