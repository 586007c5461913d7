#include "routing/resolve.h"

#include <algorithm>

namespace belay::routing {
namespace {

constexpr size_t kMostKept = 64;
constexpr int kAliasHops = 4;  // an alias of an alias is fine, a circle is not

// What '*' stands for when `pattern` matches `name`.
std::optional<std::string_view> capture(std::string_view pattern, std::string_view name) {
    const size_t star = pattern.find('*');
    if (star == std::string_view::npos) {
        return std::nullopt;
    }
    const std::string_view head = pattern.substr(0, star);
    const std::string_view tail = pattern.substr(star + 1);
    if (name.size() < head.size() + tail.size() || name.substr(0, head.size()) != head ||
        name.substr(name.size() - tail.size()) != tail) {
        return std::nullopt;
    }
    return name.substr(head.size(), name.size() - head.size() - tail.size());
}

template <class Wanted>
Match gather(const Table& table, std::string_view group, Wanted wanted) {
    Match match;
    match.group = group;
    match.pattern = group;
    for (const auto& deployment : table.deployments) {
        if (wanted(*deployment)) {
            match.deployments.push_back(deployment);
        }
    }
    return match;
}

std::optional<Match> filled(Match match) {
    return match.deployments.empty() ? std::nullopt : std::optional(std::move(match));
}

std::optional<Match> exact(const Table& table, std::string_view name) {
    return filled(gather(table, name, [&](const Deployment& d) { return d.group == name; }));
}

std::optional<Match> by_id(const Table& table, std::string_view name) {
    for (const auto& deployment : table.deployments) {
        if (deployment->id == name) {
            Match match;
            match.group = deployment->group;
            match.pattern = deployment->group;
            match.deployments.push_back(deployment);
            return match;
        }
    }
    return std::nullopt;
}

// A pattern that passes the name on serves one model per name, so the name is the group; a pattern
// in front of one fixed model ("*" -> gpt-5-mini) is itself the group that served.
std::string group_of_pattern(const Match& match, std::string_view pattern, std::string_view name) {
    const bool passes_on =
        std::all_of(match.deployments.begin(), match.deployments.end(),
                    [](const auto& d) { return d->model.find('*') != std::string::npos; });
    return std::string(passes_on ? name : pattern);
}

std::optional<Match> by_one_pattern(const Table& table, std::string_view pattern,
                                    std::string_view name, std::string_view captured) {
    Match match = gather(table, pattern, [&](const Deployment& d) { return d.group == pattern; });
    match.group = group_of_pattern(match, pattern, name);
    match.captured = captured;
    match.wildcard = true;
    return filled(std::move(match));
}

// Most specific = most literal characters; the file's order decides a tie. "*" alone comes later.
std::optional<Match> by_pattern(const Table& table, std::string_view name) {
    std::string_view best, best_captured;
    for (const auto& deployment : table.deployments) {
        const std::string_view pattern = deployment->group;
        if (pattern == "*" || pattern.size() <= best.size()) {
            continue;
        }
        if (const auto captured = capture(pattern, name)) {
            best = pattern;
            best_captured = *captured;
        }
    }
    return best.empty() ? std::nullopt : by_one_pattern(table, best, name, best_captured);
}

bool has_catch_all(const Table& table) {
    return std::any_of(table.deployments.begin(), table.deployments.end(),
                       [](const auto& deployment) { return deployment->group == "*"; });
}

// "gpt-5-mini" also means "github_copilot/gpt-5-mini" where that is what the file offers. A pattern
// would take any name, so it counts only where no catch-all waits for unknown ones.
std::optional<Match> with_provider(const Table& table, std::string_view name) {
    if (name.find('/') != std::string_view::npos) {
        return std::nullopt;
    }
    const bool patterns = !has_catch_all(table);
    std::vector<std::string_view> tried;
    for (const auto& deployment : table.deployments) {
        const std::string_view provider = deployment->provider;
        if (provider.empty() || std::find(tried.begin(), tried.end(), provider) != tried.end()) {
            continue;
        }
        tried.push_back(provider);
        const std::string full = std::string(provider) + "/" + std::string(name);
        if (auto match = exact(table, full)) {
            return match;
        }
        if (!patterns) {
            continue;
        }
        if (auto match = by_pattern(table, full)) {
            return match;
        }
    }
    return std::nullopt;
}

std::optional<Match> by_upstream_name(const Table& table, std::string_view name) {
    for (const auto& deployment : table.deployments) {
        if (deployment->model == name || deployment->provider + "/" + deployment->model == name) {
            return exact(table, deployment->group);
        }
    }
    return std::nullopt;
}

std::string_view without_provider(std::string_view name) {
    const size_t slash = name.find('/');
    return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

const std::vector<FallbackTarget>* entry(const FallbackMap& map, const Match& match) {
    for (const std::string_view key :
         {std::string_view(match.asked), std::string_view(match.group),
          std::string_view(match.pattern), without_provider(match.asked),
          without_provider(match.group), without_provider(match.pattern), std::string_view("*")}) {
        if (const auto found = map.find(key); found != map.end()) {
            return &found->second;
        }
    }
    return nullptr;
}

// The lists inside litellm_params, of every deployment of the group.
std::vector<FallbackTarget> own_lists(const Match& match) {
    std::vector<FallbackTarget> out;
    for (const auto& deployment : match.deployments) {
        for (const FallbackTarget& target : deployment->fallbacks) {
            if (std::find(out.begin(), out.end(), target) == out.end()) {
                out.push_back(target);
            }
        }
    }
    return out;
}

std::optional<Match> look_up(const Table& table, std::string_view name) {
    for (int hop = 0;; ++hop) {
        if (auto match = exact(table, name)) {
            return match;
        }
        if (auto match = by_id(table, name)) {
            return match;
        }
        const auto alias = table.aliases.find(name);
        if (alias == table.aliases.end() || hop == kAliasHops) {
            break;
        }
        name = alias->second.group;
    }
    if (name.empty()) {
        return std::nullopt;
    }
    if (auto match = by_pattern(table, name)) {
        return match;
    }
    if (auto match = with_provider(table, name)) {
        return match;
    }
    if (auto match = by_one_pattern(table, "*", name, name)) {
        return match;
    }
    return by_upstream_name(table, name);
}

}  // namespace

std::optional<Match> resolve(const Table& table, std::string_view name) {
    auto match = look_up(table, name);
    if (match) {
        match->asked = name;
    }
    return match;
}

std::string upstream_model(const Deployment& deployment, const Match& match) {
    const size_t star = deployment.model.find('*');
    if (star == std::string::npos || !match.wildcard) {
        return deployment.model;
    }
    std::string_view captured = match.captured;
    // "*" in front of a provider captures the provider's prefix too, which is not part of the name.
    const std::string prefix = deployment.provider + "/";
    if (captured.substr(0, prefix.size()) == prefix) {
        captured.remove_prefix(prefix.size());
    }
    std::string out = deployment.model;
    return out.replace(star, 1, captured);
}

std::shared_ptr<const Resolved> resolve_kept(const std::shared_ptr<const Table>& table,
                                             std::string_view name) {
    struct Kept {
        std::shared_ptr<const Table> table;  // held: another one must not come to its address
        std::vector<std::shared_ptr<const Resolved>> names;
    };
    thread_local Kept kept;
    if (kept.table != table) {
        kept.names.clear();
        kept.table = table;
    }
    for (const auto& known : kept.names) {
        if (known->match.asked == name) {
            return known;
        }
    }
    auto match = resolve(*table, name);
    if (!match) {
        return nullptr;
    }
    auto resolved = std::make_shared<Resolved>();
    for (const auto& deployment : match->deployments) {
        resolved->models.push_back(upstream_model(*deployment, *match));
    }
    resolved->match = std::move(*match);
    if (kept.names.size() == kMostKept) {  // names made up by clients must not gather
        kept.names.clear();
    }
    kept.names.push_back(resolved);
    return resolved;
}

FallbackList fallbacks_of(const Table& table, const Match& match, Reason reason) {
    FallbackList out;
    const FallbackMap* special = reason == Reason::context_window ? &table.context_window_fallbacks
                                 : reason == Reason::content_policy
                                     ? &table.content_policy_fallbacks
                                     : nullptr;
    if (special) {
        if (const auto* targets = entry(*special, match)) {
            out.targets = *targets;
            return out;
        }
        // A refusal of content is an answer: nobody else is asked unless the file says so.
        if (reason == Reason::content_policy) {
            out.blocked = true;
            return out;
        }
    }
    out.targets = own_lists(match);
    if (!out.targets.empty()) {
        return out;
    }
    if (special && !special->empty()) {
        out.blocked = true;
        return out;
    }
    if (const auto* targets = entry(table.fallbacks, match)) {
        out.targets = *targets;
    }
    return out;
}

}  // namespace belay::routing
