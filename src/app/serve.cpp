#include "app/serve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "app/banner.h"
#include "app/check.h"
#include "app/demo.h"
#include "app/resident.h"
#include "base/log.h"
#include "gateway/auth.h"
#include "ledger/render.h"
#include "store/data_dir.h"
#include "store/postgres_ledger.h"
#include "store/sqlite_ledger.h"
#include "wire/json.h"
#include "wire/url.h"

namespace belay::app {
namespace {

constexpr std::string_view kExampleKey = "sk-1234";
constexpr size_t kStrongKey = 3 + 22;  // "sk-" and 128 bits in base64
constexpr milliseconds kWatchEvery{500};
constexpr milliseconds kGrace{30'000};
constexpr milliseconds kAccountPatience{700};  // the start-up text is better with the account in it

// Keys that stand in documentation and tutorials everywhere.
bool is_weak(std::string_view key) {
    return key.size() < kStrongKey || key.find("1234") == 3 || key.find("change") != key.npos ||
           key.find("example") != key.npos;
}

bool reaches_only_this_machine(std::string_view host) { return is_loopback_host(host); }

void write_request(const ledger::SpendRecord& record) {
    if (!log::enabled(log::Level::info)) {
        return;
    }
    std::string line;
    ledger::render_line(line, record,
                        log::options().colour ? ledger::Colour::on : ledger::Colour::off);
    log::write_line(log::Level::info, "request", line,
                    {{"id", record.request_id},
                     {"asked", record.asked},
                     {"group", record.model_group},
                     {"model", record.upstream_model},
                     {"status", record.http_status},
                     {"outcome", ledger::status_name(record.status)},
                     {"prompt_tokens", record.usage.prompt()},
                     {"cached_tokens", record.usage.cache_read},
                     {"completion_tokens", record.usage.output},
                     {"cost_nanocredits", record.cost.value},
                     {"cost_source", chat::cost_source_name(record.cost_source)},
                     {"fallbacks", record.attempted_fallbacks},
                     {"retries", record.attempted_retries},
                     {"fallback_reason", record.fallback_reason},
                     {"first_token_us", record.first_token_us},
                     {"total_us", record.total_us},
                     {"error", record.error_message}});
}

void configure_log(const ServeOptions& options, const Config& config, const Env& env) {
    log::Options out;
    const std::string level = env("LITELLM_LOG").value_or("");
    if (options.detailed_debug || level == "DEBUG") {
        out.level = log::Level::debug;
    } else if (level == "WARNING" || level == "WARN") {
        out.level = log::Level::warn;
    } else if (level == "ERROR") {
        out.level = log::Level::error;
    }
    const std::string json = env("JSON_LOGS").value_or("");
    out.format = config.litellm.json_logs || json == "true" || json == "True" || json == "1"
                     ? log::Format::json
                     : log::Format::human;
    out.colour = stderr_is_terminal() && !env("NO_COLOR");
    log::configure(out);
}

// "a,b,c" without empty items.
std::vector<std::string> read_list(const std::optional<std::string>& text) {
    std::vector<std::string> items;
    const std::string all = text.value_or("");
    for (size_t at = 0; at < all.size();) {
        const size_t end = std::min(all.find(',', at), all.size());
        if (end > at) {
            items.push_back(all.substr(at, end - at));
        }
        at = end + 1;
    }
    return items;
}

std::string accounts_dir(const Env& env, const std::string& data) {
    const std::string own = env("BELAY_ACCOUNTS_DIR").value_or("");
    return own.empty() ? data + "/accounts" : own;
}

// Size, time and inode of each file: what changes when an editor saves.
std::string stamp(const std::vector<std::string>& files) {
    std::string out;
    for (const auto& file : files) {
        struct stat s {};
        if (::stat(file.c_str(), &s) == 0) {
            out += std::to_string(s.st_ino) + ":" + std::to_string(s.st_size) + ":" +
                   std::to_string(s.st_mtim.tv_sec) + "." + std::to_string(s.st_mtim.tv_nsec);
        }
        out += "\n";
    }
    return out;
}

}  // namespace

namespace {

void add_capabilities(routing::Deployment& deployment, const accounts::Model& model) {
    auto& capabilities = deployment.capabilities;
    if (!capabilities.tools) {
        capabilities.tools = model.supports.tools;
    }
    if (!capabilities.vision) {
        capabilities.vision = model.supports.vision;
    }
    if (!capabilities.max_input_tokens && model.limits.prompt > 0) {
        capabilities.max_input_tokens = model.limits.prompt;
    }
    if (!capabilities.max_output_tokens && model.limits.output > 0) {
        capabilities.max_output_tokens = model.limits.output;
    }
}

// A wildcard's models by name, so that "gpt-4.1" finds one and a name nobody knows does not.
void expand_wildcard(routing::Table& table, const routing::Deployment& wildcard,
                     const accounts::Catalogue& catalogue) {
    const std::string prefix(wildcard.group, 0, wildcard.group.size() - 1);
    for (const auto& model : catalogue.models) {
        const std::string name = prefix + model.id;
        const bool known =
            std::any_of(table.deployments.begin(), table.deployments.end(),
                        [&](const auto& deployment) { return deployment->group == name; });
        if (known || !model.enabled()) {
            continue;
        }
        auto one = std::make_shared<routing::Deployment>(wildcard);
        one->group = name;
        one->model = model.id;
        one->id = wildcard.id + "/" + model.id;
        one->from_wildcard = true;
        one->mode = model.type == "embeddings" ? routing::Mode::embedding : routing::Mode::chat;
        add_capabilities(*one, model);
        table.deployments.push_back(std::move(one));
    }
}

// Headers of a deployment that are likely to hold a credential.
bool names_a_secret(std::string_view header) {
    static constexpr std::string_view kWords[] = {"auth", "key",  "token",   "secret",
                                                  "pass", "cred", "session", "cookie"};
    std::string name(header);
    for (char& c : name) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return std::any_of(std::begin(kWords), std::end(kWords),
                       [&name](std::string_view word) { return name.find(word) != name.npos; });
}

// An upstream may say in an error what it was sent: the client must not read it there.
void remember_secrets(const routing::Table& table) {
    for (const auto& deployment : table.deployments) {
        log::remember_secret(deployment->api_key.reveal());
        for (const auto& [name, value] : deployment->extra_headers) {
            if (names_a_secret(name)) {
                log::remember_secret(value);
            }
        }
    }
}

// A core holds every token and key in clear. The second call is for kernels that hand cores to a
// program, which does not care for the limit.
void forbid_core_dumps() {
    const rlimit none{0, 0};
    (void)::setrlimit(RLIMIT_CORE, &none);
    (void)::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace

std::shared_ptr<const routing::Table> enrich(const routing::Table& table,
                                             const accounts::Catalogue* catalogue) {
    auto out = std::make_shared<routing::Table>(table);
    if (catalogue == nullptr) {
        return out;
    }
    for (const auto& deployment : table.deployments) {
        if (deployment->provider == "github_copilot" && deployment->group.ends_with("/*") &&
            deployment->model == "*") {
            expand_wildcard(*out, *deployment, *catalogue);
        }
    }
    for (auto& deployment : out->deployments) {
        const accounts::Model* model =
            deployment->provider == "github_copilot" ? catalogue->find(deployment->model) : nullptr;
        if (model != nullptr) {
            auto better = std::make_shared<routing::Deployment>(*deployment);
            add_capabilities(*better, *model);
            deployment = std::move(better);
        }
    }
    return out;
}

Result<std::shared_ptr<const Config>> Service::read_config(const ServeOptions& options,
                                                           const Env& env) {
    const std::string path = options.demo && options.config.empty()
                                 ? std::string()
                                 : find_config_path(options.config, env);
    if (path.empty()) {
        return std::make_shared<const Config>(default_config(env));
    }
    auto loaded = TRY(load_config(path, env));
    return std::make_shared<const Config>(std::move(loaded));
}

Result<std::unique_ptr<Service>> Service::make(const ServeOptions& options, const Env& env) {
    std::unique_ptr<Service> service(new Service());
    service->options_ = options;
    service->env_ = env;
    service->config_ = TRY(read_config(options, env));
    const Config& config = *service->config_;
    configure_log(options, config, env);
    if (!config.diagnostics.empty() && log::enabled(log::Level::warn) &&
        log::options().format == log::Format::human) {
        complain(render_diagnostics(config.diagnostics,
                                    log::options().colour ? Colour::on : Colour::off,
                                    terminal_columns()));
    }
    if (config.is_fatal()) {
        return caller_error(Kind::invalid_request,
                            "the configuration has errors, see above (belay check shows them too)");
    }
    for (const auto& [name, value] : config.environment_variables) {
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    TRY(service->decide_address(options, env));
    service->stamps_ = stamp(config.files);

    const std::string data =
        store::default_data_dir(env("BELAY_DATA_DIR"), env("XDG_DATA_HOME"), env("HOME"));
    auto dir = TRY(store::DataDir::open(data));
    const Secret& database = config.general.database_url;
    service->ledger_ = database.empty()
                           ? TRY(store::SqliteLedger::open(std::move(dir)))
                           : TRY(store::PostgresLedger::open(std::move(dir), database.reveal()));
    service->control_ = TRY(ControlPlane::start(env, service->sign_in_url(),
                                                accounts_dir(env, data), service->connect_url()));

    Service* self = service.get();
    service->loops_ = std::make_unique<net::Loops>(options.workers);
    std::vector<ledger::Intents*> intents = TRY(service->open_intents(data));
    service->payload_store_ = std::make_unique<store::SqlitePayloads>(
        data + "/" + std::string(store::SqlitePayloads::kDatabaseName));
    service->payloads_ = std::make_unique<observe::PayloadWriter>(*service->payload_store_);
    service->payloads_->configure(config.observe.payloads);
    service->governance_ = TRY(Governance::open(config, service->master_key_, self->needs(data)));
    service->observability_ = std::make_unique<Observability>(self->observed());
    service->retention_ = std::make_unique<RetentionJob>(
        *self->ledger_, *self->payload_store_,
        [self](int64_t before_ms) { return self->governance_->trim_history(before_ms); });
    if (config.redis.address) {
        service->sharing_ = std::make_unique<Sharing>(
            config.redis, Sharing::Needs{.governor = self->governance_->governor(),
                                         .health = self->health_,
                                         .control = self->control_->loop(),
                                         .workers = self->loops_->all(),
                                         .context = self->control_->context(),
                                         .on_entities = [self] { self->governance_->look_now(); },
                                         .on_new_store =
                                             [self] {
                                                 self->governance_->recount([self](auto rows) {
                                                     self->sharing_->raise(std::move(rows));
                                                 });
                                             }});
    }
    service->gateway_ = std::make_unique<gateway::Gateway>(
        gateway::Services{.clock = system_clock(),
                          .snapshots = self->snapshots_,
                          .health = self->health_,
                          .providers = self->providers_,
                          .ledger = *self->ledger_,
                          .account = &self->control_->account(),
                          .accounts = &self->control_->accounts(),
                          .directory = &self->governance_->directory(),
                          .governor = &self->governance_->governor(),
                          .shared = self->sharing_ ? &self->sharing_->meters() : nullptr,
                          .intents = std::move(intents),
                          .on_record = &write_request,
                          .observer = &self->observability_->observer(),
                          .sign_in_url = self->sign_in_url(),
                          .connect_url = self->connect_url()},
        service->loops_->all(), service->control_->context());
    service->gateway_->set_management(service->observability_.get());
    service->gateway_->set_extra([self](net::HttpRequest& request, net::HttpResponder& reply) {
        return self->extra_page(request, reply);
    });
    if (service->governance_->environment_changed()) {
        service->reload("stored environment variables");
    }
    service->publish();
    // Its thread looks at what was published. The configuration may be another than at the start.
    service->observability_->configure(service->config_->observe);
    service->retention_->configure(service->config_->retention);
    return service;
}

// Before budgets are read from the ledger: what a killed process left belongs to them.
Result<std::vector<ledger::Intents*>> Service::open_intents(const std::string& data_dir) {
    intents_ = TRY(store::open_intents(data_dir, loops_->all().size(), *ledger_, *ledger_));
    if (intents_.interrupted > 0) {
        ledger_->flush();
    }
    std::vector<ledger::Intents*> each;
    for (const auto& file : intents_.files) {
        each.push_back(file.get());
    }
    return each;
}

Governance::Needs Service::needs(const std::string& data_dir) {
    const auto current = [this] { return snapshots_.current(); };
    return {
        .data_dir = data_dir,
        .ledger = *ledger_,
        .queries = *ledger_,
        .find_payload = [this](std::string_view id) { return payloads_->find(id); },
        .feed = *ledger_,
        .table =
            [current] {
                const auto snapshot = current();
                return snapshot != nullptr ? snapshot->table : nullptr;
            },
        .on_models_changed =
            [this] {
                if (governance_->environment_changed()) {
                    reload("stored environment variables");
                }
                publish();
            },
        .accounts = &control_->accounts(),
        .is_cooling =
            [this](const std::string& id) {
                for (const auto& row : health_.rows(system_clock().mono())) {
                    if (row.deployment_id == id) {
                        return true;
                    }
                }
                return false;
            },
        .requests_in_flight = [this] { return api_ != nullptr ? api_->requests_in_flight() : 0; }};
}

Observability::Needs Service::observed() {
    return {
        .ledger = *ledger_,
        .directory = governance_->directory(),
        .governor = governance_->governor(),
        .health = health_,
        .loops = *loops_,
        .context = control_->context(),
        .account = [this] { return account(); },
        .persons =
            [this] {
                std::vector<std::pair<std::string, accounts::AccountViewPtr>> out;
                for (const auto& [id, service] : control_->accounts().all()) {
                    out.emplace_back(id, service->view());
                }
                return out;
            },
        .table = [this] { return snapshots_.current()->table; },
        .requests_in_flight = [this] { return api_ != nullptr ? api_->requests_in_flight() : 0; },
        .connections = [this] { return api_ != nullptr ? api_->connections() : 0; },
        .sign_in_url = sign_in_url(),
        .key_hash = [this](const std::string& id) { return governance_->key_hash_of(id); },
        .next = *governance_,
        .payloads = payloads_.get()};
}

Result<void> Service::decide_address(const ServeOptions& options, const Env& env) {
    const Config& config = *config_;
    api_port_ = options.port.value_or(config.server.port.value_or(4000));
    auth_port_ = options.auth_port.value_or(config.server.auth_port.value_or(4001));
    master_key_ = config.general.master_key;
    if (master_key_.empty()) {
        master_key_ = Secret(std::string(kExampleKey));
    }
    log::remember_secret(master_key_.reveal() == kExampleKey ? "" : master_key_.reveal());
    example_key_ = master_key_.reveal() == kExampleKey;
    const bool weak = is_weak(master_key_.reveal());
    const bool permitted =
        config.general.dangerously_permit_weak_or_unset_master_key || options.published_on_loopback;
    host_ = options.host.value_or(config.server.host.value_or("127.0.0.1"));
    if (reaches_only_this_machine(host_) || !weak || permitted) {
        return {};
    }
    if (!options.host) {
        // A LiteLLM file may say 0.0.0.0 without meaning it: it keeps working, on this machine.
        log::write(log::Level::warn, "listen.loopback",
                   "the configuration's host " + host_ +
                       " would show the example key to the network: listening on 127.0.0.1. Set "
                       "a master key of at least 22 random characters to listen there");
        host_ = "127.0.0.1";
        return {};
    }
    (void)env;
    return caller_error(
        Kind::forbidden,
        "refusing to listen on " + host_ + " with a weak key (" +
            (example_key_ ? "the example key sk-1234" : master_key_.masked()) +
            "): anyone who reaches this port could spend your Copilot subscription.\n"
            "Make a key:   export LITELLM_MASTER_KEY=sk-$(openssl rand -hex 24)\n"
            "or listen on this machine only: leave --host out");
}

std::string Service::sign_in_url() const {
    return "http://localhost:" + std::to_string(auth_port_) + "/github";
}

std::string Service::connect_url() const {
    return "http://localhost:" + std::to_string(api_port_) + "/github/connect";
}

void Service::publish() {
    // One at a time: a snapshot that was begun earlier must not come after a newer one.
    const std::lock_guard one_at_a_time(publish_mutex_);
    auto snapshot = std::make_shared<gateway::Snapshot>();
    std::shared_ptr<const Config> config;
    accounts::CataloguePtr catalogue;
    {
        std::lock_guard lock(mutex_);
        config = config_;
        catalogue = catalogue_;
    }
    auto table = std::make_shared<routing::Table>(config->table);
    governance_->add_models(*table);
    remember_secrets(*table);
    snapshot->table = enrich(*table, catalogue.get());
    snapshot->master_key = master_key_;
    snapshot->key_header = config->general.litellm_key_header_name;
    snapshot->expand_wildcards = config->path.empty() || config->litellm.check_provider_endpoint;
    snapshot->always_include_stream_usage = config->litellm.always_include_stream_usage;
    snapshot->budget_status = config->litellm.budget_exceeded_status_code;
    snapshot->refuse_unpriced = !config->general.unknown_price_free;
    if (config->general.unknown_price) {
        const auto usd = parse_usd(json::dump(json::Value(*config->general.unknown_price)));
        if (usd) {
            chat::PriceCard card;
            card.input.nanocredits = card.output.nanocredits = usd->value;
            snapshot->assumed_price = card;
        }
    }
    snapshot->default_seat = config->general.copilot_default_account;
    snapshot->store_prompts = config->general.store_prompts_in_spend_logs;
    snapshot->version = kVersion;
    snapshot->allowed_hosts = read_list(env_("BELAY_ALLOWED_HOSTS"));
    snapshot->allowed_origins = read_list(env_("BELAY_ALLOWED_ORIGINS"));
    snapshots_.publish(std::move(snapshot));
}

// On the control loop, after a change of any account.
void Service::on_account() {
    std::vector<accounts::CataloguePtr> lists;
    const auto add = [&](const accounts::CataloguePtr& list) {
        if (list != nullptr) {
            lists.push_back(list);
        }
    };
    add(control_->account().view()->catalogue);
    for (const auto& [id, service] : control_->accounts().all()) {
        add(service->view()->catalogue);
    }
    if (lists == listed_) {
        return;
    }
    listed_ = std::move(lists);
    {
        std::lock_guard lock(mutex_);
        catalogue_ = accounts::join_catalogues(listed_);
    }
    publish();
}

void Service::reload(std::string_view why) {
    std::shared_ptr<const Config> before;
    {
        std::lock_guard lock(mutex_);
        before = config_;
    }
    if (before->path.empty()) {
        return;
    }
    auto loaded = load_config(before->path, governance_->environment(env_));
    if (!loaded || loaded->is_fatal()) {
        log::write(log::Level::error, "config.refused",
                   "the changed configuration is broken and was not taken; the old one goes on: " +
                       (loaded ? std::string("see below") : loaded.error().message));
        if (loaded && log::options().format == log::Format::human) {
            complain(render_diagnostics(loaded->diagnostics,
                                        log::options().colour ? Colour::on : Colour::off,
                                        terminal_columns()));
        } else if (loaded) {
            for (const auto& d : loaded->diagnostics) {
                log::write(log::Level::error, "config.error", d.message, {{"line", d.line}});
            }
        }
        return;
    }
    const auto changes = describe_changes(*before, *loaded);
    {
        std::lock_guard lock(mutex_);
        config_ = std::make_shared<const Config>(std::move(*loaded));
        stamps_ = stamp(config_->files);
    }
    governance_->configure(*config_, master_key_);
    publish();
    payloads_->configure(config_->observe.payloads);
    observability_->configure(config_->observe);
    retention_->configure(config_->retention);
    log::write(log::Level::info, "config.reloaded",
               "configuration reloaded (" + std::string(why) + "): " +
                   std::to_string(changes.size()) + (changes.size() == 1 ? " change" : " changes"));
    for (const auto& change : changes) {
        log::write(log::Level::info, "config.changed", "  " + change);
    }
}

void Service::check_files() {
    bool changed = false;
    {
        std::lock_guard lock(mutex_);
        std::string now = stamp(config_->files);
        if (now != stamps_) {
            stamps_ = std::move(now);
            changed = true;
        }
    }
    if (changed) {
        reload("file changed");
    }
    watch_files();
}

void Service::watch_files() {
    watch_.arm(
        control_->loop(), control_->loop().now() + kWatchEvery,
        [](void* self) { static_cast<Service*>(self)->check_files(); }, this);
}

net::Task<bool> Service::extra_page(net::HttpRequest& request, net::HttpResponder& reply) {
    if (page_ == nullptr || !admin::SigninPage::serves(request.path)) {
        co_return false;
    }
    co_await page_handler_->handle(request, reply);
    co_return true;
}

Result<void> Service::listen() {
    api_ = std::make_unique<net::HttpServer>(net::ServerLimits{}, *gateway_);
    api_port_ = TRY(api_->listen({host_, api_port_}, loops_->all()));

    admin::SigninOptions page;
    page.hosts = read_list(env_("BELAY_ALLOWED_HOSTS"));
    page.api_url = "http://localhost:" + std::to_string(api_port_);
    page.api_port = api_port_;
    page.store_text = env_("GITHUB_COPILOT_TOKEN_DIR").value_or("~/.config/litellm/github_copilot");
    page_ = std::make_unique<admin::SigninPage>(admin::port_of(control_->account()), system_clock(),
                                                std::move(page));
    page_handler_ = std::make_unique<admin::SigninHandler>(*page_);
    auth_ = std::make_unique<net::HttpServer>(net::ServerLimits{}, *page_handler_);
    auth_port_ = TRY(auth_->listen({host_, auth_port_}, {&(*loops_)[0]}));

    control_->on_change([this](const accounts::AccountView&) { on_account(); });
    control_->accounts().on_change([this](const std::string&, const accounts::AccountView&) {
        on_account();
        governance_->accounts_changed();
    });
    control_->begin();
    control_->run_on_loop([] {});  // the account has read what is stored
    if (!config_->files.empty()) {
        control_->loop().post([this] { watch_files(); });
    }
    if (sharing_ != nullptr) {
        governance_->on_change([this] { sharing_->tell_entities(); });
        sharing_->start();
    }
    loops_->start();
    listening_ = true;
    return {};
}

void Service::wait_for_account(milliseconds patience) const {
    const Mono until = system_clock().mono() + patience;
    while (system_clock().mono() < until) {
        const auto view = account();
        if (view->phase != accounts::Phase::starting &&
            (view->phase != accounts::Phase::signed_in || view->catalogue != nullptr)) {
            return;
        }
        std::this_thread::sleep_for(milliseconds(5));
    }
}

void Service::drain(milliseconds grace, const std::atomic<bool>& hurry) {
    gateway_->set_draining();
    api_->stop_accepting();
    auth_->stop_accepting();
    const Mono until = system_clock().mono() + grace;
    while (api_->requests_in_flight() != 0 && system_clock().mono() < until && !hurry.load()) {
        std::this_thread::sleep_for(milliseconds(10));
    }
}

Service::~Service() {
    if (listening_) {
        api_->close_all();
        auth_->close_all();
        // Cancelled requests still write their records.
        const Mono until = system_clock().mono() + seconds(2);
        while (api_->connections() + auth_->connections() != 0 && system_clock().mono() < until) {
            std::this_thread::sleep_for(milliseconds(5));
        }
        if (sharing_ != nullptr) {
            governance_->on_change(nullptr);
            sharing_->stop();
        }
        loops_->stop();
        loops_->join();
        control_->loop().post([this] { watch_.disarm(); });
    }
    api_.reset();
    auth_.reset();
    gateway_.reset();
    retention_.reset();
    observability_.reset();
    if (governance_ != nullptr) {
        governance_->stop();  // it calls the next one
    }
    sharing_.reset();
    governance_.reset();
    payloads_.reset();
    control_.reset();
    if (ledger_ != nullptr) {
        ledger_->flush();
    }
}

int serve(const ServeOptions& asked) {
    // Signals are taken by this thread alone; the loops never see them.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int s : {SIGINT, SIGTERM, SIGHUP}) {
        sigaddset(&signals, s);
    }
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    const Mono started = system_clock().mono();
    ServeOptions options = asked;
    Env env = process_env();
    if (!env("BELAY_CORE_DUMPS")) {
        forbid_core_dumps();
    }
    std::unique_ptr<Demo> demo;
    if (options.demo) {
        auto made = Demo::start();
        if (!made) {
            complain("belay: " + made.error().message + "\n");
            return kExitFailed;
        }
        demo = std::move(*made);
        env = demo->wrap(env);
    }
    auto service = Service::make(options, env);
    if (!service) {
        complain("belay: " + service.error().message + "\n");
        return service.error().kind == Kind::internal ? kExitFailed : kExitConfig;
    }
    if (auto listening = (*service)->listen(); !listening) {
        complain("belay: " + listening.error().message + "\n");
        return kExitFailed;
    }
    const auto took = std::chrono::duration_cast<milliseconds>(system_clock().mono() - started);
    if (!options.ready_file.empty()) {
        write_ready_file(options.ready_file, (*service)->api_port(), (*service)->auth_port());
    }
    (*service)->wait_for_account(kAccountPatience);
    print_banner(**service, options, demo.get(), took);
    release_startup_memory();

    while (true) {
        int caught = 0;
        sigwait(&signals, &caught);
        if (caught == SIGHUP) {
            (*service)->reload("SIGHUP");
            continue;
        }
        break;
    }
    log::write(log::Level::info, "stopping",
               "stopping: running requests may finish (again to hurry)");
    std::atomic<bool> hurry{false};
    std::thread second([&] {
        const timespec wait{0, 50'000'000};
        while (!hurry.load()) {
            if (sigtimedwait(&signals, nullptr, &wait) > 0) {
                hurry.store(true);
            }
        }
    });
    (*service)->drain(kGrace, hurry);
    hurry.store(true);
    second.join();
    service->reset();
    return 0;
}

}  // namespace belay::app
