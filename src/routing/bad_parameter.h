#pragma once
// Finds the request member that an upstream refuses in the words of its refusal, so that it can be
// left out (or renamed) and the request sent once more. Knows the wordings of OpenAI, Azure,
// Anthropic, Google, Groq and vLLM-like servers. Used by routing/outcome only.
//
// A path is dotted, with [n] for one item, [*] for all items, and [type=x] for the items whose
// "type" is x: "top_p", "input[0].namespace", "system[1].cache_control.scope",
// "messages[*].content[type=thinking]". "anthropic-beta" names the header of that name.
#include <optional>
#include <string>
#include <string_view>

#include "routing/error_body.h"

namespace belay::routing {

struct BadParameter {
    std::string path;
    std::string rename_to;  // "use this instead"; "" = leave it out
    bool operator==(const BadParameter&) const = default;
};

// nullopt: the text is not about one member that can be left out. `upstream_path` tells which
// protocol was spoken ("/responses", "/v1/messages", "/chat/completions").
[[nodiscard]] std::optional<BadParameter> find_bad_parameter(const ErrorBody& body,
                                                             std::string_view upstream_path);

// Without these there is no request left; they are never stripped.
[[nodiscard]] bool is_essential_member(std::string_view path);

}  // namespace belay::routing
