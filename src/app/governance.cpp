#include "app/governance.h"

#include <algorithm>

#include "admin/secrets.h"
#include "app/cli.h"
#include "base/log.h"
#include "governance/duration.h"
#include "store/postgres_entities.h"
#include "store/sqlite_entities.h"

namespace belay::app {
namespace {

constexpr seconds kRefresh{1};
constexpr const char* kNoModel = "no model";
// Where a window's beginning stands in an entity: what the ledger's sum over all time must be
// changed by to give the spend of the running window. Never shown.
constexpr std::string_view kOffset = "spend_offset_nano";

governance::ScopeKind to_scope(ledger::ScopeSum::Kind kind) {
    switch (kind) {
        case ledger::ScopeSum::Kind::key:
            return governance::ScopeKind::key;
        case ledger::ScopeSum::Kind::user:
            return governance::ScopeKind::user;
        case ledger::ScopeSum::Kind::team:
            return governance::ScopeKind::team;
        case ledger::ScopeSum::Kind::team_member:
            return governance::ScopeKind::team_member;
        case ledger::ScopeSum::Kind::organization:
            return governance::ScopeKind::organization;
        case ledger::ScopeSum::Kind::customer:
            return governance::ScopeKind::customer;
        case ledger::ScopeSum::Kind::tag:
            return governance::ScopeKind::tag;
        case ledger::ScopeSum::Kind::global:
            return governance::ScopeKind::global;
    }
    return governance::ScopeKind::global;
}

std::optional<governance::EntityKind> entity_of(governance::ScopeKind kind) {
    switch (kind) {
        case governance::ScopeKind::key:
            return governance::EntityKind::key;
        case governance::ScopeKind::user:
            return governance::EntityKind::user;
        case governance::ScopeKind::team:
            return governance::EntityKind::team;
        case governance::ScopeKind::team_member:
            return governance::EntityKind::team_member;
        case governance::ScopeKind::organization:
            return governance::EntityKind::organization;
        case governance::ScopeKind::customer:
            return governance::EntityKind::customer;
        case governance::ScopeKind::tag:
            return governance::EntityKind::tag;
        case governance::ScopeKind::global:
            return governance::EntityKind::config;
    }
    return std::nullopt;
}

int64_t offset_of(const json::Value& doc) {
    if (const json::Value* offset = doc.find(kOffset)) {
        return offset->as_int().value_or(0);
    }
    const auto initial = parse_usd(doc["spend"].number_text());
    return initial ? initial->value : 0;
}

NanoCredits to_money(double usd) {
    const auto amount = parse_usd(json::dump(json::Value(usd)));
    return amount ? *amount : NanoCredits{};
}

// Settings stored at run time come before the file's, each by itself.
void lay_over(const Config& stored, routing::Table& table) {
    const auto says = [&](std::string_view key) {
        for (const std::string_view section : {"router_settings.", "litellm_settings."}) {
            if (stored.effective.count(std::string(section) + std::string(key)) != 0) {
                return true;
            }
        }
        return false;
    };
    const routing::Table& from = stored.table;
    for (const auto& [own, other] :
         {std::pair{&table.fallbacks, &from.fallbacks},
          {&table.context_window_fallbacks, &from.context_window_fallbacks},
          {&table.content_policy_fallbacks, &from.content_policy_fallbacks}}) {
        for (const auto& [group, targets] : *other) {
            (*own)[group] = targets;
        }
    }
    for (const auto& [name, alias] : from.aliases) {
        table.aliases[name] = alias;
    }
    routing::Settings& own = table.settings;
    const routing::Settings& other = from.settings;
    if (says("num_retries")) {
        own.num_retries = other.num_retries;
    }
    if (says("timeout") || says("request_timeout")) {
        own.timeout = other.timeout;
    }
    if (says("stream_timeout")) {
        own.stream_timeout = other.stream_timeout;
    }
    if (says("cooldown_time")) {
        own.cooldown_time = other.cooldown_time;
    }
    if (says("allowed_fails")) {
        own.allowed_fails = other.allowed_fails;
    }
    if (says("disable_cooldowns")) {
        own.disable_cooldowns = other.disable_cooldowns;
    }
    if (says("retry_after")) {
        own.retry_after = other.retry_after;
    }
    if (says("max_fallbacks")) {
        own.max_fallbacks = other.max_fallbacks;
    }
    if (says("drop_params")) {
        own.drop_params = other.drop_params;
    }
    if (says("enable_tag_filtering")) {
        own.enable_tag_filtering = other.enable_tag_filtering;
    }
}

// What the file says of one section, as a document: secrets are left out.
json::Value section(const Config& config, std::string_view name) {
    json::Value out = json::Value::object();
    const std::string prefix = std::string(name) + ".";
    for (auto at = config.effective.lower_bound(prefix);
         at != config.effective.end() && at->first.starts_with(prefix); ++at) {
        const std::string key = at->first.substr(prefix.size());
        if (key.find('.') != std::string::npos || at->second.shown.empty()) {
            continue;
        }
        auto value = json::parse(at->second.shown);
        if (value.ok()) {
            out.set(key, std::move(*value));
        }
    }
    return out;
}

}  // namespace

Result<std::unique_ptr<Governance>> Governance::open(const Config& config, const Secret& master_key,
                                                     Needs needs) {
    std::unique_ptr<Governance> out(new Governance(std::move(needs)));
    TRY(out->open_store(config));
    std::vector<Secret> salts;
    if (!config.general.salt_key.empty()) {
        salts.push_back(config.general.salt_key);
    }
    salts.push_back(master_key);
    out->seal_ = TRY(make_seal(std::move(salts)));
    out->configure(config, master_key);
    TRY(out->read_all());
    TRY(out->read_spend());
    Governance* self = out.get();
    out->management_ = std::make_unique<admin::Management>(admin::Services{
        .clock = system_clock(),
        .store = *out->store_,
        .directory = out->directory_,
        .governor = out->governor_,
        .queries = out->needs_.queries,
        .ledger = &out->needs_.ledger,
        .seal = out->seal_.get(),
        .settings =
            [self] {
                const std::lock_guard lock(self->mutex_);
                return self->settings_;
            },
        .table = out->needs_.table,
        .on_models_changed = out->needs_.on_models_changed,
        .requests_in_flight = out->needs_.requests_in_flight,
        .is_cooling = out->needs_.is_cooling,
    });
    out->thread_ = std::thread([self] { self->keep_true(); });
    return out;
}

Governance::~Governance() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

Result<void> Governance::open_store(const Config& config) {
    const Secret& url = config.general.database_url;
    if (!url.empty()) {
        store_ = TRY(store::PostgresEntities::open(url.reveal()));
        return {};
    }
    store_ = TRY(store::SqliteEntities::open(needs_.data_dir + "/" +
                                             std::string(store::SqliteEntities::kDatabaseName)));
    return {};
}

void Governance::configure(const Config& config, const Secret& master_key) {
    governance::Directory::Defaults defaults;
    const LitellmSettings& litellm = config.litellm;
    defaults.zone = litellm.zone;
    const int64_t now_ms = unix_millis(system_clock().wall());
    const auto window = [&](double usd, const std::string& duration) {
        governance::BudgetWindow budget;
        budget.most = to_money(usd);
        budget.duration = duration;
        if (!duration.empty()) {
            const auto end = governance::window_end(duration, now_ms, litellm.zone);
            budget.reset_at_ms = end ? *end : 0;
        }
        return budget;
    };
    if (litellm.max_budget.value_or(0) > 0) {
        defaults.global.budgets.push_back(window(*litellm.max_budget, litellm.budget_duration));
    }
    if (litellm.max_end_user_budget) {
        defaults.customer_budget = window(*litellm.max_end_user_budget, {});
    }
    defaults.customer_budget_id = litellm.max_end_user_budget_id;
    directory_.set_defaults(std::move(defaults));
    governor_.set_zone(litellm.zone);

    auto settings = std::make_shared<admin::Settings>();
    settings->master_key = master_key;
    settings->ui_username = config.general.ui_username;
    settings->ui_password = config.general.ui_password;
    settings->store_model_in_db = config.general.store_model_in_db;
    settings->store_audit_logs = litellm.store_audit_logs;
    settings->zone = litellm.zone;
    if (litellm.max_budget.value_or(0) > 0) {
        settings->max_budget = to_money(*litellm.max_budget);
    }
    settings->router_settings = section(config, "router_settings");
    settings->general_settings = section(config, "general_settings");
    settings->litellm_settings = section(config, "litellm_settings");
    for (auto& [name, place] :
         {std::pair{"key_generation_settings", &settings->key_generation_settings},
          {"default_key_generate_params", &settings->default_key_generate_params},
          {"upperbound_key_generate_params", &settings->upperbound_key_generate_params},
          {"default_internal_user_params", &settings->default_internal_user_params}}) {
        *place = settings->litellm_settings[name];
    }
    settings->version = kVersion;
    const std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
}

Result<void> Governance::read_all() {
    TRY(governance::read_changes(*store_, directory_));
    return {};
}

// Budgets go on where they stood: the ledger's sums, moved by what each scope's window began with.
Result<void> Governance::read_spend() {
    needs_.ledger.flush();  // what a killed process left in the journal counts too
    std::vector<governance::Spent> spent;
    std::map<std::pair<governance::ScopeKind, std::string>, bool> seen;
    for (const auto& sum : TRY(needs_.queries.scope_sums())) {
        governance::Spent one;
        one.kind = to_scope(sum.kind);
        one.id = sum.id;
        one.model = sum.model;
        one.amount = sum.cost;
        one.premium_milli = sum.premium_milli;
        const auto kind = entity_of(one.kind);
        const auto entity = kind && one.model.empty() ? directory_.find(*kind, one.id) : nullptr;
        if (entity != nullptr) {
            one.amount.value += offset_of(entity->doc);
        }
        if (one.model.empty()) {
            seen[{one.kind, one.id}] = true;
        }
        spent.push_back(std::move(one));
    }
    // Scopes that begin with a spend of their own and were never charged here.
    for (const auto scope :
         {governance::ScopeKind::key, governance::ScopeKind::user, governance::ScopeKind::team,
          governance::ScopeKind::team_member, governance::ScopeKind::organization,
          governance::ScopeKind::customer, governance::ScopeKind::tag}) {
        for (const auto& entity : directory_.list(*entity_of(scope))) {
            const int64_t offset = offset_of(entity->doc);
            if (offset != 0 && !seen[{scope, entity->id}]) {
                spent.push_back({scope, entity->id, {}, NanoCredits{offset}, 0});
            }
        }
    }
    governor_.set_spent(spent);
    // Windows end whether or not anybody calls.
    const int64_t now_ms = unix_millis(system_clock().wall());
    for (const auto& key : directory_.list(governance::EntityKind::key)) {
        if (const auto caller = directory_.caller(key->id)) {
            for (const auto& scope : caller->scopes) {
                governor_.know(scope, now_ms);
            }
        }
    }
    return {};
}

void Governance::keep_true() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        wake_.wait_for(lock, kRefresh, [this] { return stopping_; });
        if (stopping_) {
            break;
        }
        lock.unlock();
        (void)management_->refresh();  // while the store is away, what is known holds
        reset_windows();
        lock.lock();
    }
}

// The counters have begun anew; the entities remember with which sum, so that a restart does too.
void Governance::reset_windows() {
    const int64_t now_ms = unix_millis(system_clock().wall());
    const auto ended = governor_.reset_ended(now_ms, system_clock().mono());
    std::vector<governance::Change> changes;
    for (const auto& reset : ended) {
        const auto kind = entity_of(reset.kind);
        const auto entity = kind ? directory_.find(*kind, reset.id) : nullptr;
        if (entity == nullptr) {
            continue;
        }
        governance::Change change{*kind, reset.id, entity->doc, entity->version};
        change.doc.set(kOffset, offset_of(entity->doc) - reset.cleared.value);
        change.doc.set("spend", 0.0);
        const std::string duration(entity->doc["budget_duration"].as_string());
        std::shared_ptr<const admin::Settings> settings;
        {
            const std::lock_guard lock(mutex_);
            settings = settings_;
        }
        if (!duration.empty()) {
            if (const auto end = governance::window_end(duration, now_ms, settings->zone)) {
                change.doc.set("budget_reset_at", render_utc(Wall(milliseconds(*end))));
            }
        }
        changes.push_back(std::move(change));
    }
    for (auto& change : changes) {  // one by one: a conflict of one must not hold up the others
        auto written = store_->apply({change});
        if (written) {
            directory_.apply(*written);
        } else if (written.error().code != "conflict") {
            log::write(log::Level::warn, "budget.reset",
                       "a budget's new window could not be stored: " + written.error().message);
        }
    }
}

void Governance::add_models(routing::Table& table) const {
    json::Value file = json::Value::object();
    json::Value models = json::Value::array();
    for (const auto& entity : directory_.list(governance::EntityKind::model)) {
        if (entity->doc["model_info"]["blocked"].as_bool()) {
            continue;
        }
        json::Value model = json::Value::object();
        model.set("model_name", entity->doc["model_name"]);
        model.set("litellm_params", open_params(entity->id, entity->doc["litellm_params"]));
        json::Value info = entity->doc["model_info"];
        info.set("id", entity->id);
        model.set("model_info", std::move(info));
        models.push(std::move(model));
    }
    // Without any model the built-in ones would be read; this one stands for none.
    models.push(
        json::Value::object({{"model_name", kNoModel},
                             {"litellm_params", json::Value::object({{"model", "openai/none"}})}}));
    file.set("model_list", std::move(models));
    for (const std::string_view name : {"router_settings", "litellm_settings"}) {
        if (const auto stored = directory_.find(governance::EntityKind::config, name)) {
            const json::Value& value = stored->doc["param_value"];
            file.set(name, value.is_object() ? open_sealed(value, "config/" + std::string(name))
                                             : json::Value::object());
        }
    }
    // JSON is YAML: what is stored is read by the file's own rules.
    auto loaded = load_config_text(json::dump(file), "the database", process_env());
    if (!loaded) {
        log::write(
            log::Level::error, "models.refused",
            "the models and settings in the database cannot be read: " + loaded.error().message);
        return;
    }
    for (const auto& deployment : loaded->table.deployments) {
        if (deployment->group == kNoModel) {
            continue;
        }
        auto own = std::make_shared<routing::Deployment>(*deployment);
        own->line = 0;
        table.deployments.push_back(std::move(own));
    }
    lay_over(*loaded, table);
}

// Values that the database seals are opened here and nowhere else; a credential that the model
// names adds what the model itself does not say.
json::Value Governance::open_params(const std::string& model_id, const json::Value& params) const {
    json::Value out = open_sealed(params, "model/" + model_id);
    const std::string name(out["litellm_credential_name"].as_string());
    if (name.empty()) {
        return out;
    }
    const auto credential = directory_.find(governance::EntityKind::credential, name);
    if (credential == nullptr) {
        log::write(log::Level::error, "models.credential",
                   "a model names a credential that does not exist",
                   {{"model", model_id}, {"credential", name}});
        return out;
    }
    const json::Value values =
        open_sealed(credential->doc["credential_values"], "credential/" + name);
    for (const auto& member : values.members()) {
        if (!out.has(member.key)) {
            out.set(member.key, member.value);
        }
    }
    out.erase("litellm_credential_name");
    return out;
}

json::Value Governance::open_sealed(const json::Value& object, const std::string& place) const {
    auto opened = admin::open_members(object, *seal_, place);
    if (opened) {
        return std::move(*opened);
    }
    log::write(log::Level::error, "models.sealed",
               "a stored secret does not open with this LITELLM_SALT_KEY or master key",
               {{"where", place}});
    return admin::without_secrets(object);
}

bool Governance::owns(std::string_view path) const { return admin::Management::serves(path); }

bool Governance::is_public(std::string_view path) const {
    return admin::Management::is_open("POST", path) || admin::Management::is_open("GET", path);
}

net::Task<void> Governance::handle(net::HttpRequest& request, net::HttpResponder& reply,
                                   governance::CallerPtr caller) {
    if (!co_await management_->serve(request, reply, std::move(caller))) {
        co_await reply.send(404, "application/json", R"({"detail":"Not Found"})");
    }
}

}  // namespace belay::app
