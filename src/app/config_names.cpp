#include "app/config_names.h"

#include <algorithm>
#include <set>

#include "app/config_load.h"
#include "app/config_suggest.h"
#include "routing/plan.h"
#include "routing/resolve.h"

namespace belay::app {
namespace {

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

}  // namespace

NameMatch match_name(const routing::Table& table, std::string_view name) {
    auto found = routing::resolve(table, name);
    if (!found) {
        return {};
    }
    if (found->wildcard) {
        return {found->pattern == "*" ? Match::catch_all : Match::wildcard, found->pattern};
    }
    bool alias = found->group != name && table.aliases.contains(name);
    return {alias ? Match::alias : Match::exact, found->group};
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

std::vector<std::string> chain_names(const routing::Table& table, std::string_view name) {
    std::vector<std::string> names = routing::chain(table, name);
    names.insert(names.begin(), std::string(name));
    auto most = static_cast<size_t>(std::max(0, table.settings.max_fallbacks)) + 1;
    names.resize(std::min(names.size(), most));
    return names;
}

void check_names(Load& load) {
    NameChecker checker(load);
    for (const NameUse& use : load.names) {
        checker.check(use);
    }
}

}  // namespace belay::app
