#pragma once
// The edits that turn a client's chat completions (or embeddings) body into the one an upstream
// gets, spliced into the raw text: what is not named here goes through untouched. The rules are
// data: the provider fills a ChatEdits from configuration, catalogue and its own list of quirks.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "protocols/chat_request.h"

namespace belay::protocols {

// What the model at the other end can do, as far as translation depends on it.
struct ModelTraits {
    std::vector<std::string> efforts;  // accepted reasoning_effort values; empty: none known
    bool adaptive_thinking =
        false;  // messages: thinking {"type":"adaptive"} + output_config.effort
    int64_t thinking_budget_min = 1024;
    int64_t thinking_budget_max = 0;  // 0: no budgeted thinking
    int64_t max_output_tokens = 0;    // 0: unknown
    bool sampling = true;             // temperature, top_p, penalties are accepted
    bool structured_output = true;    // messages: output_config.format is accepted
    bool operator==(const ModelTraits&) const = default;
};

struct ChatEdits {
    using Raw = std::pair<std::string, std::string>;  // member name, raw JSON value

    std::string model;              // the upstream's name of the model; empty: leave
    std::vector<std::string> drop;  // paths: "top_p", "a.b", "tools[*].function.strict"
    std::vector<std::pair<std::string, std::string>>
        rename;                  // top level: from, to (dropped if `to` is there)
    std::vector<Raw> defaults;   // added where absent
    std::vector<Raw> overrides;  // set, whatever the client sent (also "messages", never "model")
    bool force_stream_usage = false;      // a stream gets stream_options.include_usage: true
    bool flatten_assistant_text = false;  // assistant content [text parts] becomes one string
    bool drop_empty_content = false;      // empty content of assistant and user is mended
    bool copilot_cache_control =
        false;  // message-level cache_control becomes copilot_cache_control
    bool copilot_reasoning =
        false;           // reasoning_content becomes reasoning_text, only beside its opaque
    ModelTraits traits;  // used when translating to another API
};

// Fails only when an override makes no sense ("messages" that is no array).
[[nodiscard]] Result<std::string> edit_chat_request(std::string_view body, const ChatFacts& facts,
                                                    const ChatEdits& edits);
// Embeddings: a bare string becomes an array, encoding_format goes (floats are encoded here).
[[nodiscard]] Result<std::string> edit_embeddings_request(std::string_view body,
                                                          const ChatFacts& facts,
                                                          const ChatEdits& edits);

}  // namespace belay::protocols
