#pragma once
// Names: which deployments a model name means, and which groups a failed group may fall to. Pure;
// used by routing/plan and `belay check` (through chain()).
//
// A name is looked for as: exact model_name, deployment id, alias, the most specific pattern,
// "<provider>/<name>", "*", a deployment's upstream name.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/outcome.h"
#include "routing/table.h"

namespace belay::routing {

struct Match {
    std::string asked;     // the name as it was asked for (an alias stays one)
    std::string group;     // what x-litellm-model-group says
    std::string pattern;   // the model_name that matched (differs from `group` for "x/*")
    std::string captured;  // what '*' stood for
    bool wildcard = false;
    std::vector<std::shared_ptr<const Deployment>> deployments;
};

[[nodiscard]] std::optional<Match> resolve(const Table& table, std::string_view name);

// The upstream's name for this deployment, '*' replaced by what was captured.
[[nodiscard]] std::string upstream_model(const Deployment& deployment, const Match& match);

// A name's match with the upstream's name for each of its deployments, in their order.
struct Resolved {
    Match match;
    std::vector<std::string> models;
};
// What resolve() says, kept per thread for the table in use: names are asked for again and again.
// Null when nothing matches.
[[nodiscard]] std::shared_ptr<const Resolved> resolve_kept(
    const std::shared_ptr<const Table>& table, std::string_view name);

// Which list a failure reads.
enum class Reason : uint8_t { general, context_window, content_policy };

struct FallbackList {
    std::vector<FallbackTarget> targets;
    bool blocked = false;  // LiteLLM's rule: the special map exists but does not name this group
};

// Where a failed group falls to by the table alone (per-deployment lists, then the maps).
[[nodiscard]] FallbackList fallbacks_of(const Table& table, const Match& match, Reason reason);

}  // namespace belay::routing
