#include "governance/keys.h"

#include <algorithm>
#include <array>

#include "base/ids.h"

namespace belay::governance {
namespace {

constexpr std::string_view kPrefix = "sk-";
constexpr size_t kRandomCharacters = 32;  // six bits each: 192 bits
constexpr size_t kChosenMin = 16;
constexpr size_t kChosenMax = 256;
constexpr size_t kHashLength = 64;
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool is_hash(std::string_view text) {
    return text.size() == kHashLength && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace

Secret generate_key() {
    std::array<unsigned char, kRandomCharacters> random{};
    fill_random(random.data(), random.size());
    std::string key(kPrefix);
    key.reserve(kPrefix.size() + kRandomCharacters);
    for (const unsigned char byte : random) {
        key += kAlphabet[byte & 63];
    }
    return Secret(std::move(key));
}

Result<void> check_chosen_key(std::string_view key) {
    const auto refuse = [](std::string_view why) {
        return caller_error(Kind::invalid_request, "Invalid key: " + std::string(why), "key");
    };
    if (!key.starts_with(kPrefix)) {
        return refuse("a LiteLLM virtual key starts with 'sk-'.");
    }
    if (key.size() < kChosenMin || key.size() > kChosenMax) {
        return refuse("a chosen key has 16 to 256 characters, 'sk-' included.");
    }
    if (!std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; })) {
        return refuse("only printable ASCII characters without spaces may stand in a key.");
    }
    return {};
}

std::string key_hash(std::string_view key) { return sha256_hex(key); }

std::string key_name(std::string_view key) {
    constexpr size_t kShown = 4;
    // Of a key too short to be one nothing is shown.
    return "sk-..." +
           std::string(key.size() < kChosenMin ? "" : key.substr(key.size() - kShown, kShown));
}

bool is_key_hash(std::string_view text) { return is_hash(text); }

}  // namespace belay::governance
