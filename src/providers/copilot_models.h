#pragma once
// What is known of Copilot's models by their names alone, for when the live catalogue does not say:
// the spelling, the family's habits, which API serves them. Seen on the wire and in public clients,
// July to September 2026; the catalogue and what refusals teach come before it. Pure.
#include <array>
#include <string>
#include <string_view>

#include "accounts/catalogue.h"
#include "protocols/stream.h"

namespace belay::providers {

// Copilot's spelling: dots in Claude versions, no date, no context mark:
// "claude-sonnet-4-5-20250929", "claude-opus-4-6[1m]" -> "claude-sonnet-4.5", "claude-opus-4.6".
// Other names stay as they are.
[[nodiscard]] std::string copilot_model_id(std::string_view model);

struct Family {
    std::string_view prefix;
    bool sampling = true;            // takes temperature, top_p and penalties
    bool completion_tokens = false;  // wants max_completion_tokens, refuses max_tokens
    bool thinking_budget = false;    // thinking_budget on chat, thinking on messages
    bool claude = false;             // mends histories and marks caches Claude's way
    bool responses_first = false;    // by name, only /responses serves it
};
// The family of a model, the plainest one when none is known.
[[nodiscard]] const Family& family_of(std::string_view model);

// The APIs that may serve a chat request to this model, best first; `model` may be null.
struct ApiChoice {
    std::array<protocols::Api, 3> apis{};
    size_t count = 0;
};
[[nodiscard]] ApiChoice apis_for_chat(std::string_view id, const accounts::Model* model);

// Most tools one request may bring.
[[nodiscard]] uint32_t tool_limit(std::string_view model);

}  // namespace belay::providers
