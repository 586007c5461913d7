#pragma once
// Usage objects of the upstream protocols to chat::Usage and back to LiteLLM's shape of it. Chat
// usage is read from raw spans (every reply passes here); the others come from documents.
//
// Classes in chat::Usage do not overlap; OpenAI's prompt_tokens includes cached tokens, Anthropic's
// input_tokens does not.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chat/usage.h"
#include "protocols/tape.h"
#include "wire/json.h"

namespace belay::protocols {

// A chat completions `usage` object and the `copilot_usage` beside it (either may be nullptr).
// Nothing when neither says anything: all-zero objects are placeholders on some upstreams.
[[nodiscard]] std::optional<chat::Usage> read_chat_usage(const Tape& tape, const Node* usage,
                                                         const Node* copilot_usage);
// Whether the upstream's own object says all of `usage` in the shape and words that clients get:
// then it may go along as it is.
struct ChatUsage {
    std::optional<chat::Usage> usage;
    bool verbatim = false;
};
[[nodiscard]] ChatUsage read_chat_usage_shape(const Tape& tape, const Node* usage,
                                              const Node* copilot_usage);
// The numbers of the two reports whose meaning is known, and where they stand.
enum class Count : uint8_t {
    prompt,
    output,
    total,
    cached,
    reasoning,
    cost,
    billed_input,
    billed_cache_read,
    billed_cache_write,
    billed_output,
};
inline constexpr size_t kCounts = 10;
struct Counts {
    int64_t of[kCounts] = {};
    unsigned said = 0;       // bit per Count
    bool usual_only = true;  // no member that is known here beside these
    [[nodiscard]] bool has(Count count) const {
        return (said >> static_cast<unsigned>(count)) & 1U;
    }
    void set(Count count, int64_t value) {
        of[static_cast<size_t>(count)] = value;
        said |= 1U << static_cast<unsigned>(count);
    }
};
struct CountAt {
    Count count;
    json::Span value;
};
// False when the reports hold something whose meaning is not in `counts` alone.
[[nodiscard]] bool find_counts(const Tape& tape, const Node* usage, const Node* copilot_usage,
                               Counts& counts, std::vector<CountAt>& places);
[[nodiscard]] ChatUsage usage_of(const Counts& counts);

// The members of a usage object that are not known here, each with a comma before it.
struct UnknownUsage {
    std::string prompt_details, output_details, members;
    bool operator==(const UnknownUsage&) const = default;
};
[[nodiscard]] UnknownUsage unknown_usage(const Tape& tape, const Node* usage);
void write_chat_usage(std::string& out, const chat::Usage& usage, const UnknownUsage& unknown);

// Appends LiteLLM's chat usage object. `raw` is the upstream's own object (may be nullptr): its
// members that are not known here survive.
void write_chat_usage(std::string& out, const chat::Usage& usage, const Tape& tape,
                      const Node* raw);
// The same with the upstream's object as text; "" for none.
void write_chat_usage(std::string& out, const chat::Usage& usage, std::string_view raw = {});

// Responses and Messages usage objects. `copilot_usage` may be null.
[[nodiscard]] std::optional<chat::Usage> read_responses_usage(const json::Value& usage,
                                                              const json::Value& copilot_usage);
[[nodiscard]] std::optional<chat::Usage> read_messages_usage(const json::Value& usage,
                                                             const json::Value& copilot_usage);

}  // namespace belay::protocols
