#include "admin/password.h"

#include <openssl/evp.h>

#include <charconv>
#include <vector>

#include "base/ids.h"
#include "base/secret.h"
#include "wire/encoding.h"

namespace belay::admin {
namespace {

constexpr unsigned kLogN = 14;
constexpr unsigned kR = 8;
constexpr unsigned kP = 1;
constexpr size_t kSize = 32;
constexpr uint64_t kMemory = 64U << 20U;

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    for (const char byte : bytes) {
        const auto b = static_cast<unsigned char>(byte);
        out += kDigits[b >> 4U];
        out += kDigits[b & 15U];
    }
    return out;
}

std::string derive(std::string_view password, std::string_view salt, unsigned log_n, unsigned r,
                   unsigned p) {
    std::string out(kSize, '\0');
    const bool good = EVP_PBE_scrypt(password.data(), password.size(),
                                     reinterpret_cast<const unsigned char*>(salt.data()),
                                     salt.size(), uint64_t{1} << log_n, r, p, kMemory,
                                     reinterpret_cast<unsigned char*>(out.data()), out.size()) == 1;
    return good ? to_hex(out) : std::string();
}

unsigned number(std::string_view text) {
    unsigned n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
}

// LiteLLM's own hashes, which an import brings, at its fixed cost.
bool litellm_password_matches(std::string_view password, std::string_view encoded) {
    const auto raw = base64_decode(encoded);
    if (!raw || raw->size() != 16 + kSize) {
        return false;
    }
    const std::string hash = derive(password, raw->substr(0, 16), kLogN, kR, kP);
    return !hash.empty() && constant_time_equal(hash, to_hex(raw->substr(16)));
}

}  // namespace

std::string hash_password(std::string_view password) {
    const std::string salt = random_hex(16);
    return "scrypt:" + std::to_string(kLogN) + ":" + std::to_string(kR) + ":" + std::to_string(kP) +
           ":" + salt + ":" + derive(password, salt, kLogN, kR, kP);
}

bool password_matches(std::string_view password, std::string_view stored) {
    std::vector<std::string_view> parts;
    for (size_t from = 0; from <= stored.size();) {
        const size_t end = std::min(stored.find(':', from), stored.size());
        parts.push_back(stored.substr(from, end - from));
        from = end + 1;
    }
    if (parts.size() == 2 && parts[0] == "scrypt") {
        return litellm_password_matches(password, parts[1]);
    }
    if (parts.size() != 6 || parts[0] != "scrypt") {
        return false;
    }
    const unsigned log_n = number(parts[1]);
    const unsigned r = number(parts[2]);
    const unsigned p = number(parts[3]);
    // A stored row never makes a sign-in cost more than it may.
    if (log_n < 10 || log_n > 15 || r == 0 || r > 8 || p == 0 || p > 4) {
        return false;
    }
    const std::string hash = derive(password, parts[4], log_n, r, p);
    return !hash.empty() && constant_time_equal(hash, parts[5]);
}

void pretend_to_check(std::string_view password) {
    (void)derive(password, "0123456789abcdef0123456789abcdef", kLogN, kR, kP);
}

}  // namespace belay::admin
