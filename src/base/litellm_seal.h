#pragma once
// Values that LiteLLM has encrypted in its database (LiteLLM docs, "Set LITELLM_SALT_KEY"): opening
// them, for an import. The key is the SHA-256 of the salt key, or of the master key where none was
// set; what is encrypted stands in two forms:
//
//   base64(nonce[24] tag[16] ciphertext)               NaCl's secretbox: XSalsa20-Poly1305
//   "v2:gcm:" base64(nonce[12] ciphertext tag[16])     AES-256-GCM
//
// base64 in its URL-safe alphabet or the plain one. Nothing is ever encrypted here.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"

namespace belay {

class LitellmSeal {
  public:
    // In the order in which they are tried; empty ones are left out.
    explicit LitellmSeal(const std::vector<Secret>& salts);
    // Nothing when no key opens it, or when it is no such text.
    [[nodiscard]] std::optional<Secret> open(std::string_view stored) const;
    // Whether it looks like an encrypted text: what does not open is then a wrong key.
    [[nodiscard]] static bool looks_sealed(std::string_view stored);

  private:
    std::vector<Secret> keys_;  // 32 bytes each
};

// NaCl's crypto_secretbox_open on nonce[24] tag[16] ciphertext (NaCl documentation, "Secret-key
// authenticated encryption"); `key` has 32 bytes.
[[nodiscard]] std::optional<std::string> open_secretbox(std::string_view key,
                                                        std::string_view sealed);

}  // namespace belay
