#pragma once
// Small readers and writers of raw JSON text that the chat mends share. Inline: every frame of
// every stream passes through them.
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace belay::protocols::raw {

// `key == name`, compared in place.
template <size_t N>
inline bool is(std::string_view key, const char (&name)[N]) {
    return key.size() == N - 1 && std::memcmp(key.data(), name, N - 1) == 0;
}

// Members that only Copilot and Azure send and no OpenAI client knows.
inline bool is_noise(std::string_view key) {
    if (key.size() < 6 || (key[0] != 'c' && key[0] != 'p')) {
        return false;
    }
    return key.starts_with("copilot_") || key.starts_with("content_filter_") ||
           is(key, "prompt_filter_results") || is(key, "cot_id") || is(key, "cot_summary");
}

inline void write_int(std::string& out, int64_t value) {
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}

// Appends `"key":raw` to the members in `out`, with a comma when there are some.
inline void append(std::string& out, std::string_view key, std::string_view value) {
    if (!out.empty() && out.back() != '{') {
        out += ',';
    }
    out += '"';
    out += key;
    out += "\":";
    out += value;
}

// The same for a member that is written out already.
inline void append_whole(std::string& out, std::string_view member) {
    if (!out.empty() && out.back() != '{') {
        out += ',';
    }
    out += member;
}

}  // namespace belay::protocols::raw
