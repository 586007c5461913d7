#pragma once
// Copilot's model API: what every model call passes through whatever its protocol, and the protocol
// surfaces. Private to the simulator.
#include <optional>

#include "sim/state.h"

namespace belay::sim {

// One protocol: reads and checks a request into an Ask (a Reply means refusal), and shows an
// Answer.
struct Protocol {
    std::string_view endpoint;  // as in supported_endpoints
    std::optional<Reply> (*read)(Call& call, Ask& ask);
    Reply (*render)(Call& call, const Ask& ask, const Answer& answer);
    // An error inside the stream, after which the stream ends.
    std::string (*stream_error)(const Fault& fault);
    // The refusal of a prompt that exceeds the model's limit.
    Reply (*too_long)(const Call& call, int64_t tokens, int64_t limit);
};

[[nodiscard]] const Protocol& chat_protocol();
[[nodiscard]] const Protocol& responses_protocol();
[[nodiscard]] const Protocol& messages_protocol();

[[nodiscard]] Reply serve_model_call(Call& call, const Protocol& protocol);
[[nodiscard]] Reply serve_embeddings(Call& call);
[[nodiscard]] Reply serve_count_tokens(Call& call);
[[nodiscard]] Reply serve_models(Call& call);
[[nodiscard]] Reply serve_policy(Call& call, std::string_view model);
[[nodiscard]] Reply serve_model_session(Call& call);
[[nodiscard]] Reply serve_intent(Call& call);
[[nodiscard]] Reply serve_auto(Call& call);

// May this account (through this client and integration) use the model, apart from its policy?
[[nodiscard]] bool offers(const Call& call, const Model& model);
[[nodiscard]] Policy policy_for(const Account& account, const Model& model);
// Finds call.model by call.model_id and checks plan, policy and endpoint.
[[nodiscard]] std::optional<Reply> check_model(Call& call, std::string_view endpoint);
[[nodiscard]] std::optional<Reply> check_quota(Call& call);
// Checks Copilot-Session-Token where there is one or must be one.
[[nodiscard]] std::optional<Reply> check_session(const Call& call);

// Shared readers.
[[nodiscard]] Initiator initiator_of(const Call& call);
[[nodiscard]] std::optional<Reply> check_tool(const Call& call, std::string_view name,
                                              const json::Value& schema, std::string_view where);
[[nodiscard]] std::optional<Reply> check_vision(const Call& call, const Ask& ask);
[[nodiscard]] std::optional<Reply> check_effort(const Call& call, std::string_view effort);
void read_stops(const json::Value& stops, Ask& ask);  // a string or a list
void add_step(Ask& ask, const json::Value& message, int64_t tokens);

// Reasoning that must come back unchanged.
[[nodiscard]] std::string make_signature(const State& state, std::string_view text);
[[nodiscard]] bool is_signature(const State& state, std::string_view signature);

}  // namespace belay::sim
