// belay spend: who spent what, by any of the sums that the ledger keeps. belay export: the records.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "app/config_text.h"
#include "app/shown_queries.h"
#include "app/text_table.h"
#include "app/verb_tools.h"
#include "base/clock.h"
#include "ledger/export.h"
#include "ledger/render.h"

namespace belay::app {
namespace {

using json::Value;
using ledger::DayFilter;
using ledger::DaySum;
using ledger::Metrics;

constexpr int64_t kDaysShown = 30;

struct Grouping {
    std::string_view name;
    std::string_view head;
    std::string DaySum::*id;
    DayFilter::By by;
};
constexpr Grouping kGroupings[] = {
    {"key", "KEY", &DaySum::key, DayFilter::By::key},
    {"user", "USER", &DaySum::user, DayFilter::By::key},
    {"team", "TEAM", &DaySum::team, DayFilter::By::key},
    {"organization", "ORGANIZATION", &DaySum::organization, DayFilter::By::key},
    {"model", "MODEL", &DaySum::model, DayFilter::By::key},
    {"day", "DAY", &DaySum::date, DayFilter::By::key},
    {"customer", "CUSTOMER", &DaySum::end_user, DayFilter::By::end_user},
    {"tag", "TAG", &DaySum::tag, DayFilter::By::tag},
};

struct Line {
    std::string id;
    std::string name;  // what people know it by
    Metrics metrics;
};

Value to_json(const Line& line, std::string_view by) {
    const Metrics& m = line.metrics;
    Value row = Value::object({{std::string(by), Value(line.id)}});
    if (!line.name.empty() && line.name != line.id) {
        row.set("name", line.name);
    }
    row.set("spend", Value(json::Number{render_usd(m.cost)}));
    row.set("credits", Value(json::Number{render_credits(m.cost)}));
    row.set("premium_requests",
            Value(json::Number{render_usd(NanoCredits{m.premium_milli * 100'000'000})}));
    row.set("requests", m.requests);
    row.set("failed", m.failures);
    row.set("fallbacks", m.fallbacks);
    row.set("prompt_tokens", m.prompt_tokens);
    row.set("cache_read_tokens", m.cache_read_tokens);
    row.set("cache_write_tokens", m.cache_write_tokens);
    row.set("completion_tokens", m.completion_tokens);
    row.set("requests_of_unknown_price", m.unknown_cost);
    return row;
}

// Names that entities have now; what is gone keeps its id.
std::map<std::string, std::string> names_of(Desk& desk, std::string_view by) {
    std::map<std::string, std::string> names;
    const auto put = [&names](const Value& row, std::string_view id, std::string_view name) {
        if (!row[name].as_string().empty()) {
            names.emplace(row[id].as_string(), row[name].as_string());
        }
    };
    if (by == "team") {
        if (auto all = desk.ask("GET", "/team/list")) {
            for (const Value& row : all->items()) {
                put(row, "team_id", "team_alias");
            }
        }
    } else if (by == "user") {
        if (auto all = list_all(desk, "/user/list?page_size=100", "users")) {
            for (const Value& row : *all) {
                put(row, "user_id", "user_email");
            }
        }
    } else if (by == "organization") {
        if (auto all = desk.ask("GET", "/organization/list")) {
            for (const Value& row : all->items()) {
                put(row, "organization_id", "organization_alias");
            }
        }
    } else if (by == "key") {
        if (auto all = list_all(desk, "/key/list?return_full_object=true&size=100", "keys")) {
            for (const Value& row : *all) {
                put(row, "token", row["key_alias"].as_string().empty() ? "key_name" : "key_alias");
            }
        }
    }
    return names;
}

std::vector<Line> add_up(const std::vector<DaySum>& sums, const Grouping& grouping) {
    std::map<std::string, Line> lines;
    for (const DaySum& sum : sums) {
        const std::string& id = sum.*grouping.id;
        Line& line = lines[id];
        line.id = id;
        line.metrics += sum.metrics;
        if (grouping.name == "key" && !sum.key_alias.empty()) {
            line.name = sum.key_alias;
        }
    }
    std::vector<Line> out;
    for (auto& [id, line] : lines) {
        out.push_back(std::move(line));
    }
    if (grouping.name != "day") {
        std::stable_sort(out.begin(), out.end(), [](const Line& left, const Line& right) {
            return left.metrics.cost > right.metrics.cost;
        });
    }
    return out;
}

std::string shown_name(const Line& line, std::string_view by) {
    if (!line.name.empty()) {
        return line.name;
    }
    if (line.id.empty()) {
        return "(none)";
    }
    return by == "key" && line.id.size() == 64 ? line.id.substr(0, 12) + "…" : line.id;
}

std::string render(const std::vector<Line>& lines, const Grouping& grouping, const Period& period,
                   Colour colour) {
    Metrics total;
    for (const Line& line : lines) {
        total += line.metrics;
    }
    std::string out = paint("Spend by " + std::string(grouping.name), Ink::bold, colour) + ", " +
                      period.words() + " (UTC)\n\n";
    TextTable table({{std::string(grouping.head), Align::left, 12},
                     {"REQUESTS", Align::right},
                     {"FAILED", Align::right},
                     {"IN", Align::right},
                     {"CACHED", Align::right},
                     {"OUT", Align::right},
                     {"PREMIUM", Align::right, 0, true},
                     {"SPENT", Align::right},
                     {""}});
    const auto add_line = [&](const std::string& name, const Metrics& m, bool bar) {
        const double share =
            total.cost.value > 0 ? double(m.cost.value) / double(total.cost.value) : 0;
        table.add(
            {name, show_number(m.requests), m.failures == 0 ? "" : show_number(m.failures),
             ledger::describe_count(m.prompt_tokens),
             m.cache_read_tokens == 0 ? "" : ledger::describe_count(m.cache_read_tokens),
             ledger::describe_count(m.completion_tokens),
             m.premium_milli == 0 ? "" : render_usd(NanoCredits{m.premium_milli * 100'000'000}),
             show_usd(m.cost) + (m.unknown_cost != 0 ? "+?" : ""),
             bar ? show_share(share, 8) : ""});
    };
    for (const Line& line : lines) {
        add_line(shown_name(line, grouping.name), line.metrics, true);
    }
    if (lines.size() > 1) {
        table.add_rule();
        add_line("total", total, false);
    }
    out += table.render(terminal_columns(), colour);
    if (total.unknown_cost != 0) {
        out += "\n+? The price of " + show_number(total.unknown_cost) +
               (total.unknown_cost == 1 ? " request is" : " requests is") +
               " not known and not in these sums.\n";
    }
    return out;
}

Result<void> take_filters(Flags& flags, DayFilter& filter) {
    for (const auto& [flag, list] : {std::pair{"--user", &filter.users},
                                     {"--team", &filter.teams},
                                     {"--organization", &filter.organizations},
                                     {"--model", &filter.models},
                                     {"--customer", &filter.end_users},
                                     {"--tag", &filter.tags}}) {
        if (const auto text = TRY(flags.take_value(flag))) {
            *list = split_list(*text);
        }
    }
    if (const auto text = TRY(flags.take_value("--key"))) {
        filter.keys = split_list(*text);
    }
    if (!filter.tags.empty() && !filter.end_users.empty()) {
        return caller_error(Kind::invalid_request,
                            "sums are kept by customer and by tag, not by both: give one");
    }
    return {};
}

// An alias stands for its key; texts and hashes are understood as they are.
void resolve_keys(Desk& desk, std::vector<std::string>& keys) {
    if (keys.empty()) {
        return;
    }
    if (auto all = list_all(desk, "/key/list?return_full_object=true&size=100", "keys")) {
        for (std::string& key : keys) {
            for (const Value& row : *all) {
                if (row["key_alias"].as_string() == key) {
                    key = row["token"].as_string();
                    break;
                }
            }
        }
    }
}

int show_spend(const Grouping& grouping, DayFilter filter, const Period& period,
               const std::string& config_path, bool json, const Env& env) {
    filter.from = period.from;
    filter.until = period.until;
    filter.by = grouping.by;
    auto config = read_verb_config(config_path, env);
    if (!config) {
        return fail_verb(config.error());
    }
    auto queries = open_queries(*config, data_dir_of(env));
    if (!queries) {
        return fail_verb(queries.error());
    }
    *queries = show_keys(std::move(*queries), *config, data_dir_of(env));
    DataOptions options;
    options.config = config_path;
    auto desk = open_desk(options, env);  // names only: without it ids are shown
    if (desk) {
        resolve_keys(**desk, filter.keys);
    }
    auto sums = (*queries)->day_sums(filter);
    if (!sums) {
        return fail_verb(sums.error());
    }
    std::vector<Line> lines = add_up(*sums, grouping);
    if (desk) {
        const auto names = names_of(**desk, grouping.name);
        for (Line& line : lines) {
            if (const auto name = names.find(line.id); name != names.end()) {
                line.name = name->second;
            }
        }
    }
    if (json) {
        Value rows = Value::array();
        Line total;
        for (const Line& line : lines) {
            rows.push(to_json(line, grouping.name));
            total.metrics += line.metrics;
        }
        Value sum = to_json(total, "total");
        sum.erase("total");
        print(json::dump_pretty(Value::object({{"by", grouping.name},
                                               {"from", period.from},
                                               {"until", period.until},
                                               {"rows", std::move(rows)},
                                               {"total", std::move(sum)}})) +
              "\n");
        return 0;
    }
    if (lines.empty()) {
        print("Nothing was asked for, " + period.words() + ".\n");
        return 0;
    }
    print(render(lines, grouping, period, verb_colour(env)));
    return 0;
}

// ---- export ------------------------------------------------------------------------------------

constexpr size_t kPiece = 64 << 10;

// Where the records go; a reader that has seen enough (head) ends the export without complaint.
class Sink {
  public:
    ~Sink() {
        if (owned_) {
            ::close(fd_);
        }
    }
    Sink() = default;
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;

    Result<void> open(const std::string& path) {
        fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        owned_ = fd_ >= 0;
        if (!owned_) {
            return caller_error(
                Kind::invalid_request,
                "cannot write " + path + ": " +
                    (errno == EEXIST ? "it is there already" : std::strerror(errno)));
        }
        return {};
    }
    // False: no more is wanted, or can be written (failure()).
    bool write(std::string& text) {
        std::string_view rest = text;
        while (!rest.empty()) {
            const ssize_t n = ::write(fd_, rest.data(), rest.size());
            if (n < 0 && errno == EINTR) {
                continue;
            }
            if (n <= 0) {
                failure_ = errno;
                return false;
            }
            rest.remove_prefix(static_cast<size_t>(n));
        }
        text.clear();
        return true;
    }
    [[nodiscard]] int failure() const { return failure_ == EPIPE ? 0 : failure_; }

  private:
    int fd_ = STDOUT_FILENO;
    bool owned_ = false;
    int failure_ = 0;
};

Result<void> take_log_filters(Flags& flags, ledger::LogFilter& filter) {
    for (const auto& [flag, text] : {std::pair{"--user", &filter.user},
                                     {"--team", &filter.team},
                                     {"--organization", &filter.organization},
                                     {"--model", &filter.model},
                                     {"--model-group", &filter.model_group},
                                     {"--customer", &filter.end_user},
                                     {"--session", &filter.session_id},
                                     {"--error", &filter.error_code},
                                     {"--id", &filter.request_id}}) {
        if (auto value = TRY(flags.take_value(flag))) {
            *text = std::move(*value);
        }
    }
    if (const auto key = TRY(flags.take_value("--key"))) {
        const bool alias = !key->starts_with("sk-") && key->size() != 64;
        (alias ? filter.key_alias : filter.key) = *key;
    }
    if (const auto status = TRY(flags.take_value("--status"))) {
        if (*status != "success" && *status != "failure") {
            return caller_error(Kind::invalid_request,
                                "--status takes success or failure, not '" + *status + "'");
        }
        filter.status = *status == "success" ? ledger::Status::success : ledger::Status::failure;
    }
    return {};
}

int write_records(ledger::Queries& queries, const ledger::LogFilter& filter, bool csv, Sink& sink) {
    std::string text;
    if (csv) {
        ledger::write_csv_head(text);
    }
    bool good = true;
    const auto done = queries.for_each(filter, [&](const ledger::Entry& entry) {
        csv ? ledger::write_csv_row(text, entry) : ledger::write_json_line(text, entry);
        if (text.size() >= kPiece) {
            good = sink.write(text);
        }
        return good;
    });
    good = good && sink.write(text);
    if (!done) {
        return fail_verb(done.error());
    }
    if (!good && sink.failure() != 0) {
        return fail_verb(gateway_error(Kind::internal, std::string("the export is not whole: ") +
                                                           std::strerror(sink.failure())));
    }
    return 0;
}

}  // namespace

int spend_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    const Env env = process_env();
    quiet_verb_log();
    const bool json = flags.take("--json");
    auto config = flags.take_value("--config");
    auto by = flags.take_value("--by");
    DayFilter filter;
    auto filters = take_filters(flags, filter);
    auto period = take_period(flags, unix_millis(system_clock().wall()), kDaysShown);
    auto words =
        flags.rest({"--json", "--config", "--by", "--user", "--team", "--organization", "--model",
                    "--customer", "--tag", "--key", "--from", "--until", "--last"});
    for (const Error* error :
         {config ? nullptr : &config.error(), by ? nullptr : &by.error(),
          filters ? nullptr : &filters.error(), period ? nullptr : &period.error(),
          words ? nullptr : &words.error()}) {
        if (error != nullptr) {
            return wrong_usage(*error);
        }
    }
    std::string asked = by->value_or(words->empty() ? "" : std::string((*words)[0]));
    if (asked.empty()) {
        asked = !filter.tags.empty() ? "tag" : !filter.end_users.empty() ? "customer" : "key";
    }
    for (const Grouping& grouping : kGroupings) {
        if (asked == grouping.name) {
            return show_spend(grouping, filter, *period, config->value_or(""), json, env);
        }
    }
    return wrong_usage(caller_error(Kind::invalid_request,
                                    "belay spend --by takes key, user, team, organization, model, "
                                    "day, customer or tag, not '" +
                                        asked + "'"));
}

int export_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    const Env env = process_env();
    quiet_verb_log();
    std::signal(SIGPIPE, SIG_IGN);
    auto config_path = flags.take_value("--config");
    auto format = flags.take_value("--format");
    auto out = flags.take_value("--out");
    ledger::LogFilter filter;
    auto filters = take_log_filters(flags, filter);
    auto period = take_period(flags, unix_millis(system_clock().wall()), 0);
    auto words = flags.rest({"--config", "--format", "--out", "--user", "--team", "--organization",
                             "--model", "--model-group", "--customer", "--session", "--error",
                             "--id", "--key", "--status", "--from", "--until", "--last"});
    for (const Error* error :
         {config_path ? nullptr : &config_path.error(), format ? nullptr : &format.error(),
          out ? nullptr : &out.error(), filters ? nullptr : &filters.error(),
          period ? nullptr : &period.error(), words ? nullptr : &words.error()}) {
        if (error != nullptr) {
            return wrong_usage(*error);
        }
    }
    if (!words->empty()) {
        return wrong_usage(caller_error(Kind::invalid_request,
                                        "belay export writes to standard output or to --out FILE, "
                                        "not to '" +
                                            std::string((*words)[0]) + "'"));
    }
    const std::string path = out->value_or("");
    const std::string kind =
        format->value_or(path.ends_with(".jsonl") || path.ends_with(".ndjson") ? "jsonl" : "csv");
    if (kind != "csv" && kind != "jsonl" && kind != "json") {
        return wrong_usage(
            caller_error(Kind::invalid_request, "--format takes csv or jsonl, not '" + kind + "'"));
    }
    filter.from_ms = period->from_ms;
    filter.until_ms = period->until_ms;
    auto config = read_verb_config(config_path->value_or(""), env);
    if (!config) {
        return fail_verb(config.error());
    }
    auto queries = open_queries(*config, data_dir_of(env));
    if (!queries) {
        return fail_verb(queries.error());
    }
    *queries = show_keys(std::move(*queries), *config, data_dir_of(env));
    Sink sink;
    if (!path.empty()) {
        if (auto opened = sink.open(path); !opened) {
            return fail_verb(opened.error());
        }
    }
    return write_records(**queries, filter, kind == "csv", sink);
}

}  // namespace belay::app
