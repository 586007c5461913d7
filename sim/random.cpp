#include "sim/random.h"

namespace belay::sim {

uint64_t Random::next() {
    // splitmix64: every seed gives a full-period, well-mixed sequence.
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

std::string Random::draw(size_t chars, std::string_view alphabet) {
    std::string out(chars, '0');
    for (char& c : out) {
        c = alphabet[next() % alphabet.size()];
    }
    return out;
}

std::string Random::hex(size_t chars) { return draw(chars, "0123456789abcdef"); }

std::string Random::alnum(size_t chars) {
    return draw(chars, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
}

std::string Random::base64(size_t chars) {
    return draw(chars, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

std::string Random::uuid() {
    return hex(8) + "-" + hex(4) + "-4" + hex(3) + "-a" + hex(3) + "-" + hex(12);
}

uint64_t keyed_hash(uint64_t key, std::string_view text) {
    uint64_t h = 0xcbf29ce484222325ull ^ (key * 0x9e3779b97f4a7c15ull);
    for (const char c : text) {
        h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    }
    return Random(h).next();
}

std::string hex64(uint64_t value) {
    std::string out(16, '0');
    for (size_t i = 0; i < 16; ++i) {
        out[15 - i] = "0123456789abcdef"[(value >> (4 * i)) & 15];
    }
    return out;
}

std::string seal(uint64_t key, std::string_view text) {
    return std::string(text) + "." + hex64(keyed_hash(key, text));
}

bool sealed_by(uint64_t key, std::string_view sealed) {
    const size_t dot = sealed.rfind('.');
    return dot != std::string_view::npos &&
           sealed.substr(dot + 1) == hex64(keyed_hash(key, sealed.substr(0, dot)));
}

}  // namespace belay::sim
