#pragma once
// The header lines of a request to Copilot. Pure.
#include <string>
#include <string_view>

#include "providers/provider.h"

namespace belay::providers {

// What all requests of one kind share. `job.credential` must be there.
[[nodiscard]] std::string copilot_lines(const Job& job, protocols::Api api);
// What is one request's own, unless the deployment's headers say it.
void add_copilot_own_lines(const Job& job, protocols::Initiator initiator, std::string& lines);

// The honest rule: an internal repeat is the agent's; else what the client says of itself, else
// whether the last message is a person's.
[[nodiscard]] protocols::Initiator initiator_of(const Job& job);

// Those of a client's anthropic-beta values that Copilot is known to take, comma-separated.
[[nodiscard]] std::string allowed_betas(std::string_view betas);

}  // namespace belay::providers
