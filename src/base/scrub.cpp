#include "base/scrub.h"

#include <algorithm>
#include <bitset>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "base/log.h"

namespace belay::log {
namespace {

constexpr size_t kSecretMin = 8;
constexpr size_t kSecretsMax = 512;  // the oldest is forgotten: tokens are replaced all day long
constexpr std::string_view kRedacted = "[redacted]";

uint64_t first_word(const char* p) {
    uint64_t word = 0;
    std::memcpy(&word, p, sizeof word);
    return word;
}

size_t bucket(uint64_t word) { return (word * 0x9E3779B97F4A7C15u) >> 52; }

// Live secret values, immutable once published. `heads` tells in one look, for nearly every
// position of a text, that no secret begins there.
struct Known {
    std::vector<std::string> values;  // oldest first
    std::bitset<4096> heads;

    // The length of the longest secret at `p`, or 0.
    [[nodiscard]] size_t match(const char* p, const char* end) const {
        const auto left = static_cast<size_t>(end - p);
        if (left < kSecretMin || !heads[bucket(first_word(p))]) {
            return 0;
        }
        size_t longest = 0;
        for (const std::string& value : values) {
            if (value.size() <= left && value.size() > longest &&
                std::memcmp(value.data(), p, value.size()) == 0) {
                longest = value.size();
            }
        }
        return longest;
    }
};

std::mutex g_known_mutex;
std::shared_ptr<const Known>& known_slot() {
    // Never destroyed: threads may log until the very end. Shared: a reader keeps its own version.
    static auto* const slot = new std::shared_ptr<const Known>(std::make_shared<Known>());
    return *slot;
}

std::shared_ptr<const Known> known() {
    const std::lock_guard lock(g_known_mutex);
    return known_slot();
}

bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}
bool is_key_char(char c) { return is_word(c) || c == '-'; }
bool is_jwt_char(char c) { return is_key_char(c) || c == '.'; }
bool is_token_char(char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '"' && c != '\'' && c != ',' && c != '\\' &&
           c != 0x7F;
}

struct Shape {
    std::string_view prefix;
    bool (*belongs)(char);  // the bytes that follow the prefix
    size_t min;             // how many of them make it a token
    bool keep_prefix;       // "Bearer " stays readable
};

// GitHub's token prefixes (GitHub docs, "token formats"), Copilot's API token, OpenAI-like keys,
// JWTs.
constexpr Shape kShapes[] = {
    {"gho_", is_word, 8, false},         {"ghu_", is_word, 8, false},
    {"ghs_", is_word, 8, false},         {"ghp_", is_word, 8, false},
    {"ghr_", is_word, 8, false},         {"github_pat_", is_word, 8, false},
    {"sk-", is_key_char, 17, false},     {"tid=", is_token_char, 4, false},
    {"eyJ", is_jwt_char, 24, false},     {"Bearer ", is_token_char, 1, true},
    {"bearer ", is_token_char, 1, true},
};
constexpr std::string_view kExampleKey = "sk-1234";

struct Found {
    size_t keep = 0;  // bytes to leave as they are
    size_t size = 0;  // bytes in all; 0 = no token here
};

Found match_shape(const char* p, const char* end) {
    const std::string_view rest(p, static_cast<size_t>(end - p));
    for (const Shape& shape : kShapes) {
        if (!rest.starts_with(shape.prefix)) {
            continue;
        }
        size_t size = shape.prefix.size();
        while (size < rest.size() && shape.belongs(rest[size])) {
            ++size;
        }
        if (size - shape.prefix.size() >= shape.min) {
            return {shape.keep_prefix ? shape.prefix.size() : 0, size};
        }
        const bool example = rest.substr(0, size) == kExampleKey;
        return {0, example ? size : 0};
    }
    return {};
}

bool may_begin_token(char c) {
    return c == 'g' || c == 's' || c == 't' || c == 'e' || c == 'B' || c == 'b';
}

void append_escaped(std::string& out, unsigned char c) {
    constexpr char kHex[] = "0123456789abcdef";
    switch (c) {
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            break;
    }
    out += "\\x";
    out += kHex[c >> 4];
    out += kHex[c & 15];
}

// The length of an ESC '[' digits-and-semicolons 'm' at `at`, or 0.
size_t colour_length(std::string_view text, size_t at) {
    if (text.substr(at, 2) != "\x1b[") {
        return 0;
    }
    const size_t last = text.find_first_not_of("0123456789;", at + 2);
    return last != std::string_view::npos && text[last] == 'm' ? last + 1 - at : 0;
}

}  // namespace

std::string redact(std::string_view text) {
    const std::shared_ptr<const Known> secrets = known();
    std::string out;
    out.reserve(text.size());
    const char* p = text.data();
    const char* const end = p + text.size();
    const char* done = p;  // everything before has been written
    while (p != end) {
        Found found{0, secrets->match(p, end)};
        const bool boundary = p == text.data() || !is_word(p[-1]);
        if (found.size == 0 && boundary && may_begin_token(*p)) {
            found = match_shape(p, end);
        }
        if (found.size == 0) {
            ++p;
            continue;
        }
        out.append(done, p + found.keep) += kRedacted;
        p += found.size;
        done = p;
    }
    return out.append(done, end);
}

std::string scrub(std::string_view text) {
    std::string out;
    for (const char c : redact(text)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) {
            append_escaped(out, byte);
        } else {
            out += c;
        }
    }
    return out;
}

std::string scrub_line(std::string_view text, Colours colours) {
    const std::string clean = redact(text);
    std::string out;
    for (size_t i = 0; i < clean.size(); ++i) {
        const auto byte = static_cast<unsigned char>(clean[i]);
        const size_t colour = colours == Colours::kept ? colour_length(clean, i) : 0;
        if (colour != 0) {
            out.append(clean, i, colour);
            i += colour - 1;
        } else if ((byte < 0x20 && byte != '\n') || byte == 0x7F) {
            append_escaped(out, byte);
        } else {
            out += clean[i];
        }
    }
    return out;
}

void remember_secret(std::string_view value) {
    if (value.size() < kSecretMin) {
        return;
    }
    const std::lock_guard lock(g_known_mutex);
    auto next = std::make_shared<Known>(*known_slot());
    std::erase(next->values, value);
    if (next->values.size() == kSecretsMax) {
        next->values.erase(next->values.begin());
    }
    next->values.emplace_back(value);
    next->heads.reset();
    for (const std::string& known_value : next->values) {
        next->heads.set(bucket(first_word(known_value.data())));
    }
    known_slot() = std::move(next);
}

}  // namespace belay::log
