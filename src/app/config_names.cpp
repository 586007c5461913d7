#include "app/config_names.h"

#include <algorithm>
#include <map>
#include <set>

#include "app/config_load.h"
#include "app/config_providers.h"
#include "app/config_suggest.h"

namespace belay::app {
namespace {

bool matches_pattern(std::string_view pattern, std::string_view name) {
    size_t star = pattern.find('*');
    if (star == std::string_view::npos || name.size() + 1 < pattern.size()) {
        return false;
    }
    return name.starts_with(pattern.substr(0, star)) && name.ends_with(pattern.substr(star + 1));
}

// The longest pattern other than "*" that fits.
std::string best_pattern(const routing::Table& table, std::string_view name) {
    std::string best;
    for (const auto& deployment : table.deployments) {
        const std::string& group = deployment->group;
        if (group != "*" && matches_pattern(group, name) && group.size() > best.size()) {
            best = group;
        }
    }
    return best;
}

bool has_group(const routing::Table& table, std::string_view group) {
    return std::any_of(table.deployments.begin(), table.deployments.end(),
                       [group](const auto& d) { return d->group == group; });
}

std::string_view bare(std::string_view name) {
    size_t slash = name.find('/');
    return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

std::string digits_of(std::string_view name) {
    std::string digits;
    std::copy_if(name.begin(), name.end(), std::back_inserter(digits),
                 [](char c) { return c >= '0' && c <= '9'; });
    return digits;
}

// A pattern accepts any spelling; only a name one slip away from a configured one is doubted.
bool looks_mistyped(std::string_view name, std::string_view known) {
    return name != known && digits_of(name) == digits_of(known) && edit_distance(name, known) <= 2;
}

// Whether the catch-all serves one fixed model whatever the name says.
bool fixed_catch_all(const routing::Table& table) {
    auto all = deployments_of(table, "*");
    return std::all_of(all.begin(), all.end(), [](const routing::Deployment* d) {
        return d->model.find('*') == std::string::npos;
    });
}

class NameChecker {
  public:
    explicit NameChecker(Load& load) : load_(load), table_(load.config.table) {
        for (const std::string& group : group_names(table_)) {
            if (group.find('*') == std::string::npos) {
                known_.push_back(group);
            }
        }
        for (const auto& [alias, target] : table_.aliases) {
            known_.push_back(alias);
        }
        // Entries with errors count as meant, though not as served.
        known_.insert(known_.end(), load.left_out.begin(), load.left_out.end());
    }

    void check(const NameUse& use) {
        bool left_out = std::find(load_.left_out.begin(), load_.left_out.end(), use.name) !=
                        load_.left_out.end();
        NameMatch found = match_name(table_, use.name);
        if (left_out && found.match != Match::exact && found.match != Match::alias) {
            return;  // its entry has told why
        }
        std::string nearest = suggest_model(use.name, known_);
        switch (found.match) {
            case Match::exact:
            case Match::alias:
                return;
            case Match::wildcard:
                if (looks_mistyped(use.name, nearest)) {
                    warn(
                        use,
                        "is no model by that name, only the pattern '" + found.group + "' takes it",
                        nearest);
                }
                return;
            case Match::catch_all:
                check_catch_all(use, nearest);
                return;
            case Match::none:
                refuse(use, nearest);
        }
    }

  private:
    void check_catch_all(const NameUse& use, const std::string& nearest) {
        if (use.role == NameUse::Role::source) {
            warn(use, "is no model by that name, so these fallbacks are never used", nearest);
        } else if (!nearest.empty() || fixed_catch_all(table_)) {
            warn(use, "is no model by that name; only the catch-all '*' takes it", nearest);
        }
    }

    void refuse(const NameUse& use, const std::string& nearest) {
        if (use.role == NameUse::Role::source) {
            warn(use, "matches no model, so these fallbacks are never used", nearest);
            return;
        }
        std::string rest = use.role == NameUse::Role::target
                               ? " matches no model; the chain goes on without it"
                               : " matches no model, so the alias does not work";
        load_.diagnostics
            .fail(use.place, "'" + use.name + "' in " + use.where + rest, cure(nearest))
            .suggestion = nearest;
    }

    void warn(const NameUse& use, const std::string& what, const std::string& nearest) {
        load_.diagnostics
            .warn(use.place, "'" + use.name + "' in " + use.where + " " + what, cure(nearest))
            .suggestion = nearest;
    }

    static std::string cure(const std::string& nearest) {
        return nearest.empty() ? "add it to model_list, or remove it here"
                               : "did you mean " + nearest + "?";
    }

    Load& load_;
    const routing::Table& table_;
    std::vector<std::string> known_;
};

void follow(const routing::Table& table, const std::string& name, std::set<std::string>& seen,
            std::vector<std::string>& out) {
    std::vector<std::string> fresh;
    for (const std::string& next : next_names(table, name)) {
        if (match_name(table, next).match != Match::none && seen.insert(next).second) {
            fresh.push_back(next);
        }
    }
    // A target's own fallbacks are tried when it fails, before its next sibling: but only those
    // that no list above names, because a name is tried once.
    for (const std::string& next : fresh) {
        out.push_back(next);
        follow(table, next, seen, out);
    }
}

}  // namespace

NameMatch match_name(const routing::Table& table, std::string_view name) {
    if (auto alias = table.aliases.find(name); alias != table.aliases.end()) {
        return {Match::alias, alias->second.group};
    }
    if (has_group(table, name)) {
        return {Match::exact, std::string(name)};
    }
    if (std::string pattern = best_pattern(table, name); !pattern.empty()) {
        return {Match::wildcard, pattern};
    }
    if (name.find('/') == std::string_view::npos) {
        if (auto split = split_model(name, "")) {
            std::string prefixed = std::string(split->provider->name) + "/" + std::string(name);
            if (has_group(table, prefixed)) {
                return {Match::exact, prefixed};
            }
            if (std::string pattern = best_pattern(table, prefixed); !pattern.empty()) {
                return {Match::wildcard, pattern};
            }
        }
    }
    return has_group(table, "*") ? NameMatch{Match::catch_all, "*"} : NameMatch{};
}

std::vector<std::string> group_names(const routing::Table& table) {
    std::vector<std::string> names;
    std::set<std::string_view> seen;
    for (const auto& deployment : table.deployments) {
        if (seen.insert(deployment->group).second) {
            names.push_back(deployment->group);
        }
    }
    return names;
}

std::vector<const routing::Deployment*> deployments_of(const routing::Table& table,
                                                       std::string_view group) {
    std::vector<const routing::Deployment*> out;
    for (const auto& deployment : table.deployments) {
        if (deployment->group == group) {
            out.push_back(deployment.get());
        }
    }
    return out;
}

std::vector<std::string> next_names(const routing::Table& table, std::string_view name) {
    NameMatch found = match_name(table, name);
    std::vector<std::string> names;
    auto take = [&names](const std::vector<routing::FallbackTarget>& targets) {
        for (const routing::FallbackTarget& target : targets) {
            names.push_back(target.group);
        }
        return !names.empty();
    };
    for (const routing::Deployment* deployment : deployments_of(table, found.group)) {
        if (take(deployment->fallbacks)) {
            return names;
        }
    }
    for (std::string_view key :
         {name, std::string_view(found.group), bare(name), std::string_view("*")}) {
        auto list = table.fallbacks.find(key);
        if (list != table.fallbacks.end() && take(list->second)) {
            std::erase(names, std::string(name));
            return names;
        }
    }
    return names;
}

std::vector<std::string> chain_names(const routing::Table& table, std::string_view name) {
    std::vector<std::string> out{std::string(name)};
    std::set<std::string> seen{std::string(name)};
    follow(table, std::string(name), seen, out);
    size_t most = static_cast<size_t>(std::max(0, table.settings.max_fallbacks)) + 1;
    if (out.size() > most) {
        out.resize(most);
    }
    return out;
}

void check_names(Load& load) {
    NameChecker checker(load);
    for (const NameUse& use : load.names) {
        checker.check(use);
    }
}

}  // namespace belay::app
