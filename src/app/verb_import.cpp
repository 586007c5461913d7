// belay import litellm: a LiteLLM installation's keys, people, budgets and models out of its
// PostgreSQL, into the store of this gateway. Reads one moment of that database and changes nothing
// in it. Run again it brings what has changed there since; what was changed here stays.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "admin/secrets.h"
#include "app/config_text.h"
#include "app/governance_parts.h"
#include "app/litellm_rows.h"
#include "app/text_table.h"
#include "app/verb_tools.h"
#include "base/clock.h"
#include "base/log.h"
#include "governance/documents.h"
#include "store/data_dir.h"
#include "store/postgres.h"

namespace belay::app {
namespace {

using governance::EntityKind;
using json::Value;

constexpr seconds kConnect{10};
constexpr seconds kReading{600};  // of the whole database
constexpr size_t kBatch = 500;
constexpr size_t kLeftOutShown = 40;
constexpr std::string_view kExampleKey = "sk-1234";

constexpr std::string_view kHelp =
    R"(belay import litellm: what a LiteLLM installation has in its database

  --database-url URL   its PostgreSQL; default: LITELLM_DATABASE_URL, then the
                       database_url of this configuration
  --salt-key KEY       what its secrets are encrypted with; default: LITELLM_SALT_KEY,
  --master-key KEY     then the master key (general_settings, LITELLM_MASTER_KEY)
  --dry-run            say what would come, change nothing
  --only A,B           these only: keys, users, teams, team members, models, ...
  --overwrite          take LiteLLM's where something was changed here too
  --no-spend           budgets begin at nothing instead of where they stand there
  --json               for scripts
  --config FILE        this gateway's configuration (default: ./config.yaml)

Keys keep their text: clients change nothing but the address. The other database is only read.
)";

struct Options {
    Secret url;
    std::vector<Secret> salts;
    std::vector<std::string> only;
    bool dry_run = false;
    bool overwrite = false;
    bool spend = true;
    bool json = false;
};

// What became of one table's rows.
struct Count {
    int64_t fresh = 0, changed = 0, same = 0, kept = 0;
};

struct Outcome {
    std::map<std::string, Count, std::less<>> counts;  // by table
    std::vector<LeftOut> kept;
    std::vector<governance::Change> changes;
    int64_t moved = 0;  // of `changed`, those whose spend there has grown
};

// ---- reading -----------------------------------------------------------------------------------

class Source {
  public:
    static Result<Source> open(const Secret& url) {
        const store::PostgresUrl parsed = TRY(store::parse_postgres_url(url.reveal()));
        auto opened = store::PgConnection::open(parsed, kConnect);
        if (!opened) {
            Error error = opened.error();
            error.message = "LiteLLM's database " + parsed.describe() + ": " + error.message +
                            (error.detail.empty() ? "" : ": " + error.detail);
            return error;
        }
        Source source(std::move(*opened), parsed.describe());
        std::string begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;";
        if (!parsed.schema.empty()) {
            begin += "SET LOCAL search_path TO " + store::quote_name(parsed.schema) + ";";
        }
        TRY(source.run(begin));
        return source;
    }

    // False when the table is not there: an older LiteLLM.
    Result<bool> read(std::string_view table, const std::function<void(const Value&)>& take,
                      const std::function<void(std::string)>& refuse) {
        const std::string name = store::quote_name(table);
        const auto there =
            TRY(connection_.query("SELECT to_regclass($1) IS NOT NULL", {name}, deadline_));
        if (there.text(0, 0) != "t") {
            return false;
        }
        TRY(run("DECLARE belay_import NO SCROLL CURSOR FOR SELECT row_to_json(t)::text FROM " +
                name + " t"));
        while (true) {
            const auto rows = TRY(run("FETCH 500 FROM belay_import"));
            for (int i = 0; i < rows.rows(); ++i) {
                auto row = json::parse(rows.text(i, 0));
                row ? take(*row) : refuse(row.error().message);
            }
            if (rows.rows() == 0) {
                break;
            }
        }
        TRY(run("CLOSE belay_import"));
        return true;
    }
    [[nodiscard]] const std::string& name() const { return name_; }

  private:
    Source(store::PgConnection connection, std::string name)
        : connection_(std::move(connection)),
          name_(std::move(name)),
          deadline_(system_clock().mono() + kReading) {}
    Result<store::PgResult> run(const std::string& sql) {
        auto done = connection_.run(sql, deadline_);
        if (!done) {
            Error error = done.error();
            error.message = "LiteLLM's database " + name_ + ": " + error.message +
                            (error.detail.empty() ? "" : ": " + error.detail);
            return error;
        }
        return done;
    }
    store::PgConnection connection_;
    std::string name_;
    Mono deadline_;
};

bool is_wanted(const Options& options, std::string_view shown) {
    return options.only.empty() ||
           std::find(options.only.begin(), options.only.end(), shown) != options.only.end();
}

// Some rows are understood by others: members by their team, a team by its aliases.
bool is_read(const Options& options, std::string_view shown) {
    return is_wanted(options, shown) || (shown == "teams" && is_wanted(options, "team members")) ||
           (shown == "team model aliases" && is_wanted(options, "teams"));
}

Result<std::string> read_all(const Options& options, LitellmRows& rows,
                             std::vector<LeftOut>& unreadable) {
    Source source = TRY(Source::open(options.url));
    bool any = false;
    for (const LitellmTable& table : litellm_tables()) {
        if (!is_read(options, table.shown)) {
            continue;
        }
        const bool there = TRY(source.read(
            table.name, [&](const Value& row) { rows.add(table.name, row); },
            [&](std::string why) {
                unreadable.push_back({table.name, "a row", std::move(why)});
            }));
        any = any || there;
    }
    if (!any) {
        return caller_error(Kind::not_found,
                            "there are no tables of LiteLLM in " + source.name() +
                                ": is it another database, or a schema (?schema=NAME)?");
    }
    rows.finish();
    return source.name();
}

// ---- deciding ----------------------------------------------------------------------------------

Value amount(const Value& usd) {
    return Value(json::Number{render_usd(governance::read_usd(usd).value_or(NanoCredits{}))});
}

// The running window is the gateway's as soon as one has ended here.
void carry_window(const Value& before, Value& after) {
    for (const std::string_view name :
         {std::string_view("spend"), kOffset, std::string_view("budget_reset_at")}) {
        if (const Value* value = before.find(name)) {
            after.set(name, *value);
        } else {
            after.erase(name);
        }
    }
}

// What was here and was deleted: an import does not bring a revoked key back to life.
using Deleted = std::set<std::pair<EntityKind, std::string>>;

Result<Deleted> find_deleted(governance::EntityStore& store,
                             const governance::Directory& directory) {
    constexpr size_t kPage = 10'000;
    Deleted deleted;
    for (int64_t version = 0;;) {
        const auto page = TRY(store.changes_since(version, kPage));
        for (const governance::Entity& entity : page) {
            if (entity.is_deleted()) {
                deleted.emplace(entity.kind, entity.id);
            }
            version = entity.version;
        }
        if (page.size() < kPage) {
            break;
        }
    }
    // The store forgets deletions after a while; the copies for reports stay.
    for (const auto& [copy, kind] : {std::pair{EntityKind::deleted_key, EntityKind::key},
                                     {EntityKind::deleted_team, EntityKind::team}}) {
        for (const auto& entity : directory.list(copy)) {
            deleted.emplace(kind, entity->id);
        }
    }
    return deleted;
}

void decide(Imported& one, const governance::Directory& directory, const Deleted& deleted,
            const Options& options, Outcome& outcome) {
    Count& count = outcome.counts[std::string(one.table)];
    const auto known = directory.find(one.kind, one.id);
    const bool exists = known != nullptr && !known->is_deleted();
    if (one.doc.has("spend")) {
        one.doc.set("spend", options.spend ? amount(one.doc["spend"]) : Value(json::Number{"0.0"}));
    }
    const auto write = [&](Value doc) {
        doc.set(kImportMark, one.source + ":" + digest_of(doc));
        outcome.changes.push_back({one.kind, one.id, std::move(doc), exists ? known->version : 0});
    };
    if (!exists && !options.overwrite && deleted.count({one.kind, one.id}) != 0) {
        ++count.kept;
        outcome.kept.push_back({one.table, one.name, "it was deleted here"});
        return;
    }
    if (!exists) {
        ++count.fresh;
        return write(one.doc);
    }
    const std::string_view mark = known->doc[kImportMark].as_string();
    const std::string_view source = mark.substr(0, mark.find(':'));
    const bool untouched =
        mark.size() > source.size() && mark.substr(source.size() + 1) == digest_of(known->doc);
    const bool own_window = known->doc.has(kOffset);
    const auto spent = [](const Value& doc) {
        return governance::read_usd(doc["spend"]).value_or(NanoCredits{});
    };
    const bool moves = !own_window && options.spend && spent(known->doc) != spent(one.doc);
    if (source == one.source) {
        if (!moves || !untouched || !one.doc.has("spend")) {
            ++count.same;
            return;
        }
        ++count.changed;
        ++outcome.moved;
        Value doc = known->doc;
        doc.set("spend", one.doc["spend"]);
        return write(std::move(doc));
    }
    if (!untouched && !options.overwrite) {
        ++count.kept;
        outcome.kept.push_back(
            {one.table, one.name, mark.empty() ? "it was made here" : "it was changed here"});
        return;
    }
    ++count.changed;
    outcome.moved += moves ? 1 : 0;
    if (own_window || !options.spend) {
        carry_window(known->doc, one.doc);
    }
    write(one.doc);
}

// ---- telling -----------------------------------------------------------------------------------

// Models that come but cannot be served here, with what the configuration's reader says of them.
std::vector<std::string> find_unserved(std::vector<Imported>& found, const Seal& seal,
                                       const Env& env) {
    std::vector<std::string> out;
    for (const Imported& one : found) {
        if (one.kind != EntityKind::model) {
            continue;
        }
        auto params = admin::open_members(one.doc["litellm_params"], seal, "model/" + one.id);
        if (!params) {
            continue;
        }
        Value file = Value::object();
        file.set("model_list",
                 Value::array({Value::object({{"model_name", one.doc["model_name"]},
                                              {"litellm_params", std::move(*params)}})}));
        auto loaded = load_config_text(json::dump(file), "the database", env);
        if (loaded && !loaded->table.deployments.empty() && !loaded->has_errors()) {
            continue;
        }
        std::string why = loaded ? "" : loaded.error().message;
        if (loaded && !loaded->diagnostics.empty()) {
            why = loaded->diagnostics[0].message;
        }
        out.push_back("model " + one.name + " comes, but is not served: " + why);
    }
    return out;
}

std::string_view shown_table(std::string_view name) {
    for (const LitellmTable& table : litellm_tables()) {
        if (table.name == name) {
            return table.shown;
        }
    }
    return name;
}

void tell(const std::string& source, const Options& options, const LitellmRows& rows,
          const Outcome& outcome, const std::vector<LeftOut>& left_out,
          const std::vector<std::string>& notes, const Env& env) {
    if (options.json) {
        Value tables = Value::object();
        std::map<std::string_view, int64_t> gone;
        for (const LeftOut& one : left_out) {
            ++gone[one.table];
        }
        for (const LitellmTable& table : litellm_tables()) {
            const auto seen = rows.seen().find(table.name);
            const auto count = outcome.counts.find(table.name);
            const Count c = count == outcome.counts.end() ? Count() : count->second;
            if (table.shown == "team model aliases") {
                continue;
            }
            tables.set(table.shown,
                       Value::object({{"found", seen == rows.seen().end() ? 0 : seen->second},
                                      {"new", c.fresh},
                                      {"changed", c.changed},
                                      {"same", c.same},
                                      {"kept", c.kept},
                                      {"left_out", gone[table.name]}}));
        }
        const auto list = [](const std::vector<LeftOut>& all) {
            Value out = Value::array();
            for (const LeftOut& one : all) {
                out.push(Value::object(
                    {{"table", shown_table(one.table)}, {"name", one.name}, {"why", one.why}}));
            }
            return out;
        };
        Value said = Value::array();
        for (const std::string& note : notes) {
            said.push(note);
        }
        print(json::dump_pretty(Value::object({{"source", source},
                                               {"dry_run", options.dry_run},
                                               {"tables", std::move(tables)},
                                               {"left_out", list(left_out)},
                                               {"kept", list(outcome.kept)},
                                               {"notes", std::move(said)}})) +
              "\n");
        return;
    }
    const Colour colour = verb_colour(env);
    TextTable table({{""},
                     {"FOUND", Align::right},
                     {"NEW", Align::right},
                     {"CHANGED", Align::right},
                     {"SAME", Align::right},
                     {"KEPT", Align::right, 0, true},
                     {"LEFT OUT", Align::right, 0, true}});
    const auto number = [](int64_t n) { return n == 0 ? std::string() : show_number(n); };
    for (const LitellmTable& one : litellm_tables()) {
        const auto seen = rows.seen().find(one.name);
        const auto count = outcome.counts.find(one.name);
        const auto gone = std::count_if(left_out.begin(), left_out.end(),
                                        [&](const LeftOut& l) { return l.table == one.name; });
        if (one.shown == "team model aliases" || !is_wanted(options, one.shown) ||
            (seen == rows.seen().end() && count == outcome.counts.end())) {
            continue;
        }
        const Count c = count == outcome.counts.end() ? Count() : count->second;
        table.add({std::string(one.shown),
                   show_number(seen == rows.seen().end() ? 0 : seen->second), number(c.fresh),
                   number(c.changed), number(c.same), number(c.kept), number(gone)});
    }
    std::string out =
        "From LiteLLM's database " + source + "\n\n" + table.render(terminal_columns(), colour);
    const auto list = [&out](std::string_view head, const std::vector<LeftOut>& all) {
        if (all.empty()) {
            return;
        }
        out += "\n" + std::string(head) + "\n";
        for (size_t i = 0; i < std::min(all.size(), kLeftOutShown); ++i) {
            out += wrap(
                std::string(shown_table(all[i].table)) + ": " + all[i].name + ": " + all[i].why,
                "  ", "    ", terminal_columns());
            out += out.ends_with('\n') ? "" : "\n";
        }
        if (all.size() > kLeftOutShown) {
            out += "  and " + show_number(static_cast<int64_t>(all.size() - kLeftOutShown)) +
                   " more: --json lists all\n";
        }
    };
    list("Left out", left_out);
    list("Kept as it is here (--overwrite takes LiteLLM's)", outcome.kept);
    if (!notes.empty()) {
        out += "\nWorth knowing\n";
        for (const std::string& note : notes) {
            out += wrap(note, "  ", "    ", terminal_columns());
            out += out.ends_with('\n') ? "" : "\n";
        }
    }
    out += options.dry_run ? "\nNothing has been written (--dry-run).\n"
                           : "\nDone. A running gateway knows within a second.\n";
    print(out);
}

// ---- doing -------------------------------------------------------------------------------------

Result<void> import(const Options& options, const Config& config, const Env& env) {
    const Secret master = config.general.master_key.empty() ? Secret(std::string(kExampleKey))
                                                            : config.general.master_key;
    if (config.general.database_url.empty()) {
        TRY(store::make_data_dir(data_dir_of(env)));
    }
    const auto store = TRY(open_entities(config, data_dir_of(env)));
    const auto seal = TRY(open_seal(config, master));
    governance::Directory directory;
    TRY(governance::read_changes(*store, directory));

    const LitellmSeal opened(options.salts);
    LitellmRows rows(opened, *seal, unix_millis(system_clock().wall()));
    std::vector<LeftOut> left_out;
    const std::string source = TRY(read_all(options, rows, left_out));
    left_out.insert(left_out.end(), rows.left_out().begin(), rows.left_out().end());
    std::vector<std::string> notes = rows.notes();
    for (std::string& note : find_unserved(rows.found(), *seal, env)) {
        notes.push_back(std::move(note));
    }
    const Deleted deleted = TRY(find_deleted(*store, directory));
    Outcome outcome;
    for (const LitellmTable& table : litellm_tables()) {  // what limits keys before the keys
        for (Imported& one : rows.found()) {
            if (one.table == table.name && is_wanted(options, table.shown)) {
                decide(one, directory, deleted, options, outcome);
            }
        }
    }
    if (outcome.moved != 0) {
        notes.push_back("what was spent there since the last import (" +
                        show_number(outcome.moved) +
                        " rows) counts in a gateway that runs here from its next start on");
    }
    const bool models =
        std::any_of(rows.found().begin(), rows.found().end(),
                    [](const Imported& one) { return one.kind == EntityKind::model; });
    if (models && !config.general.store_model_in_db) {
        notes.push_back(
            "models come with the others; general_settings.store_model_in_db lets them be "
            "changed over the API too");
    }
    for (size_t at = 0; !options.dry_run && at < outcome.changes.size(); at += kBatch) {
        const auto begin = outcome.changes.begin() + static_cast<std::ptrdiff_t>(at);
        const auto size = std::min(kBatch, outcome.changes.size() - at);
        const auto written = store->apply({begin, begin + static_cast<std::ptrdiff_t>(size)});
        if (!written && written.error().code == "conflict") {
            return gateway_error(Kind::invalid_request,
                                 "something was changed here while the import ran: run it again, "
                                 "it goes on where it stopped");
        }
        TRY(written);
    }
    tell(source, options, rows, outcome, left_out, notes, env);
    return {};
}

Result<Options> read_options(Flags& flags, const Config& config, const Env& env,
                             const std::optional<std::string>& url,
                             const std::optional<std::string>& salt,
                             const std::optional<std::string>& master) {
    Options options;
    options.url = url ? Secret(*url) : Secret(env("LITELLM_DATABASE_URL").value_or(""));
    if (options.url.empty()) {
        options.url = config.general.database_url;
    }
    if (options.url.empty()) {
        return caller_error(Kind::invalid_request,
                            "where is LiteLLM's database? Give --database-url "
                            "postgresql://USER:PASSWORD@HOST:5432/DATABASE, or set "
                            "LITELLM_DATABASE_URL");
    }
    for (const auto& key : {salt, master}) {
        if (key) {
            options.salts.emplace_back(*key);
        }
    }
    options.salts.push_back(config.general.salt_key);
    options.salts.push_back(config.general.master_key);
    for (const Secret& one : options.salts) {
        if (!one.empty()) {
            log::remember_secret(one.reveal());
        }
    }
    options.dry_run = flags.take("--dry-run");
    options.overwrite = flags.take("--overwrite");
    options.spend = !flags.take("--no-spend");
    options.json = flags.take("--json");
    if (const auto only = TRY(flags.take_value("--only"))) {
        options.only = split_list(*only);
        for (const std::string& name : options.only) {
            const auto& tables = litellm_tables();
            if (std::none_of(tables.begin(), tables.end(),
                             [&](const LitellmTable& table) { return table.shown == name; })) {
                std::string known;
                for (const LitellmTable& table : tables) {
                    known += (known.empty() ? "" : ", ") + std::string(table.shown);
                }
                return caller_error(Kind::invalid_request,
                                    "--only takes some of " + known + "; not '" + name + "'");
            }
        }
    }
    return options;
}

}  // namespace

int import_verb(const std::vector<std::string_view>& arguments) {
    if (arguments.empty() || arguments[0] == "help") {
        print(kHelp);
        return arguments.empty() ? kExitUsage : 0;
    }
    Flags flags(arguments);
    const Env env = process_env();
    quiet_verb_log();
    auto config_path = flags.take_value("--config");
    auto url = flags.take_value("--database-url");
    auto salt = flags.take_value("--salt-key");
    auto master = flags.take_value("--master-key");
    for (const auto* value : {&config_path, &url, &salt, &master}) {
        if (!*value) {
            return wrong_usage(value->error());
        }
    }
    auto config = read_verb_config(config_path->value_or(""), env);
    if (!config) {
        return fail_verb(config.error());
    }
    auto options = read_options(flags, *config, env, *url, *salt, *master);
    auto words = flags.rest({"--config", "--database-url", "--salt-key", "--master-key",
                             "--dry-run", "--overwrite", "--no-spend", "--json", "--only"});
    if (!words) {
        return wrong_usage(words.error());
    }
    if (words->size() != 1 || (*words)[0] != "litellm") {
        return wrong_usage(caller_error(Kind::invalid_request,
                                        "belay import knows one source: belay import litellm"));
    }
    if (!options) {
        return wrong_usage(options.error());
    }
    if (const auto done = import(*options, *config, env); !done) {
        return fail_verb(done.error());
    }
    return 0;
}

}  // namespace belay::app
