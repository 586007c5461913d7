#include "redis/script.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace belay::redis {

Script::Script(std::string text) : text_(std::move(text)) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(text_.data(), text_.size(), digest, &size, EVP_sha1(), nullptr) != 1) {
        std::abort();  // a library without SHA-1 cannot speak to this server
    }
    static constexpr char kHex[] = "0123456789abcdef";
    for (unsigned i = 0; i < size; ++i) {
        sha1_ += kHex[digest[i] >> 4];
        sha1_ += kHex[digest[i] & 15];
    }
}

}  // namespace belay::redis
