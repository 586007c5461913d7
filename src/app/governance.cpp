#include "app/governance.h"

#include <algorithm>
#include <utility>

#include "admin/secrets.h"
#include "app/cli.h"
#include "app/governance_parts.h"
#include "app/key_secret.h"
#include "base/ids.h"
#include "base/log.h"
#include "governance/duration.h"
#include "store/postgres_url.h"

namespace belay::app {
namespace {

constexpr seconds kRefresh{1};
constexpr const char* kNoModel = "no model";
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

}  // namespace

Result<std::unique_ptr<Governance>> Governance::open(const Config& config, const Secret& master_key,
                                                     Needs needs) {
    std::unique_ptr<Governance> out(new Governance(std::move(needs)));
    TRY(out->open_store(config));
    out->seal_ = TRY(open_seal(config, master_key));
    out->configure(config, master_key);
    TRY(out->read_all());
    if (auto known = out->learn_key_secret(); !known.ok() && out->directory_.is_current()) {
        return std::move(known).error();
    }
    TRY(out->read_spend());
    out->keep_accounts();
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
        .on_commit =
            [self] {
                std::function<void()> hook;
                {
                    const std::lock_guard lock(self->mutex_);
                    hook = self->hook_;
                }
                if (hook) {
                    hook();
                }
            },
        .requests_in_flight = out->needs_.requests_in_flight,
        .is_cooling = out->needs_.is_cooling,
        .accounts = out->needs_.accounts,
        .on_accounts_changed = [self] { self->keep_accounts(); },
        .find_payload = out->needs_.find_payload,
    });
    out->thread_ = std::thread([self] { self->keep_true(); });
    return out;
}

Governance::~Governance() { stop(); }

void Governance::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
    management_.reset();
}

Result<void> Governance::open_store(const Config& config) {
    store_ = TRY(open_entities(config, needs_.data_dir));
    if (const Secret& url = config.general.database_url; !url.empty()) {
        const store::PostgresUrl place = TRY(store::parse_postgres_url(url.reveal()));
        copy_ = std::make_unique<LocalCopy>(needs_.data_dir,
                                            sha256_hex(place.describe() + " " + place.schema));
    }
    return {};
}

void Governance::configure(const Config& config, const Secret& master_key) {
    directory_.set_defaults(directory_defaults(config));
    governor_.set_zone(config.litellm.zone);
    auto settings = admin_settings(config, master_key);
    const std::lock_guard lock(mutex_);
    settings_ = std::move(settings);
}

Result<void> Governance::read_all() {
    const Result<bool> read = governance::read_changes(*store_, directory_);
    if (read.ok()) {
        return {};
    }
    const bool away = read.error().kind == Kind::upstream_unavailable;
    return away && copy_ != nullptr ? begin_with_copy(read.error()) : read.error();
}

// Known keys are served as they were; whoever is not known may exist all the same.
Result<void> Governance::begin_with_copy(const Error& why) {
    directory_.set_current(false);
    auto restored = copy_->read();
    if (!restored.ok()) {
        log::write(log::Level::error, "copy.none",
                   "the database cannot be reached, and no copy of its keys is here: all keys but "
                   "the master key are answered 503 until it is back",
                   {{"reason", why.detail}, {"copy", restored.error().message}});
        return {};
    }
    directory_.replace(restored->entities);
    copied_spent_ = std::move(restored->spent);
    log::write(log::Level::warn, "copy.used",
               "the database cannot be reached: keys, budgets and models are those of the local "
               "copy until it is back",
               {{"reason", why.detail},
                {"as_of", render_utc(Wall(milliseconds(restored->saved_ms)))},
                {"keys", directory_.count(governance::EntityKind::key)}});
    return {};
}

// Budgets go on where they stood: the ledger's sums, moved by what each scope's window began with.
Result<void> Governance::read_spend() {
    needs_.ledger.flush();  // what a killed process left in the journal counts too
    const auto sums = needs_.feed.begin_feed();
    if (!sums.ok() && sums.error().kind == Kind::upstream_unavailable && copy_ != nullptr) {
        governor_.set_spent(std::exchange(copied_spent_, {}));
        know_windows();
        return {};
    }
    governor_.set_spent(spent_of(TRY(sums), directory_));
    spend_known_ = true;
    know_windows();
    return {};
}

// Windows end whether or not anybody calls.
void Governance::know_windows() {
    const int64_t now_ms = unix_millis(system_clock().wall());
    for (const auto& key : directory_.list(governance::EntityKind::key)) {
        if (const auto caller = directory_.caller(key->id)) {
            for (const auto& scope : caller->scopes) {
                governor_.know(scope, now_ms);
            }
        }
    }
}

void Governance::on_change(std::function<void()> hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
}

void Governance::look_now() {
    {
        const std::lock_guard lock(mutex_);
        looking_ = true;
    }
    wake_.notify_all();
}

void Governance::recount(std::function<void(std::vector<governance::SharedRow>)> then) {
    {
        const std::lock_guard lock(mutex_);
        recount_ = std::move(then);
        looking_ = true;
    }
    wake_.notify_all();
}

void Governance::keep_true() {
    std::unique_lock lock(mutex_);
    bool look_at_accounts = false;
    while (!stopping_) {
        wake_.wait_for(lock, kRefresh, [this] { return stopping_ || looking_ || accounts_dirty_; });
        if (stopping_) {
            break;
        }
        looking_ = false;
        const auto recount = std::exchange(recount_, nullptr);
        look_at_accounts = std::exchange(accounts_dirty_, false) || look_at_accounts;
        lock.unlock();
        catch_up();
        reset_windows();
        if (recount) {
            needs_.ledger.flush();
            if (const auto spent = find_spent(needs_.queries, directory_)) {
                recount(governor_.spent_by_ledger(*spent));
            }
        }
        if (accounts_generation_ != directory_.generation()) {
            keep_accounts();
        }
        if (look_at_accounts) {
            look_at_accounts = !note_accounts();
        }
        lock.lock();
    }
    if (copy_ != nullptr && spend_known_) {
        copy_->close(governor_);
    }
}

// Without it no key is found: the directory is current only with it.
Result<void> Governance::learn_key_secret() {
    if (!secret_known_) {
        directory_.set_key_secret(
            TRY(load_key_secret(*store_, directory_, *seal_, needs_.data_dir)));
        secret_known_ = true;
    }
    return {};
}

// While the store is away, what is known holds.
void Governance::catch_up() {
    const bool current = management_->refresh().ok() && learn_key_secret().ok();
    if (current && !directory_.is_current()) {
        log::write(log::Level::info, "store.back", "the database is back: keys are up to date");
    }
    directory_.set_current(current);
    if (current && !spend_known_) {
        (void)read_spend();
    }
    std::vector<governance::Spent> more;
    for (const auto& sum : needs_.feed.take_feed()) {
        more.push_back(to_spent(sum));
    }
    if (!more.empty()) {
        governor_.add_spent(more);
    }
    if (copy_ != nullptr && current && spend_known_) {
        copy_->keep(directory_, governor_);
    }
}

// The counters have begun anew; the entities remember with which sum, so that a restart does too.
void Governance::reset_windows() {
    const int64_t now_ms = unix_millis(system_clock().wall());
    std::vector<governance::Governor::Reset> ended = std::exchange(unstored_, {});
    for (auto& reset : governor_.reset_ended(now_ms, system_clock().mono())) {
        ended.push_back(std::move(reset));
    }
    if (!directory_.is_current()) {
        unstored_ = std::move(ended);  // until the store is back
        return;
    }
    std::vector<governance::Change> changes;
    for (const auto& reset : ended) {
        if (!reset.main || !reset.model.empty()) {
            continue;  // the offset is that of the entity's own budget
        }
        const auto kind = entity_of(reset.kind);
        const auto entity = kind ? directory_.find(*kind, reset.id) : nullptr;
        if (entity == nullptr ||
            parse_utc(entity->doc["budget_reset_at"].as_string()) > system_clock().wall()) {
            continue;  // gone, or another instance was faster
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

Env Governance::environment(Env base) const {
    const auto stored = directory_.find(governance::EntityKind::config, "environment_variables");
    if (stored == nullptr) {
        return base;
    }
    auto values = std::make_shared<const json::Value>(
        open_sealed(stored->doc["param_value"], "config/environment_variables"));
    return [values, base](std::string_view name) -> std::optional<std::string> {
        if (const json::Value* value = values->find(name); value != nullptr && value->is_string()) {
            return std::string(value->as_string());
        }
        return base(name);
    };
}

bool Governance::environment_changed() {
    const auto stored = directory_.find(governance::EntityKind::config, "environment_variables");
    const int64_t version = stored == nullptr ? 0 : stored->version;
    return environment_version_.exchange(version) != version;
}

void Governance::accounts_changed() {
    {
        const std::lock_guard lock(mutex_);
        accounts_dirty_ = true;
    }
    wake_.notify_all();
}

void Governance::keep_accounts() {
    if (needs_.accounts == nullptr) {
        return;
    }
    accounts_generation_ = directory_.generation();
    std::vector<std::string> ids;
    for (const auto& entity : directory_.list(governance::EntityKind::account)) {
        ids.push_back(entity->id);
    }
    needs_.accounts->keep(ids);
}

// A sign-in that has come binds its user; the login is written down for lists.
bool Governance::note_accounts() {
    bool all = true;
    for (const auto& entity : directory_.list(governance::EntityKind::account)) {
        const auto service = needs_.accounts->find(entity->id);
        const auto view = service != nullptr ? service->view() : nullptr;
        const bool good =
            view != nullptr && view->phase == accounts::Phase::signed_in && !view->login.empty();
        if (!good || (!entity->doc["connected_at"].is_null() &&
                      entity->doc["login"].as_string() == view->login)) {
            continue;
        }
        governance::Change change{entity->kind, entity->id, entity->doc, entity->version};
        change.doc.set("login", view->login);
        change.doc.set("connected_at", render_utc(system_clock().wall()));
        auto written = store_->apply({change});
        if (written) {
            directory_.apply(*written);
            log::write(log::Level::info, "account.connected",
                       "a person's Copilot account is connected",
                       {{"account", entity->id},
                        {"user", entity->doc["user_id"].as_string()},
                        {"login", view->login}});
        } else {
            all = false;  // again in a second
        }
    }
    return all;
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
    auto loaded = load_config_text(json::dump(file), "the database", environment(process_env()));
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
