#include "base/seal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>

#include <array>

#include "base/ids.h"

namespace belay {
namespace {

constexpr std::string_view kPrefix = "sealed:v1:";
constexpr size_t kNonce = 12;
constexpr size_t kTag = 16;

const unsigned char* bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// base64 without line breaks. base knows no codecs of wire, and these texts are short.
std::string encode(std::string_view raw) {
    std::string out((raw.size() + 2) / 3 * 4 + 1, '\0');
    const int size = EVP_EncodeBlock(bytes(out), bytes(raw), static_cast<int>(raw.size()));
    out.resize(static_cast<size_t>(size));
    return out;
}

std::string decode(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0) {
        return {};
    }
    std::string out(text.size() / 4 * 3, '\0');
    if (EVP_DecodeBlock(bytes(out), bytes(text), static_cast<int>(text.size())) < 0) {
        return {};
    }
    out.resize(out.size() - (text.back() == '=') - (text[text.size() - 2] == '='));
    // One spelling for each value: unused bits of the last character count as a change.
    return encode(out) == text ? out : std::string();
}

Secret derive(const Secret& salt) {
    std::string key(32, '\0');
    EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr);
    constexpr std::string_view kInfo = "belay entity secrets v1";
    size_t size = key.size();
    const std::string& from = salt.reveal();
    const bool good =
        ctx != nullptr && EVP_PKEY_derive_init(ctx) > 0 &&
        EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) > 0 &&
        EVP_PKEY_CTX_set1_hkdf_key(ctx, bytes(std::string_view(from)),
                                   static_cast<int>(from.size())) > 0 &&
        EVP_PKEY_CTX_add1_hkdf_info(ctx, bytes(kInfo), static_cast<int>(kInfo.size())) > 0 &&
        EVP_PKEY_derive(ctx, bytes(key), &size) > 0;
    EVP_PKEY_CTX_free(ctx);
    return good ? Secret(std::move(key)) : Secret();
}

struct Cipher {
    EVP_CIPHER_CTX* ctx = EVP_CIPHER_CTX_new();
    Cipher() = default;
    Cipher(const Cipher&) = delete;
    Cipher& operator=(const Cipher&) = delete;
    ~Cipher() { EVP_CIPHER_CTX_free(ctx); }
};

Error broken() {
    return gateway_error(Kind::internal,
                         "a stored secret cannot be opened: it was sealed with another key. Set "
                         "the former LITELLM_SALT_KEY, or store the secret again");
}

class Aead final : public Seal {
  public:
    explicit Aead(std::vector<Secret> keys) : keys_(std::move(keys)) {}

    Result<std::string> seal(std::string_view plain, std::string_view place) const override {
        std::string raw(kNonce + plain.size() + kTag, '\0');
        fill_random(raw.data(), kNonce);
        Cipher cipher;
        unsigned char* to = bytes(raw) + kNonce;
        int size = 0;
        const bool good =
            EVP_EncryptInit_ex(cipher.ctx, EVP_aes_256_gcm(), nullptr,
                               bytes(std::string_view(keys_[0].reveal())), bytes(raw)) > 0 &&
            EVP_EncryptUpdate(cipher.ctx, nullptr, &size, bytes(place),
                              static_cast<int>(place.size())) > 0 &&
            EVP_EncryptUpdate(cipher.ctx, to, &size, bytes(plain), static_cast<int>(plain.size())) >
                0 &&
            EVP_EncryptFinal_ex(cipher.ctx, to + size, &size) > 0 &&
            EVP_CIPHER_CTX_ctrl(cipher.ctx, EVP_CTRL_GCM_GET_TAG, kTag, to + plain.size()) > 0;
        if (!good) {
            return gateway_error(Kind::internal, "a secret cannot be sealed");
        }
        return std::string(kPrefix) + encode(raw);
    }

    Result<Secret> open(std::string_view sealed, std::string_view place) const override {
        if (!is_sealed(sealed)) {
            return broken();
        }
        const std::string raw = decode(sealed.substr(kPrefix.size()));
        if (raw.size() < kNonce + kTag) {
            return broken();
        }
        for (const Secret& key : keys_) {
            std::string plain;
            if (open_with(key, raw, place, plain)) {
                return Secret(std::move(plain));
            }
        }
        return broken();
    }

  private:
    static bool open_with(const Secret& key, const std::string& raw, std::string_view place,
                          std::string& plain) {
        const size_t length = raw.size() - kNonce - kTag;
        plain.assign(length + 1, '\0');  // never an empty buffer for OpenSSL to write to
        std::string tag = raw.substr(kNonce + length);
        const std::string_view text(raw);
        Cipher cipher;
        int size = 0;
        const bool good =
            EVP_DecryptInit_ex(cipher.ctx, EVP_aes_256_gcm(), nullptr,
                               bytes(std::string_view(key.reveal())), bytes(text)) > 0 &&
            EVP_DecryptUpdate(cipher.ctx, nullptr, &size, bytes(place),
                              static_cast<int>(place.size())) > 0 &&
            EVP_DecryptUpdate(cipher.ctx, bytes(plain), &size, bytes(text) + kNonce,
                              static_cast<int>(length)) > 0 &&
            EVP_CIPHER_CTX_ctrl(cipher.ctx, EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) > 0 &&
            EVP_DecryptFinal_ex(cipher.ctx, bytes(plain) + size, &size) > 0;
        plain.resize(length);
        return good;
    }

    std::vector<Secret> keys_;
};

}  // namespace

std::string keyed_hash_hex(const Secret& key, std::string_view data) {
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    ::HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.reveal().size()),
           reinterpret_cast<const unsigned char*>(data.data()), data.size(), mac, &size);
    constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    out.reserve(size_t{size} * 2);
    for (unsigned i = 0; i < size; ++i) {
        out += kDigits[mac[i] >> 4U];
        out += kDigits[mac[i] & 15U];
    }
    return out;
}

bool is_sealed(std::string_view text) { return text.substr(0, kPrefix.size()) == kPrefix; }

Result<std::unique_ptr<Seal>> make_seal(std::vector<Secret> salts) {
    std::vector<Secret> keys;
    for (const Secret& salt : salts) {
        if (salt.empty()) {
            continue;
        }
        keys.push_back(derive(salt));
        if (keys.back().empty()) {
            return gateway_error(Kind::internal, "no key can be derived for stored secrets");
        }
    }
    if (keys.empty()) {
        return gateway_error(Kind::invalid_request,
                             "stored secrets need a key outside the database: set "
                             "LITELLM_SALT_KEY or a master key");
    }
    return std::unique_ptr<Seal>(std::make_unique<Aead>(std::move(keys)));
}

}  // namespace belay
