#pragma once
// Secrets at rest: upstream keys and credential values inside entity documents. Authenticated
// encryption under a key that is kept outside the database; `place` names where the value stands
// ("credential/openai/api_key") and is bound to it, so that a value copied elsewhere does not open.
//
//   sealed  = "sealed:v1:" base64(nonce[12] ciphertext tag[16])     AES-256-GCM
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace belay {

// Thread-safe.
class Seal {
  public:
    virtual ~Seal() = default;
    [[nodiscard]] virtual Result<std::string> seal(std::string_view plain,
                                                   std::string_view place) const = 0;
    // Fails with Kind::internal when no key fits or the text was changed; never says which bytes.
    [[nodiscard]] virtual Result<Secret> open(std::string_view sealed,
                                              std::string_view place) const = 0;
};

// Lower-case hexadecimal HMAC-SHA-256.
[[nodiscard]] std::string keyed_hash_hex(const Secret& key, std::string_view data);

[[nodiscard]] bool is_sealed(std::string_view text);

// The first of `salts` seals, all of them open: a rotation keeps the former one for a while. A salt
// is any secret text (LITELLM_SALT_KEY, the master key, the contents of a key file); the key is
// derived from it. Fails when there is none.
[[nodiscard]] Result<std::unique_ptr<Seal>> make_seal(std::vector<Secret> salts);

}  // namespace belay
