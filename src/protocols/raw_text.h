#pragma once
// Small readers and writers of raw JSON text that the chat mends share. Inline: every frame of
// every stream passes through them.
#include <string>
#include <string_view>

#include "wire/scan.h"

namespace belay::protocols::raw {

// Members that only Copilot and Azure send and no OpenAI client knows.
inline bool is_noise(std::string_view key) {
    return key.starts_with("copilot_") || key.starts_with("content_filter_") ||
           key == "prompt_filter_results" || key == "cot_id" || key == "cot_summary";
}

inline bool is_text(std::string_view text, json::Span value) {
    return !value.empty() && json::type_at(text, value) == json::Type::string;
}

// The still escaped inside of a string value: "" for anything else.
inline std::string_view inside(std::string_view text, json::Span value) {
    if (!is_text(text, value)) {
        return {};
    }
    std::string_view quoted = value.of(text);
    return quoted.substr(1, quoted.size() - 2);
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
