#include "routing/bad_parameter.h"

#include <algorithm>
#include <array>
#include <vector>

namespace belay::routing {
namespace {

using Found = std::optional<BadParameter>;

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

bool is_path_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '[' || c == ']' || c == '*' || c == '=' || c == '$';
}

bool is_path(std::string_view text) {
    return !text.empty() && text.size() <= 200 && text.front() != '.' && text.back() != '.' &&
           std::all_of(text.begin(), text.end(), is_path_byte);
}

// What stands in quotes of any kind at the front of `text` ('x', "x", `x`), or the bare word there.
std::string_view quoted(std::string_view text) {
    text = trim(text);
    if (text.empty()) {
        return {};
    }
    if (const char open = text[0]; open == '\'' || open == '"' || open == '`') {
        const size_t close = text.find(open, 1);
        return close == std::string_view::npos ? std::string_view() : text.substr(1, close - 1);
    }
    size_t end = 0;
    while (end < text.size() && is_path_byte(text[end])) {
        ++end;
    }
    text = text.substr(0, end);
    while (!text.empty() && text.back() == '.') {
        text.remove_suffix(1);
    }
    return text;
}

// The path that ends right before `end`: the last run of path bytes or what is in quotes there.
std::string_view word_before(std::string_view text, size_t end) {
    text = trim(text.substr(0, end));
    if (!text.empty() && (text.back() == '\'' || text.back() == '"' || text.back() == '`')) {
        const char quote = text.back();
        text.remove_suffix(1);
        const size_t open = text.rfind(quote);
        return open == std::string_view::npos ? std::string_view() : text.substr(open + 1);
    }
    size_t begin = text.size();
    while (begin > 0 && is_path_byte(text[begin - 1])) {
        --begin;
    }
    return text.substr(begin);
}

// Validators name the branch of a tagged union as if it were a member
// ("cache_control.ephemeral.scope", "thinking.adaptive.budget_tokens",
// "messages.0.content.1.tool_use.x"); the request has no such member.
bool is_union_tag(std::string_view before, std::string_view segment) {
    static constexpr std::array<std::string_view, 16> kItemTags = {"text",
                                                                   "image",
                                                                   "tool_use",
                                                                   "tool_result",
                                                                   "thinking",
                                                                   "redacted_thinking",
                                                                   "document",
                                                                   "custom",
                                                                   "function",
                                                                   "message",
                                                                   "input_text",
                                                                   "input_image",
                                                                   "server_tool_use",
                                                                   "search_result",
                                                                   "function_call",
                                                                   "reasoning"};
    if (before == "cache_control") {
        return segment == "ephemeral";
    }
    if (before == "thinking") {
        return segment == "adaptive" || segment == "enabled" || segment == "disabled";
    }
    if (before == "source") {
        return segment == "base64" || segment == "url" || segment == "file";
    }
    return !before.empty() && before.back() == ']' &&
           std::find(kItemTags.begin(), kItemTags.end(), segment) != kItemTags.end();
}

std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> out;
    while (!path.empty()) {
        const size_t dot = path.find('.');
        out.push_back(path.substr(0, dot));
        path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
    }
    return out;
}

// "system.1.cache_control.ephemeral.scope" -> "system[1].cache_control.scope".
std::string normal_path(std::string_view path) {
    std::string out;
    std::string before;
    const std::vector<std::string_view> segments = split_path(path);
    for (size_t i = 0; i < segments.size(); ++i) {
        const std::string_view segment = segments[i];
        const bool digits = !segment.empty() && segment.size() < 7 &&
                            std::all_of(segment.begin(), segment.end(),
                                        [](char c) { return c >= '0' && c <= '9'; });
        if (digits && !out.empty()) {
            out += "[" + std::string(segment) + "]";
            before = out;
        } else if (i + 1 == segments.size() || !is_union_tag(before, segment)) {
            out += (out.empty() ? "" : ".") + std::string(segment);
            before = segment;
        }
    }
    // A mode of `thinking` cannot be left out of it; the whole member can.
    return out.rfind("thinking.type", 0) == 0 ? "thinking" : out;
}

Found make(std::string_view path, std::string_view rename = {}) {
    if (!is_path(path)) {
        return std::nullopt;
    }
    return BadParameter{normal_path(path), std::string(rename)};
}

// "Unsupported parameter: 'max_tokens' is not supported with this model. Use
// 'max_completion_tokens' instead."
std::string_view replacement_in(std::string_view message) {
    const std::string folded = lower(message);
    const size_t use = folded.find("use '");
    if (use == std::string::npos || !has(std::string_view(folded).substr(use), "instead")) {
        return {};
    }
    const std::string_view name = quoted(message.substr(use + 4));
    return is_path(name) ? name : std::string_view();
}

// Wordings whose member follows a fixed lead.
Found after_lead(std::string_view message, std::string_view folded) {
    static constexpr std::array<std::string_view, 10> kLeads = {
        "unsupported parameter: ",
        "unknown parameter: ",
        "unsupported parameter ",
        "unrecognized request argument supplied: ",
        "unrecognized request arguments supplied: ",
        "unsupported value: ",
        "unrecognized parameter: ",
        "unknown field: ",
        "unrecognized field: ",
        "unexpected keyword argument "};
    for (const std::string_view lead : kLeads) {
        if (const size_t at = folded.find(lead); at != std::string_view::npos) {
            return make(quoted(message.substr(at + lead.size())), replacement_in(message));
        }
    }
    return std::nullopt;
}

// Wordings whose member stands before a fixed tail.
Found before_tail(std::string_view message, std::string_view folded) {
    static constexpr std::array<std::string_view, 8> kTails = {
        ": extra inputs are not permitted",  ": extra fields not permitted",
        " is not supported with this model", " is not supported for this model",
        " is not supported by this model",   " is unsupported",
        " is deprecated for this model",     " is not a supported parameter"};
    for (const std::string_view tail : kTails) {
        if (const size_t at = folded.find(tail); at != std::string_view::npos) {
            return make(word_before(message, at), replacement_in(message));
        }
    }
    for (const std::string_view tail : {"` is not supported", "' is not supported"}) {
        if (const size_t at = folded.find(tail); at != std::string_view::npos) {
            return make(word_before(message, at + 1), replacement_in(message));
        }
    }
    return std::nullopt;
}

// Google: Unknown name "foo" at 'generation_config': Cannot find field.
Found unknown_name(std::string_view message, std::string_view folded) {
    const size_t at = folded.find("unknown name ");
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string name(quoted(message.substr(at + 13)));
    const size_t where = folded.find(" at '", at);
    if (where == std::string_view::npos) {
        return make(name);
    }
    const std::string owner(quoted(message.substr(where + 4)));
    return make(owner.empty() ? name : owner + "." + name);
}

bool speaks(std::string_view upstream_path, std::string_view protocol) {
    return has(upstream_path, protocol);
}

// Refusals that name a feature rather than a member.
Found by_feature(const ErrorBody& body, std::string_view folded, std::string_view path) {
    const bool responses = speaks(path, "/responses");
    const bool messages = speaks(path, "/messages");
    if (body.code == "invalid_reasoning_effort") {
        return make(responses  ? "reasoning.effort"
                    : messages ? "output_config.effort"
                               : "reasoning_effort");
    }
    if (has(folded, "failed_precondition") || body.code == "FAILED_PRECONDITION") {
        return make(responses  ? "text.format"
                    : messages ? "output_config.format"
                               : "response_format");
    }
    if (has(folded, "unsupported beta header")) {
        return make("anthropic-beta");
    }
    if (has(folded, "invalid signature in thinking block") ||
        has(folded, "invalid `signature` in `thinking` block")) {
        return make("messages[*].content[type=thinking]");
    }
    if (has(folded, "`temperature` may only be set to 1") ||
        has(folded, "temperature may only be set to 1")) {
        return make("temperature");
    }
    if (has(folded, "`temperature` and `top_p` cannot both be")) {
        return make("top_p");
    }
    return std::nullopt;
}

// Hosted tools ("image_generation", "web_search") stand in `tools` by their type.
Found hosted_tool(const ErrorBody& body, std::string_view message) {
    if (body.param != "tools" && body.param.rfind("tools[", 0) != 0) {
        return std::nullopt;
    }
    if (body.param != "tools") {
        return make(body.param);
    }
    const size_t quote = message.find_first_of("'\"`");
    const std::string_view type =
        quote == std::string_view::npos ? std::string_view() : quoted(message.substr(quote));
    if (type.empty() || type == "tools" || !is_path(type) || has(type, "[")) {
        return make("tools");
    }
    return make("tools[type=" + std::string(type) + "]");
}

bool code_is_about_a_member(std::string_view code) {
    static constexpr std::array<std::string_view, 6> kCodes = {
        "unsupported_parameter", "unknown_parameter",      "unsupported_value",
        "extra_forbidden",       "unrecognized_parameter", "unexpected_parameter"};
    return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

}  // namespace

std::optional<BadParameter> find_bad_parameter(const ErrorBody& body,
                                               std::string_view upstream_path) {
    // A refusal is short; what is longer quotes the request back.
    const std::string_view message = std::string_view(body.message).substr(0, 2048);
    const std::string folded = lower(message);
    if (body.code == "unsupported_value") {
        if (Found found = hosted_tool(body, message)) {
            return found;
        }
    }
    if (code_is_about_a_member(body.code) && is_path(body.param)) {
        return make(body.param, replacement_in(message));
    }
    for (Found found : {by_feature(body, folded, upstream_path), after_lead(message, folded),
                        unknown_name(message, folded), before_tail(message, folded)}) {
        if (found) {
            return found;
        }
    }
    if (has(folded, "does not support tools")) {
        return make("tools");
    }
    return std::nullopt;
}

bool is_essential_member(std::string_view path) {
    static constexpr std::array<std::string_view, 10> kEssential = {
        "model",        "messages", "input",     "prompt", "system",
        "instructions", "tools",    "functions", "stream", "contents"};
    return std::find(kEssential.begin(), kEssential.end(), path) != kEssential.end();
}

}  // namespace belay::routing
