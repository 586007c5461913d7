// belay keys: virtual keys from a shell. What a person needs once a day stands in flags; everything
// else is in the management API.
#include <algorithm>

#include "app/config_text.h"
#include "app/text_table.h"
#include "app/verb_tools.h"
#include "base/clock.h"
#include "governance/documents.h"
#include "governance/keys.h"
#include "wire/url.h"

namespace belay::app {
namespace {

using json::Value;

constexpr std::string_view kHelp = R"(belay keys: virtual keys

  belay keys create          a new key; its text is printed once, alone on standard output
    --alias NAME             a name for people; unique
    --user ID  --team ID     whose it is
    --models A,B             what it may call (default: everything)
    --budget USD             what it may spend, in each window of
    --every 30d              its budget (1d, 7d, 30d, 1mo); without: once and for all
    --credits N              Copilot AI credits that it may spend in a window
    --premium N              premium requests that it may make in a window
    --rpm N  --tpm N         requests, tokens a minute
    --parallel N             requests at once
    --expires 90d            how long it lives (default: for ever)
    --metadata JSON          anything
    --secret sk-...          this text instead of a random one
  belay keys list            [--user ID] [--team ID] [--alias NAME]
  belay keys info KEY        KEY: its text, its alias, its hash or the beginning of that
  belay keys revoke KEY...   ends keys; --block keeps the row, --unblock lets it work again

  --json                     for scripts
  --config FILE              the gateway's configuration (default: ./config.yaml)
  --url URL                  a gateway elsewhere, with --master-key or LITELLM_MASTER_KEY

Without --url the store of this machine's gateway is used directly, whether it runs or not; a
gateway that runs knows within a second.
)";

NanoCredits money_of(const Value& usd) { return governance::read_usd(usd).value_or(NanoCredits{}); }

// "$10 / 30d".
std::string show_budget(const Value& row) {
    const Value& own = row["max_budget"];
    const Value& shared = row["litellm_budget_table"];
    const Value& most = own.is_null() ? shared["max_budget"] : own;
    if (most.is_null()) {
        return {};
    }
    const std::string_view every =
        own.is_null() ? shared["budget_duration"].as_string() : row["budget_duration"].as_string();
    return show_usd(money_of(most)) + (every.empty() ? "" : " / " + std::string(every));
}

std::string show_state(const Value& row, int64_t now_ms) {
    if (row["blocked"].as_bool()) {
        return "blocked";
    }
    const std::string_view end = row["expires"].as_string();
    if (!end.empty()) {
        const bool over = unix_millis(parse_utc(end)) <= now_ms;
        return (over ? "expired " : "until ") + show_date(end);
    }
    const std::string budget = show_budget(row);
    const Value& most =
        row["max_budget"].is_null() ? row["litellm_budget_table"]["max_budget"] : row["max_budget"];
    if (!most.is_null() && money_of(row["spend"]) >= money_of(most)) {
        return "budget spent";
    }
    return "active";
}

std::string show_owner(const Value& row) {
    const std::string_view mail = row["user"]["user_email"].as_string();
    const std::string_view id = row["user_id"].as_string();
    return std::string(!mail.empty() ? mail : id == "default_user_id" ? std::string_view() : id);
}

std::string name_of(const Value& row) {
    const std::string_view alias = row["key_alias"].as_string();
    return std::string(alias.empty() ? row["key_name"].as_string() : alias);
}

Result<json::Array> all_keys(Desk& desk, const std::string& filter = {}) {
    return list_all(
        desk, "/key/list?return_full_object=true&expand=user&size=100&sort_order=asc" + filter,
        "keys");
}

// The key that a word means, as the API takes it: its text or its hash.
Result<std::string> find_key(Desk& desk, std::string_view word) {
    if (word.starts_with("sk-") && word.find("...") == word.npos) {
        return std::string(word);
    }
    if (word.size() == 64 && word.find_first_not_of("0123456789abcdef") == word.npos) {
        return std::string(word);
    }
    std::vector<std::string> found;
    std::string names;
    const json::Array rows = TRY(all_keys(desk));
    for (const Value& row : rows) {
        if (row["key_alias"].as_string() == word) {
            return std::string(row["token"].as_string());
        }
        const std::string_view hash = row["token"].as_string();
        const bool begins = word.size() >= 4 && hash.starts_with(word);
        if (begins || row["key_name"].as_string() == word) {
            found.emplace_back(hash);
            names += "\n  " + std::string(hash.substr(0, 12)) + "  " + name_of(row);
        }
    }
    if (found.size() == 1) {
        return found[0];
    }
    if (found.empty()) {
        return caller_error(Kind::not_found, "there is no key '" + std::string(word) +
                                                 "': give its text, its alias or its hash "
                                                 "(belay keys list)");
    }
    return caller_error(Kind::invalid_request,
                        "several keys are meant by '" + std::string(word) + "':" + names);
}

// ---- create ------------------------------------------------------------------------------------

Result<double> read_amount(const std::string& text, std::string_view flag) {
    const auto value = json::parse(text);
    if (!value || !value->is_number() || *value->as_double() < 0) {
        return caller_error(
            Kind::invalid_request,
            std::string(flag) + " takes an amount such as 10 or 2.50, not '" + text + "'");
    }
    return *value->as_double();
}

Result<Value> read_create(Flags& flags) {
    Value body = Value::object();
    for (const auto& [flag, name] : {std::pair{"--alias", "key_alias"},
                                     {"--user", "user_id"},
                                     {"--team", "team_id"},
                                     {"--every", "budget_duration"},
                                     {"--expires", "duration"},
                                     {"--secret", "key"},
                                     {"--budget-id", "budget_id"}}) {
        if (auto text = TRY(flags.take_value(flag))) {
            body.set(name, std::move(*text));
        }
    }
    for (const auto& [flag, name] : {std::pair{"--budget", "max_budget"},
                                     {"--credits", "max_credits"},
                                     {"--premium", "max_premium_requests"}}) {
        if (const auto text = TRY(flags.take_value(flag))) {
            (void)TRY(read_amount(*text, flag));
            body.set(name, Value(json::Number{*text}));
        }
    }
    for (const auto& [flag, name] : {std::pair{"--rpm", "rpm_limit"},
                                     {"--tpm", "tpm_limit"},
                                     {"--parallel", "max_parallel_requests"}}) {
        if (const auto number = TRY(flags.take_number(flag, 0, INT64_MAX))) {
            body.set(name, *number);
        }
    }
    if (const auto models = TRY(flags.take_value("--models"))) {
        Value list = Value::array();
        for (const std::string& model : split_list(*models)) {
            list.push(model);
        }
        body.set("models", std::move(list));
    }
    if (const auto metadata = TRY(flags.take_value("--metadata"))) {
        auto value = json::parse(*metadata);
        if (!value || !value->is_object()) {
            return caller_error(Kind::invalid_request, "--metadata takes a JSON object");
        }
        body.set("metadata", std::move(*value));
    }
    if (body.has("budget_duration") && !body.has("max_budget") && !body.has("max_credits") &&
        !body.has("max_premium_requests")) {
        return caller_error(Kind::invalid_request,
                            "--every is the window of --budget, --credits or --premium: give one");
    }
    return body;
}

int create(Desk& desk, const Value& body, bool json) {
    auto made = desk.ask("POST", "/key/generate", body);
    if (!made) {
        return fail_verb(made.error());
    }
    if (json) {
        print(json::dump_pretty(*made) + "\n");
        return 0;
    }
    print(std::string((*made)["key"].as_string()) + "\n");
    std::string told = "Key " + name_of(*made) + " made. Its text is shown this once.\n";
    if (const std::string budget = show_budget(*made); !budget.empty()) {
        told += "It may spend " + budget + ".\n";
    }
    if (stderr_is_terminal()) {
        complain(told);
    }
    return 0;
}

// ---- list, info --------------------------------------------------------------------------------

int list(Desk& desk, const std::string& filter, bool json, const Env& env) {
    auto rows = all_keys(desk, filter);
    if (!rows) {
        return fail_verb(rows.error());
    }
    if (json) {
        print(json::dump_pretty(Value(std::move(*rows))) + "\n");
        return 0;
    }
    if (rows->empty()) {
        print("No keys. Make one: belay keys create --alias NAME\n");
        return 0;
    }
    std::map<std::string, std::string, std::less<>> teams;
    if (auto all = desk.ask("GET", "/team/list")) {
        for (const Value& team : all->items()) {
            teams.emplace(team["team_id"].as_string(), team["team_alias"].as_string());
        }
    }
    const int64_t now_ms = unix_millis(system_clock().wall());
    TextTable table({{"KEY"},
                     {"ALIAS", Align::left, 8, true},
                     {"USER", Align::left, 8, true},
                     {"TEAM", Align::left, 8, true},
                     {"SPENT", Align::right},
                     {"BUDGET", Align::left, 0, true},
                     {"STATE"}});
    for (const Value& row : *rows) {
        const std::string team(row["team_id"].as_string());
        const auto alias = teams.find(team);
        table.add({std::string(row["key_name"].as_string()),
                   std::string(row["key_alias"].as_string()), show_owner(row),
                   alias != teams.end() && !alias->second.empty() ? alias->second : team,
                   show_usd(money_of(row["spend"])), show_budget(row), show_state(row, now_ms)});
    }
    print(table.render(terminal_columns(), verb_colour(env)));
    return 0;
}

std::string show_list(const Value& list) {
    std::string out;
    for (const Value& item : list.items()) {
        out += (out.empty() ? "" : ", ") + std::string(item.as_string());
    }
    return out;
}

std::string show_limits(const Value& row) {
    std::string out;
    for (const auto& [name, words] : {std::pair{"rpm_limit", " requests a minute"},
                                      {"tpm_limit", " tokens a minute"},
                                      {"max_parallel_requests", " at once"},
                                      {"max_credits", " AI credits"},
                                      {"max_premium_requests", " premium requests"}}) {
        const Value& limit = row[name];
        if (limit.is_number()) {
            const auto whole = limit.as_int();
            out += (out.empty() ? "" : ", ") +
                   (whole ? show_number(*whole) : std::string(limit.number_text())) + words;
        }
    }
    return out;
}

int info(Desk& desk, std::string_view word, bool json, const Env& env) {
    auto hash = find_key(desk, word);
    if (!hash) {
        return fail_verb(hash.error());
    }
    auto found = desk.ask("GET", "/key/info?key=" + percent_encode(*hash));
    if (!found) {
        return fail_verb(found.error());
    }
    if (hash->starts_with("sk-")) {
        hash = governance::key_hash(*hash);
        found->set("key", *hash);  // what is shown may be kept: never the text
    }
    if (json) {
        print(json::dump_pretty(*found) + "\n");
        return 0;
    }
    const Value& row = (*found)["info"];
    const Colour colour = verb_colour(env);
    std::string out;
    const auto line = [&](std::string_view name, const std::string& text) {
        if (!text.empty()) {
            const std::string head = std::string(name) + std::string(11 - name.size(), ' ');
            out += wrap(text, paint(head, Ink::dim, colour), std::string(11, ' '),
                        std::max<size_t>(terminal_columns(), 40));
            if (!out.ends_with('\n')) {
                out += "\n";
            }
        }
    };
    line("key", std::string(row["key_name"].as_string()));
    line("alias", std::string(row["key_alias"].as_string()));
    line("hash", *hash);
    line("user", show_owner(row));
    line("team", std::string(row["team_id"].as_string()));
    line("state", show_state(row, unix_millis(system_clock().wall())));
    const std::string budget = show_budget(row);
    const std::string_view reset = row["budget_reset_at"].as_string();
    line("spent", show_usd(money_of(row["spend"])) + (budget.empty() ? "" : " of " + budget) +
                      (reset.empty() ? "" : ", begins anew " + show_date(reset)));
    line("limits", show_limits(row));
    line("models", row["models"].size() == 0 ? "all" : show_list(row["models"]));
    line("routes", show_list(row["allowed_routes"]));
    line("metadata", row["metadata"].size() == 0 ? "" : json::dump(row["metadata"]));
    line("made", show_date(row["created_at"].as_string()) +
                     (row["created_by"].as_string().empty()
                          ? ""
                          : " by " + std::string(row["created_by"].as_string())));
    print(out);
    return 0;
}

// ---- revoke ------------------------------------------------------------------------------------

int revoke(Desk& desk, const std::vector<std::string_view>& words, std::string_view how,
           bool json) {
    Value hashes = Value::array();
    for (const std::string_view word : words) {
        auto hash = find_key(desk, word);
        if (!hash) {
            return fail_verb(hash.error());  // before anything is changed
        }
        hashes.push(std::move(*hash));
    }
    Value done = Value::array();
    if (how == "delete") {
        auto reply = desk.ask("POST", "/key/delete", Value::object({{"keys", hashes}}));
        if (!reply) {
            return fail_verb(reply.error());
        }
        done = (*reply)["deleted_keys"];
    } else {
        for (const Value& hash : hashes.items()) {
            auto reply =
                desk.ask("POST", "/key/" + std::string(how), Value::object({{"key", hash}}));
            if (!reply) {
                return fail_verb(reply.error());
            }
            done.push(hash);
        }
    }
    const std::string_view past = how == "delete"  ? "revoked"
                                  : how == "block" ? "blocked"
                                                   : "unblocked";
    if (json) {
        print(json::dump_pretty(
                  Value::object({{past == "revoked" ? "deleted_keys" : std::string(past), done}})) +
              "\n");
        return 0;
    }
    print(std::to_string(done.size()) + (done.size() == 1 ? " key " : " keys ") +
          std::string(past) + ". A running gateway knows within a second.\n");
    return 0;
}

}  // namespace

int keys_verb(const std::vector<std::string_view>& arguments) {
    if (arguments.empty() || arguments[0] == "help") {
        print(kHelp);
        return arguments.empty() ? kExitUsage : 0;
    }
    const std::string_view what = arguments[0];
    Flags flags({arguments.begin() + 1, arguments.end()});
    const Env env = process_env();
    quiet_verb_log();
    const bool json = flags.take("--json");
    auto options = take_data_options(flags);
    if (!options) {
        return wrong_usage(options.error());
    }
    const std::vector<std::string_view> known = {
        "--json",    "--config", "--url",    "--master-key", "--alias",   "--user",
        "--team",    "--models", "--budget", "--budget-id",  "--every",   "--credits",
        "--premium", "--rpm",    "--tpm",    "--parallel",   "--expires", "--metadata",
        "--secret",  "--block",  "--unblock"};
    const auto with_desk = [&](const auto& work) {
        auto desk = open_desk(*options, env);
        return desk ? work(**desk) : fail_verb(desk.error());
    };
    if (what == "create" || what == "generate" || what == "new") {
        auto body = read_create(flags);
        if (!body) {
            return wrong_usage(body.error());
        }
        auto words = flags.rest(known);
        if (!words || !words->empty()) {
            return wrong_usage(words ? caller_error(Kind::invalid_request,
                                                    "belay keys create takes flags only, not '" +
                                                        std::string((*words)[0]) +
                                                        "' (a name: --alias)")
                                     : words.error());
        }
        return with_desk([&](Desk& desk) { return create(desk, *body, json); });
    }
    if (what == "list" || what == "ls") {
        std::string filter;
        for (const auto& [flag, name] :
             {std::pair{"--user", "user_id"}, {"--team", "team_id"}, {"--alias", "key_alias"}}) {
            auto text = flags.take_value(flag);
            if (!text) {
                return wrong_usage(text.error());
            }
            if (*text) {
                filter += "&" + std::string(name) + "=" + percent_encode(**text);
            }
        }
        auto words = flags.rest(known);
        if (!words) {
            return wrong_usage(words.error());
        }
        return with_desk([&](Desk& desk) { return list(desk, filter, json, env); });
    }
    const bool block = flags.take("--block");
    const bool unblock = flags.take("--unblock");
    auto words = flags.rest(known);
    if (!words) {
        return wrong_usage(words.error());
    }
    if (what == "info" || what == "show") {
        if (words->size() != 1) {
            return wrong_usage(
                caller_error(Kind::invalid_request, "belay keys info needs one key"));
        }
        return with_desk([&](Desk& desk) { return info(desk, (*words)[0], json, env); });
    }
    if (what == "revoke" || what == "delete") {
        if (words->empty()) {
            return wrong_usage(
                caller_error(Kind::invalid_request, "belay keys revoke needs a key"));
        }
        return with_desk([&](Desk& desk) {
            return revoke(desk, *words, block ? "block" : unblock ? "unblock" : "delete", json);
        });
    }
    return wrong_usage(caller_error(
        Kind::invalid_request,
        "belay keys has create, list, info and revoke, not '" + std::string(what) + "'"));
}

}  // namespace belay::app
