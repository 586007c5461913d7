#pragma once
// Names against a routing table: what a name leads to, and the chain that results. Pure; used by
// the loader's name check, by `belay check` and by the start-up page. Routing itself decides by
// plan.h.
#include <string>
#include <string_view>
#include <vector>

#include "routing/table.h"

namespace belay::app {

enum class Match : uint8_t { none, exact, alias, wildcard, catch_all };

struct NameMatch {
    Match match = Match::none;
    std::string group;  // the model_name that serves it
};

[[nodiscard]] NameMatch match_name(const routing::Table& table, std::string_view name);

// The public names in file order, each once; patterns included.
[[nodiscard]] std::vector<std::string> group_names(const routing::Table& table);
[[nodiscard]] std::vector<const routing::Deployment*> deployments_of(const routing::Table& table,
                                                                     std::string_view group);

// All names in the order they are tried, the asked one first, as routing::chain() tells them;
// cut at max_fallbacks.
[[nodiscard]] std::vector<std::string> chain_names(const routing::Table& table,
                                                   std::string_view name);

}  // namespace belay::app
