// The chains of a table as trees:
//
//   github_copilot/claude-opus-4.6
//   ├─ github_copilot/gemini-3-pro-preview
//   └─ github_copilot/gpt-5-mini
//
// Each model with what serves it when the name does not say so; below it who follows, in order.
#include <algorithm>
#include <map>

#include "app/check.h"
#include "app/config_names.h"
#include "app/config_text.h"

namespace belay::app {
namespace {

std::string served_by(const routing::Table& table, const std::string& group) {
    std::vector<std::pair<std::string, int>> counts;
    for (const routing::Deployment* d : deployments_of(table, group)) {
        std::string name = d->mock_response.empty() ? d->provider + "/" + d->model : "fixed answer";
        auto same = std::find_if(counts.begin(), counts.end(),
                                 [&name](const auto& c) { return c.first == name; });
        if (same == counts.end()) {
            counts.emplace_back(std::move(name), 1);
        } else {
            ++same->second;
        }
    }
    if (counts.size() == 1 && counts[0].second == 1 && counts[0].first == group) {
        return "";
    }
    std::string out;
    for (const auto& [name, count] : counts) {
        out += (out.empty() ? "" : ", ") + name + (count > 1 ? " ×" + std::to_string(count) : "");
    }
    return out;
}

std::string heading(const std::string& group) {
    return group == "*" ? "* (any other name)" : group;
}

std::string row(const std::string& lead, const std::string& name, const std::string& detail,
                Ink ink, Colour colour, size_t columns) {
    size_t room = columns - std::min(columns - 10, display_width(lead));
    std::string shown = cut_middle(name, room);
    size_t left = room - std::min(room, display_width(shown));
    std::string tail = detail.empty() || left < 8 ? "" : cut_columns("  " + detail, left);
    return paint(lead, Ink::dim, colour) + paint(shown, ink, colour) +
           paint(tail, Ink::dim, colour) + "\n";
}

std::string tree(const routing::Table& table, const std::string& group, Colour colour,
                 size_t columns) {
    std::string detail = served_by(table, group);
    std::string out =
        row("  ", heading(group), detail.empty() ? "" : "← " + detail, Ink::bold, colour, columns);
    auto chain = chain_names(table, group);
    for (size_t i = 1; i < chain.size(); ++i) {
        NameMatch match = match_name(table, chain[i]);
        std::string via = match.match == Match::exact && match.group == chain[i]
                              ? ""
                              : "(by " + match.group + ")";
        out += row(i + 1 < chain.size() ? "  ├─ " : "  └─ ", chain[i], via, Ink::none, colour,
                   columns);
    }
    return out;
}

std::string special_rows(const routing::FallbackMap& map, std::string_view title, Colour colour,
                         size_t columns) {
    std::string out;
    for (const auto& [group, targets] : map) {
        std::string names;
        for (const routing::FallbackTarget& target : targets) {
            names += (names.empty() ? "" : ", ") + target.group;
        }
        out += wrap(group + " → " + names, "  ", "    ", columns);
    }
    return out.empty() ? "" : "\n" + paint(title, Ink::bold, colour) + "\n" + out;
}

}  // namespace

std::string render_chains(const routing::Table& table, Colour colour, size_t columns) {
    std::string out = paint("Chains", Ink::bold, colour) + "\n";
    if (table.deployments.empty()) {
        return out + "  (none: no model can be served)\n";
    }
    bool first = true;
    bool airy = false;  // a tree of several lines stands apart
    for (const std::string& group : group_names(table)) {
        std::string lines = tree(table, group, colour, columns);
        bool tall = std::count(lines.begin(), lines.end(), '\n') > 1;
        out += (airy || tall) && !first ? "\n" : "";
        out += lines;
        airy = tall;
        first = false;
    }
    if (!table.aliases.empty()) {
        out += "\n" + paint("Aliases", Ink::bold, colour) + "\n";
        for (const auto& [name, alias] : table.aliases) {
            out += row("  ", name, "→ " + alias.group + (alias.hidden ? " (not listed)" : ""),
                       Ink::none, colour, columns);
        }
    }
    out += special_rows(table.context_window_fallbacks, "When the prompt is too long", colour,
                        columns);
    return out + special_rows(table.content_policy_fallbacks, "When the content is refused", colour,
                              columns);
}

}  // namespace belay::app
