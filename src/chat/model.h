#pragma once
// The neutral request: what every protocol can say, in one vocabulary. A protocol reads into it and
// renders from it; nothing here knows a wire format. Used only when the client and the upstream
// speak different protocols: the common way through never builds one.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire/json.h"

namespace belay::chat {

enum class Role : uint8_t { system, user, assistant, tool };

// Who sealed a thought: its proof means something to that API only and is returned to no other.
enum class Seal : uint8_t {
    none,
    messages,   // Anthropic: signature of a thinking block, or the data of a redacted one
    responses,  // OpenAI: encrypted_content of a reasoning item
    chat,       // Copilot chat: reasoning_opaque
};

struct Part {
    enum class What : uint8_t { text, refusal, image, document, tool_use, tool_result, thinking };
    What what = What::text;
    std::string text;           // text, refusal, thinking
    std::string id;             // tool_use, tool_result: the call's id
    std::string name;           // tool_use: the tool; document: the file's name
    std::string arguments;      // tool_use: JSON text, as the model wrote it
    std::string media_type;     // image, document; "" when unknown
    std::string data;           // image, document: base64
    std::string url;            // image, document: a remote address, when there is no data
    std::string detail;         // image: low, high, auto
    Seal seal = Seal::none;     // thinking
    std::string proof;          // thinking: signature, encrypted content, ...
    bool redacted = false;      // thinking: the proof is all there is
    std::vector<Part> content;  // tool_result: text, images, documents
    bool is_error = false;      // tool_result
    bool cache = false;         // a prompt-cache breakpoint ends here

    bool operator==(const Part&) const = default;
};

struct Message {
    Role role = Role::user;
    std::vector<Part> parts;
    std::string name;
    bool operator==(const Message&) const = default;
};

struct Tool {
    std::string name;
    std::string description;
    json::Value parameters;  // a JSON schema, or null
    std::optional<bool> strict;
    bool cache = false;
    bool operator==(const Tool&) const = default;
};

struct ToolChoice {
    enum class How : uint8_t { unset, automatic, none, required, named };
    How how = How::unset;
    std::string name;
    bool operator==(const ToolChoice&) const = default;
};

struct Format {
    enum class What : uint8_t { text, json_object, json_schema };
    What what = What::text;
    std::string name;
    std::string description;
    json::Value schema;
    std::optional<bool> strict;
    bool operator==(const Format&) const = default;
};

struct Thinking {
    enum class How : uint8_t { unset, off, budget, adaptive };
    How how = How::unset;
    int64_t budget = 0;
    bool operator==(const Thinking&) const = default;
};

struct Request {
    std::string model;
    std::vector<Message> messages;
    std::vector<Tool> tools;
    ToolChoice tool_choice;
    std::optional<bool> parallel_tool_calls;
    std::optional<int64_t> max_tokens;
    std::optional<json::Number> temperature, top_p;
    std::vector<std::string> stop;
    Format format;
    std::string effort;  // reasoning effort: minimal, low, medium, high, ...
    Thinking thinking;
    std::string verbosity;
    std::string user;
    std::string prompt_cache_key;
    bool stream = false;
    // What the client's protocol said and this vocabulary cannot.
    std::vector<std::string> warnings;
};

}  // namespace belay::chat
