#include "app/check.h"

#include <algorithm>

#include "app/config_names.h"
#include "app/config_text.h"

namespace belay::app {
namespace {

std::string plural(size_t count, std::string_view one, std::string_view many) {
    return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

size_t count_of(const std::vector<Diagnostic>& all, Severity severity) {
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(),
                      [severity](const Diagnostic& d) { return d.severity == severity; }));
}

Ink ink_of(Severity severity) {
    switch (severity) {
        case Severity::error:
            return Ink::red;
        case Severity::warning:
            return Ink::yellow;
        case Severity::note:
            return Ink::blue;
    }
    return Ink::none;
}

std::string place_text(const Diagnostic& d) {
    return d.line == 0 ? d.file
                       : d.file + ":" + std::to_string(d.line) + ":" + std::to_string(d.column);
}

// The line with a caret below it; the window moves when the caret would stand beyond the edge.
std::string render_excerpt(const Diagnostic& d, Colour colour, size_t columns) {
    if (d.excerpt.empty()) {
        return "";
    }
    std::string number = std::to_string(d.line);
    size_t room = columns - std::min(columns - 20, number.size() + 6);
    size_t at = static_cast<size_t>(std::max(0, d.column - 1));
    size_t from = at + 8 > room ? at + 8 - room : 0;
    std::string line = cut_columns(drop_columns(d.excerpt, from), room);
    std::string gutter(number.size(), ' ');
    std::string out = "  " + paint(number + " │ ", Ink::dim, colour) + line + "\n";
    if (at - from <= display_width(line)) {
        out += "  " + paint(gutter + " │ ", Ink::dim, colour) + std::string(at - from, ' ') +
               paint("^", ink_of(d.severity), colour) + "\n";
    }
    return out;
}

std::string render_one(const Diagnostic& d, Colour colour, size_t columns) {
    std::string head = paint(std::string(severity_name(d.severity)), ink_of(d.severity), colour);
    std::string place = place_text(d);
    std::string out = head + (place.empty() ? "" : " " + paint(place, Ink::bold, colour)) + "\n";
    out += wrap(d.message, "  ", "  ", columns);
    out += render_excerpt(d, colour, columns);
    if (!d.hint.empty()) {
        out += paint_lines(wrap(d.hint, "  → ", "    ", columns), Ink::green, colour);
    }
    return out + "\n";
}

std::string render_without_effect(const std::vector<Diagnostic>& all, Colour colour,
                                  size_t columns) {
    std::string list;
    for (const Diagnostic& d : all) {
        if (!d.key.empty()) {
            list += (list.empty() ? "" : ", ") + d.key + " (line " + std::to_string(d.line) + ")";
        }
    }
    if (list.empty()) {
        return "";
    }
    return paint("note", Ink::blue, colour) + " Kept, but without effect in this version:\n" +
           wrap(list, "  ", "  ", columns) + "\n";
}

std::string summary(const Config& config, const std::string& name, Colour colour) {
    size_t errors = count_of(config.diagnostics, Severity::error);
    size_t warnings = count_of(config.diagnostics, Severity::warning);
    std::string counts = plural(group_names(config.table).size(), "model", "models") + ", " +
                         plural(config.table.deployments.size(), "deployment", "deployments");
    if (errors + warnings == 0) {
        return paint("ok", Ink::green, colour) + " " + name + ": " + counts + "\n";
    }
    std::string found = (errors > 0 ? plural(errors, "error", "errors") : "") +
                        (errors > 0 && warnings > 0 ? ", " : "") +
                        (warnings > 0 ? plural(warnings, "warning", "warnings") : "");
    return paint(found, errors > 0 ? Ink::red : Ink::yellow, colour) + " in " + name + ": " +
           counts + "\n";
}

json::Value to_json(const Diagnostic& d) {
    json::Value out = json::Value::object();
    out.set("severity", severity_name(d.severity));
    out.set("file", d.file);
    out.set("line", d.line);
    out.set("column", d.column);
    out.set("message", d.message);
    out.set("hint", d.hint);
    out.set("suggestion", d.suggestion);
    out.set("excerpt", d.excerpt);
    out.set("fatal", d.fatal);
    return out;
}

json::Value chains_json(const routing::Table& table) {
    json::Value chains = json::Value::array();
    for (const std::string& group : group_names(table)) {
        json::Value row = json::Value::object();
        row.set("model", group);
        json::Value names = json::Value::array();
        for (const std::string& name : chain_names(table, group)) {
            names.push(name);
        }
        row.set("chain", std::move(names));
        json::Value served = json::Value::array();
        for (const routing::Deployment* d : deployments_of(table, group)) {
            json::Value one = json::Value::object();
            one.set("id", d->id);
            one.set("provider", d->provider);
            one.set("model", d->model);
            served.push(std::move(one));
        }
        row.set("deployments", std::move(served));
        chains.push(std::move(row));
    }
    return chains;
}

std::string render_json(const std::string& path, const std::vector<Diagnostic>& all,
                        const routing::Table& table) {
    json::Value out = json::Value::object();
    out.set("file", path);
    out.set("ok", count_of(all, Severity::error) == 0);
    out.set("errors", static_cast<int64_t>(count_of(all, Severity::error)));
    out.set("warnings", static_cast<int64_t>(count_of(all, Severity::warning)));
    json::Value list = json::Value::array();
    for (const Diagnostic& d : all) {
        list.push(to_json(d));
    }
    out.set("diagnostics", std::move(list));
    out.set("chains", chains_json(table));
    json::Value aliases = json::Value::object();
    for (const auto& [name, alias] : table.aliases) {
        aliases.set(name, alias.group);
    }
    out.set("aliases", std::move(aliases));
    return json::dump_pretty(out) + "\n";
}

}  // namespace

int check(const CheckOptions& options, const Env& env, std::string& out) {
    Diagnostic problem;
    auto loaded = options.path.empty() ? Result<Config>(default_config(env))
                                       : load_config(options.path, env, &problem);
    if (!loaded.ok()) {
        out += options.json
                   ? render_json(options.path, {problem}, {})
                   : render_one(problem, options.colour, options.columns) +
                         paint("1 error", Ink::red, options.colour) + ": the file cannot be used\n";
        return kCheckFailed;
    }
    const Config& config = loaded.value();
    if (options.json) {
        out += render_json(options.path, config.diagnostics, config.table);
    } else {
        std::string name = options.path.empty() ? "the built-in configuration" : options.path;
        out += render_diagnostics(config.diagnostics, options.colour, options.columns);
        out += render_chains(config.table, options.colour, options.columns);
        out += "\n" + summary(config, name, options.colour);
    }
    return config.has_errors() ? kCheckFailed : kCheckOk;
}

std::string render_diagnostics(const std::vector<Diagnostic>& diagnostics, Colour colour,
                               size_t columns) {
    std::string out;
    for (Severity severity : {Severity::error, Severity::warning, Severity::note}) {
        for (const Diagnostic& d : diagnostics) {
            if (d.severity == severity && d.key.empty()) {
                out += render_one(d, colour, columns);
            }
        }
    }
    return out + render_without_effect(diagnostics, colour, columns);
}

}  // namespace belay::app
