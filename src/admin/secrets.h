#pragma once
// Secrets inside stored documents: which members of litellm_params and of a credential are secret,
// sealing them before they are stored and opening them for the routing table. What is shown never
// has them, not even sealed.
#include <string>
#include <string_view>

#include "base/seal.h"
#include "wire/json.h"

namespace belay::admin {

// "api_key", "aws_secret_access_key", "vertex_credentials", "extra_headers", ...
[[nodiscard]] bool is_secret_name(std::string_view name);

// Text members that are secret (or all, for a credential) are replaced by sealed ones; a reference
// to the environment ("os.environ/NAME") and what is sealed already stay. `place` is the
// document's: "model/<id>" or "credential/<name>".
enum class Which : uint8_t { secret_names, all };
[[nodiscard]] Result<json::Value> seal_members(const json::Value& object, Which which,
                                               const Seal* seal, std::string_view place);
// The other way; members that are not sealed stay as they are.
[[nodiscard]] Result<json::Value> open_members(const json::Value& object, const Seal& seal,
                                               std::string_view place);
// Without secret members.
[[nodiscard]] json::Value without_secrets(const json::Value& object);

inline constexpr std::string_view kMask = "********";

}  // namespace belay::admin
