#include "app/desk.h"

#include <atomic>
#include <cstdlib>

#include "admin/management.h"
#include "app/governance_parts.h"
#include "app/key_secret.h"
#include "app/runtime.h"
#include "net/fetch.h"
#include "store/data_dir.h"
#include "store/ledger_beside.h"
#include "wire/url.h"

namespace belay::app {
namespace {

constexpr std::string_view kActor = "command line";
constexpr std::string_view kExampleKey = "sk-1234";

Secret master_key_of(const Config& config) {
    return config.general.master_key.empty() ? Secret(std::string(kExampleKey))
                                             : config.general.master_key;
}

// LiteLLM's two shapes of a refusal, as one sentence.
std::string words_of(const json::Value& reply, int status) {
    const std::string_view message = reply["error"]["message"].as_string();
    if (!message.empty()) {
        return std::string(message);
    }
    const json::Value& detail = reply["detail"];
    if (detail.is_string()) {
        return std::string(detail.as_string());
    }
    if (detail.size() != 0) {
        const json::Value& mistake = detail[size_t{0}];
        const json::Array& place = mistake["loc"].items();
        const std::string field(place.empty() ? "" : place.back().as_string());
        return field + ": " + std::string(mistake["msg"].as_string());
    }
    return "HTTP status " + std::to_string(status);
}

Result<json::Value> read_reply(int status, std::string_view body) {
    auto reply = json::parse(body);
    if (status == 200 && reply.ok()) {
        return std::move(*reply);
    }
    const Kind kind = status == 404                    ? Kind::not_found
                      : status == 401 || status == 403 ? Kind::forbidden
                      : status >= 500                  ? Kind::internal
                                                       : Kind::invalid_request;
    return gateway_error(kind, words_of(reply.ok() ? *reply : json::Value(), status));
}

class LocalDesk final : public Desk {
  public:
    static Result<std::unique_ptr<Desk>> open(const Config& config, const Env& env) {
        const std::string dir = data_dir_of(env);
        if (config.general.database_url.empty()) {
            TRY(store::make_data_dir(dir));
        }
        std::unique_ptr<LocalDesk> desk(new LocalDesk());
        desk->store_ = TRY(open_entities(config, dir));
        desk->queries_ = TRY(open_queries(config, dir));
        desk->seal_ = TRY(open_seal(config, master_key_of(config)));
        desk->settings_ = admin_settings(config, master_key_of(config));
        desk->table_ = std::make_shared<routing::Table>(config.table);
        desk->directory_.set_defaults(directory_defaults(config));
        desk->governor_.set_zone(config.litellm.zone);
        TRY(governance::read_changes(*desk->store_, desk->directory_));
        desk->directory_.set_key_secret(
            TRY(load_key_secret(*desk->store_, desk->directory_, *desk->seal_, dir)));
        desk->governor_.set_spent(TRY(find_spent(*desk->queries_, desk->directory_)));
        LocalDesk* self = desk.get();
        desk->management_ = std::make_unique<admin::Management>(
            admin::Services{.clock = system_clock(),
                            .store = *desk->store_,
                            .directory = desk->directory_,
                            .governor = desk->governor_,
                            .queries = *desk->queries_,
                            .ledger = nullptr,
                            .seal = desk->seal_.get(),
                            .settings = [self] { return self->settings_; },
                            .table = [self] { return self->table_; },
                            .on_models_changed = [] {},
                            .requests_in_flight = [] { return size_t{0}; },
                            .is_cooling = [](const std::string&) { return false; }},
            admin::Management::Bounds{.threads = 0, .waiting = 0});
        return std::unique_ptr<Desk>(std::move(desk));
    }

    Result<json::Value> ask(std::string_view method, std::string_view target,
                            const json::Value& body) override {
        admin::Ask ask;
        const size_t mark = target.find('?');
        ask.method = method;
        ask.path = target.substr(0, mark);
        ask.query = mark == target.npos ? "" : target.substr(mark + 1);
        ask.body = body.is_null() ? "" : json::dump(body);
        ask.changed_by = kActor;
        ask.caller = directory_.master();
        const admin::Answer answer = management_->answer(ask);
        return read_reply(answer.status, answer.body);
    }

  private:
    LocalDesk() = default;
    std::unique_ptr<governance::EntityStore> store_;
    std::unique_ptr<ledger::Queries> queries_;
    std::unique_ptr<Seal> seal_;
    std::shared_ptr<const admin::Settings> settings_;
    std::shared_ptr<const routing::Table> table_;
    governance::Directory directory_;
    governance::Governor governor_;
    std::unique_ptr<admin::Management> management_;
};

net::Task<void> fetch_into(net::HttpClient& client, net::FetchRequest request,
                           Result<net::FetchReply>& out, std::atomic<bool>& done) {
    net::ClientFetcher fetcher(client);
    out = co_await fetcher.fetch(std::move(request));
    done.store(true);
    done.notify_all();
}

class RemoteDesk final : public Desk {
  public:
    static Result<std::unique_ptr<Desk>> open(std::string url, Secret key, const Env& env) {
        while (url.ends_with('/')) {
            url.pop_back();
        }
        auto parsed = parse_url(url);
        if (!parsed) {
            return caller_error(Kind::invalid_request, "--url: " + parsed.error().message);
        }
        if (!parsed->tls && !is_loopback_host(parsed->host)) {
            return caller_error(Kind::forbidden,
                                "--url: the master key is sent over https only, or to this "
                                "machine; " +
                                    url + " is neither");
        }
        return std::unique_ptr<Desk>(new RemoteDesk(std::move(url), std::move(key), env));
    }
    ~RemoteDesk() override {
        loops_.run_on(0, [this] { client_.reset(); });
        loops_.stop();
        loops_.join();
    }

    Result<json::Value> ask(std::string_view method, std::string_view target,
                            const json::Value& body) override {
        net::FetchRequest request;
        request.method = method;
        request.url = url_ + std::string(target);
        request.headers = {{"Authorization", "Bearer " + key_.reveal()},
                           {"Content-Type", "application/json"},
                           {"litellm-changed-by", std::string(kActor)}};
        request.body = body.is_null() ? "" : json::dump(body);
        request.body_max = size_t{64} << 20;
        Result<net::FetchReply> reply = net::FetchReply();
        std::atomic<bool> done{false};
        loops_[0].post(
            [&] { loops_[0].spawn(fetch_into(*client_, std::move(request), reply, done)); });
        done.wait(false);
        if (!reply) {
            return gateway_error(reply.error().kind,
                                 "no gateway answers at " + url_ + ": " + reply.error().message);
        }
        return read_reply(reply->status, reply->body);
    }

  private:
    RemoteDesk(std::string url, Secret key, const Env& env)
        : url_(std::move(url)), key_(std::move(key)) {
        client_ = std::make_unique<net::HttpClient>(
            loops_[0], std::make_shared<net::ClientContext>(read_client_options(env)));
        loops_.start();
    }
    std::string url_;
    Secret key_;
    net::Loops loops_{1};
    std::unique_ptr<net::HttpClient> client_;
};

}  // namespace

Result<DataOptions> take_data_options(Flags& flags) {
    DataOptions options;
    options.config = TRY(flags.take_value("--config")).value_or("");
    options.url = TRY(flags.take_value("--url")).value_or("");
    options.key = Secret(TRY(flags.take_value("--master-key")).value_or(""));
    return options;
}

Result<Config> read_verb_config(const std::string& asked, const Env& env) {
    const std::string path = find_config_path(asked, env);
    Config config = path.empty() ? default_config(env) : TRY(load_config(path, env));
    if (config.is_fatal()) {
        return caller_error(Kind::invalid_request,
                            "the configuration " + path + " has errors: `belay check` shows them");
    }
    for (const auto& [name, value] : config.environment_variables) {
        ::setenv(name.c_str(), value.c_str(), 1);
    }
    return config;
}

std::string data_dir_of(const Env& env) {
    return store::default_data_dir(env("BELAY_DATA_DIR"), env("XDG_DATA_HOME"), env("HOME"));
}

Result<std::unique_ptr<ledger::Queries>> open_queries(const Config& config,
                                                      const std::string& data_dir) {
    const Secret& url = config.general.database_url;
    if (url.empty()) {
        return std::unique_ptr<ledger::Queries>(store::LedgerBeside::open(data_dir));
    }
    return std::unique_ptr<ledger::Queries>(
        TRY(store::LedgerBeside::open_postgres(data_dir, url.reveal())));
}

Result<std::unique_ptr<Desk>> open_desk(const DataOptions& options, const Env& env) {
    const Config config = TRY(read_verb_config(options.config, env));
    if (options.url.empty()) {
        return LocalDesk::open(config, env);
    }
    return RemoteDesk::open(options.url, options.key.empty() ? master_key_of(config) : options.key,
                            env);
}

}  // namespace belay::app
