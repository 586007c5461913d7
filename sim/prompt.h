#pragma once
// What a model call asks for, whatever its protocol, and the answer the simulated model gives. The
// answer depends only on the ask: a friendly sentence that echoes the prompt, the text it
// was told to say, JSON after a schema, or tool calls when tools are offered and wanted.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/account.h"
#include "sim/catalogue.h"
#include "wire/json.h"

namespace belay::sim {

struct Tool {
    std::string name;
    json::Value schema;
    bool freeform = false;  // takes text, not JSON arguments
};

enum class ToolMode : uint8_t { none, automatic, required, named };

struct Ask {
    const Model* model = nullptr;
    bool stream = false;
    std::string text;         // of the last user message
    std::string tool_result;  // of the last message, when it is one
    bool after_tool = false;
    std::vector<Tool> tools;
    ToolMode mode = ToolMode::automatic;
    std::string tool_name;  // for `named`
    bool parallel = true;
    const json::Value* schema = nullptr;  // structured output
    bool json_object = false;
    std::vector<std::string> stops;
    bool think = false;
    int images = 0;
    int64_t output_max = 0;  // 0 = not limited by the caller
    // for counting
    int64_t prompt_tokens = 0;
    struct Step {
        uint64_t hash = 0;   // of everything through this message
        int64_t tokens = 0;  // of the same
    };
    std::vector<Step> steps;  // one per message: what a prompt cache can match
    int cache_marks = 0;      // explicit cache breakpoints
    Initiator initiator = Initiator::user;
};

struct ToolCall {
    std::string name;
    std::string arguments;  // JSON text, or the bare text of a freeform tool
    bool freeform = false;
};

enum class Finish : uint8_t { stop, length, tool_calls, content_filter };

struct Answer {
    std::string reasoning;
    std::string text;
    std::vector<ToolCall> calls;
    Finish finish = Finish::stop;
    std::string stopped_by;  // the stop sequence that ended the text
    Usage usage;             // output and reasoning only; the prompt side belongs to the world
};

// About bytes / 4, as everybody estimates.
[[nodiscard]] int64_t count_tokens(std::string_view text);

[[nodiscard]] Answer plan_answer(const Ask& ask);

// The text in pieces of a few words, never inside a character.
[[nodiscard]] std::vector<std::string> split_words(std::string_view text, size_t words = 3);
// The text in about `pieces` equal pieces (tool arguments).
[[nodiscard]] std::vector<std::string> split_even(std::string_view text, size_t pieces);

// The smallest plausible value of a JSON schema; strings are taken from `text` where they fit.
[[nodiscard]] json::Value fill_schema(const json::Value& schema, std::string_view text);

}  // namespace belay::sim
