// What differs between two configurations, in words.
#include <map>
#include <set>

#include "app/config.h"
#include "app/config_names.h"

namespace belay::app {
namespace {

using Digests = std::map<std::string, Effective>;

std::string shown(const Effective* value) {
    if (value == nullptr) {
        return "unset";
    }
    return value->shown.empty() ? "…" : value->shown;
}

const Effective* lookup(const Digests& map, const std::string& key) {
    auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
}

std::string describe_setting(const std::string& key, const Effective* before,
                             const Effective* after) {
    const Effective& known = after != nullptr ? *after : *before;
    bool secret =
        (before == nullptr || before->shown.empty()) && (after == nullptr || after->shown.empty());
    std::string line = key + ": ";
    if (secret) {
        line += before == nullptr ? "set" : after == nullptr ? "removed" : "changed";
    } else {
        line += shown(before) + " -> " + shown(after);
    }
    return line + (known.reloadable ? "" : " (takes effect after a restart)");
}

// Calls visit(key, before or nullptr, after or nullptr) for every key whose digest differs.
template <class Visit>
void each_difference(const Digests& before, const Digests& after, Visit visit) {
    std::set<std::string> keys;
    for (const auto& [key, value] : before) {
        keys.insert(key);
    }
    for (const auto& [key, value] : after) {
        keys.insert(key);
    }
    for (const std::string& key : keys) {
        const Effective* old = lookup(before, key);
        const Effective* now = lookup(after, key);
        if (old == nullptr || now == nullptr || old->digest != now->digest) {
            visit(key, old, now);
        }
    }
}

struct Tally {
    int before = 0, after = 0;
    bool changed = false;
};

// A row without an id of its own has a new id when it changes: tell by model name, not by id.
std::map<std::string, Tally> tally_models(const Config& before, const Config& after) {
    std::map<std::string, Tally> groups;
    for (const auto& [id, entry] : before.deployment_digests) {
        ++groups[entry.shown].before;
    }
    for (const auto& [id, entry] : after.deployment_digests) {
        ++groups[entry.shown].after;
    }
    each_difference(before.deployment_digests, after.deployment_digests,
                    [&groups](const std::string&, const Effective* old, const Effective* now) {
                        groups[old != nullptr ? old->shown : now->shown].changed = true;
                        groups[now != nullptr ? now->shown : old->shown].changed = true;
                    });
    return groups;
}

void describe_models(const Config& before, const Config& after, std::vector<std::string>& lines) {
    for (const auto& [group, tally] : tally_models(before, after)) {
        if (tally.before == 0) {
            lines.push_back("model " + group + ": added");
        } else if (tally.after == 0) {
            lines.push_back("model " + group + ": removed");
        } else if (tally.before != tally.after) {
            lines.push_back("model " + group + ": " + std::to_string(tally.before) + " -> " +
                            std::to_string(tally.after) + " deployments");
        } else if (tally.changed) {
            lines.push_back("model " + group + ": changed");
        }
    }
}

}  // namespace

std::vector<std::string> describe_changes(const Config& before, const Config& after) {
    std::vector<std::string> lines;
    describe_models(before, after, lines);
    each_difference(before.effective, after.effective,
                    [&lines](const std::string& key, const Effective* old, const Effective* now) {
                        lines.push_back(describe_setting(key, old, now));
                    });
    const Secret& old_key = before.general.master_key;
    const Secret& new_key = after.general.master_key;
    bool same = new_key.empty() ? old_key.empty() : old_key.equals(new_key.reveal());
    if (!same && lookup(before.effective, "general_settings.master_key") == nullptr &&
        lookup(after.effective, "general_settings.master_key") == nullptr) {
        lines.emplace_back("the master key of the environment: changed");
    }
    return lines;
}

std::vector<std::string> changed_restart_keys(const Config& before, const Config& after) {
    std::vector<std::string> out;
    each_difference(before.effective, after.effective,
                    [&out](const std::string& key, const Effective* old, const Effective* now) {
                        if (!(now != nullptr ? now : old)->reloadable) {
                            out.push_back(key);
                        }
                    });
    return out;
}

}  // namespace belay::app
