#include "base/litellm_seal.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace belay {
namespace {

constexpr std::string_view kGcmPrefix = "v2:gcm:";
constexpr size_t kKey = 32;
constexpr size_t kBoxNonce = 24;
constexpr size_t kGcmNonce = 12;
constexpr size_t kTag = 16;

using Block = std::array<uint32_t, 16>;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

uint32_t load(std::string_view text, size_t at) {
    const unsigned char* b = bytes(text) + at;
    return uint32_t{b[0]} | uint32_t{b[1]} << 8 | uint32_t{b[2]} << 16 | uint32_t{b[3]} << 24;
}

void store(std::string& out, uint32_t word) {
    for (int shift = 0; shift < 32; shift += 8) {
        out += static_cast<char>(word >> shift & 0xFFU);
    }
}

// ---- Salsa20 (Bernstein, "Salsa20 specification") ----------------------------------------------

// The 20 rounds: ten times columns, then rows.
void mix(Block& x) {
    const auto quarter = [&x](size_t a, size_t b, size_t c, size_t d) {
        x[b] ^= std::rotl(x[a] + x[d], 7);
        x[c] ^= std::rotl(x[b] + x[a], 9);
        x[d] ^= std::rotl(x[c] + x[b], 13);
        x[a] ^= std::rotl(x[d] + x[c], 18);
    };
    for (int i = 0; i < 10; ++i) {
        quarter(0, 4, 8, 12);
        quarter(5, 9, 13, 1);
        quarter(10, 14, 2, 6);
        quarter(15, 3, 7, 11);
        quarter(0, 1, 2, 3);
        quarter(5, 6, 7, 4);
        quarter(10, 11, 8, 9);
        quarter(15, 12, 13, 14);
    }
}

// Key, 16 bytes of nonce and counter, between the constant's four words.
Block make_block(std::string_view key, std::string_view input) {
    constexpr std::string_view kConstant = "expand 32-byte k";
    Block x{};
    for (size_t i = 0; i < 4; ++i) {
        x[5 * i] = load(kConstant, 4 * i);
        x[1 + i] = load(key, 4 * i);
        x[6 + i] = load(input, 4 * i);
        x[11 + i] = load(key, 16 + 4 * i);
    }
    return x;
}

std::string derive_subkey(std::string_view key, std::string_view nonce) {
    Block x = make_block(key, nonce.substr(0, 16));
    mix(x);
    std::string out;
    for (const size_t i : {0, 5, 10, 15, 6, 7, 8, 9}) {
        store(out, x[i]);
    }
    return out;
}

std::string make_stream(std::string_view key, std::string_view nonce, size_t size) {
    std::string out;
    for (uint64_t counter = 0; out.size() < size; ++counter) {
        std::string input(nonce);
        store(input, static_cast<uint32_t>(counter));
        store(input, static_cast<uint32_t>(counter >> 32));
        const Block before = make_block(key, input);
        Block x = before;
        mix(x);
        for (size_t i = 0; i < x.size(); ++i) {
            store(out, x[i] + before[i]);
        }
    }
    return out;
}

bool poly1305(std::string_view key, std::string_view text, std::string& tag) {
    EVP_PKEY* mac_key = EVP_PKEY_new_raw_private_key(EVP_PKEY_POLY1305, nullptr, bytes(key), kKey);
    EVP_MD_CTX* ctx = EVP_MD_CTX_new();
    tag.assign(kTag, '\0');
    size_t size = tag.size();
    const bool good = mac_key != nullptr && ctx != nullptr &&
                      EVP_DigestSignInit(ctx, nullptr, nullptr, nullptr, mac_key) > 0 &&
                      EVP_DigestSignUpdate(ctx, text.data(), text.size()) > 0 &&
                      EVP_DigestSignFinal(ctx, bytes(tag), &size) > 0 && size == kTag;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(mac_key);
    return good;
}

std::optional<std::string> open_gcm(std::string_view key, std::string_view sealed) {
    if (sealed.size() < kGcmNonce + kTag) {
        return std::nullopt;
    }
    const size_t length = sealed.size() - kGcmNonce - kTag;
    std::string plain(length + 1, '\0');  // never an empty buffer for OpenSSL to write to
    std::string tag(sealed.substr(kGcmNonce + length));
    EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
    int size = 0;
    const bool good =
        ctx != nullptr &&
        EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), nullptr, bytes(key), bytes(sealed)) > 0 &&
        EVP_DecryptUpdate(ctx, bytes(plain), &size, bytes(sealed) + kGcmNonce,
                          static_cast<int>(length)) > 0 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) > 0 &&
        EVP_DecryptFinal_ex(ctx, bytes(plain) + size, &size) > 0;
    EVP_CIPHER_CTX_free(ctx);
    plain.resize(length);
    return good ? std::optional(std::move(plain)) : std::nullopt;
}

// Either alphabet, padded or not; nothing for what is no base64.
std::optional<std::string> decode(std::string_view text) {
    std::string out;
    uint32_t bits = 0;
    int count = 0;
    while (!text.empty() && text.back() == '=') {
        text.remove_suffix(1);
    }
    for (const char c : text) {
        int value = -1;
        if (c >= 'A' && c <= 'Z') {
            value = c - 'A';
        } else if (c >= 'a' && c <= 'z') {
            value = c - 'a' + 26;
        } else if (c >= '0' && c <= '9') {
            value = c - '0' + 52;
        } else if (c == '-' || c == '+') {
            value = 62;
        } else if (c == '_' || c == '/') {
            value = 63;
        } else {
            return std::nullopt;
        }
        bits = bits << 6 | static_cast<uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 0xFFU);
        }
    }
    return count < 6 ? std::optional(std::move(out)) : std::nullopt;
}

std::string sha256(std::string_view text) {
    std::string out(kKey, '\0');
    unsigned size = 0;
    const bool good =
        EVP_Digest(text.data(), text.size(), bytes(out), &size, EVP_sha256(), nullptr) > 0;
    return good ? out : std::string();
}

}  // namespace

std::optional<std::string> open_secretbox(std::string_view key, std::string_view sealed) {
    if (key.size() != kKey || sealed.size() < kBoxNonce + kTag) {
        return std::nullopt;
    }
    const std::string_view nonce = sealed.substr(0, kBoxNonce);
    const std::string_view tag = sealed.substr(kBoxNonce, kTag);
    const std::string_view text = sealed.substr(kBoxNonce + kTag);
    const std::string subkey = derive_subkey(key, nonce);
    const std::string stream = make_stream(subkey, nonce.substr(16), kKey + text.size());
    std::string expected;
    if (!poly1305(std::string_view(stream).substr(0, kKey), text, expected) ||
        CRYPTO_memcmp(expected.data(), tag.data(), kTag) != 0) {
        return std::nullopt;
    }
    std::string plain(text);
    for (size_t i = 0; i < plain.size(); ++i) {
        plain[i] = static_cast<char>(plain[i] ^ stream[kKey + i]);
    }
    return plain;
}

LitellmSeal::LitellmSeal(const std::vector<Secret>& salts) {
    for (const Secret& salt : salts) {
        if (!salt.empty()) {
            keys_.emplace_back(sha256(salt.reveal()));
        }
    }
}

std::optional<Secret> LitellmSeal::open(std::string_view stored) const {
    const bool gcm = stored.starts_with(kGcmPrefix);
    const auto sealed = decode(gcm ? stored.substr(kGcmPrefix.size()) : stored);
    if (!sealed || sealed->empty()) {
        return std::nullopt;
    }
    for (const Secret& key : keys_) {
        auto plain = gcm ? open_gcm(key.reveal(), *sealed) : open_secretbox(key.reveal(), *sealed);
        if (plain) {
            return Secret(std::move(*plain));
        }
    }
    return std::nullopt;
}

// Short or readable texts are names and addresses: those have dots, slashes with letters, spaces.
bool LitellmSeal::looks_sealed(std::string_view stored) {
    if (stored.starts_with(kGcmPrefix)) {
        return true;
    }
    const auto sealed = decode(stored);
    return sealed && sealed->size() >= kBoxNonce + kTag;
}

}  // namespace belay
