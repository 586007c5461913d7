#include "base/ids.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace belay {
namespace {

constexpr char kHex[] = "0123456789abcdef";

std::string to_hex(const unsigned char* data, size_t size) {
    std::string out(size * 2, '0');
    for (size_t i = 0; i < size; ++i) {
        out[2 * i] = kHex[data[i] >> 4];
        out[2 * i + 1] = kHex[data[i] & 15];
    }
    return out;
}

// xoshiro256++ 1.0 (Blackman and Vigna, public domain), seeded by the kernel once per thread.
struct QuickGenerator {
    uint64_t s[4];

    QuickGenerator() {
        fill_random(s, sizeof s);
        s[0] |= 1;  // the all-zero state is the only forbidden one
    }
    static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
    uint64_t next() {
        const uint64_t result = rotate(s[0] + s[3], 23) + s[0];
        const uint64_t t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = rotate(s[3], 45);
        return result;
    }
};

}  // namespace

void fill_random(void* data, size_t size) {
    auto* at = static_cast<unsigned char*>(data);
    while (size > 0) {
        const ssize_t got = getrandom(at, size, 0);
        if (got > 0) {
            at += got;
            size -= static_cast<size_t>(got);
        } else if (errno != EINTR) {
            // Keys made from anything weaker would be guessable: there is no good way to go on.
            std::fputs("belay: the kernel gives no random bytes\n", stderr);
            std::abort();
        }
    }
}

uint64_t quick_random() {
    thread_local QuickGenerator generator;
    return generator.next();
}

double quick_random_unit() { return static_cast<double>(quick_random() >> 11) * 0x1.0p-53; }

namespace {

// "00" to "ff".
constexpr auto kHexPairs = [] {
    std::array<std::array<char, 2>, 256> pairs{};
    for (size_t i = 0; i < 256; ++i) {
        pairs[i] = {kHex[i >> 4], kHex[i & 15]};
    }
    return pairs;
}();

}  // namespace

std::string random_uuid() {
    uint64_t words[2] = {quick_random(), quick_random()};
    unsigned char b[16];
    std::memcpy(b, words, sizeof b);
    b[6] = static_cast<unsigned char>((b[6] & 0x0F) | 0x40);  // version 4
    b[8] = static_cast<unsigned char>((b[8] & 0x3F) | 0x80);  // RFC 9562 variant
    // Where byte i goes: four hyphens stand between them.
    static constexpr unsigned char kAt[16] = {0,  2,  4,  6,  9,  11, 14, 16,
                                              19, 21, 24, 26, 28, 30, 32, 34};
    std::string out(36, '-');
    char* const text = out.data();
    for (int i = 0; i < 16; ++i) {
        std::memcpy(text + kAt[i], &kHexPairs[b[i]], 2);
    }
    return out;
}

std::string random_hex(size_t bytes) {
    std::string raw(bytes, '\0');
    fill_random(raw.data(), raw.size());
    return to_hex(reinterpret_cast<const unsigned char*>(raw.data()), raw.size());
}

std::string sha256_hex(std::string_view data) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr) != 1) {
        std::fputs("belay: SHA-256 is not available in this OpenSSL\n", stderr);
        std::abort();
    }
    return to_hex(digest, size);
}

}  // namespace belay
