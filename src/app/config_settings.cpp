// The sections beside model_list, and the environment variables that stand in for them.
#include <algorithm>

#include "app/config_load.h"

namespace belay::app {
namespace {

int small(int64_t value) { return static_cast<int>(std::min<int64_t>(value, 1000)); }

std::optional<int64_t> env_count(const Load& load, std::string_view name) {
    auto text = load.env ? load.env(name) : std::nullopt;
    yaml::Node node;
    node.type = yaml::Type::text;
    node.text = text.value_or("");
    return text ? to_count(node) : std::nullopt;
}

bool env_flag(const Load& load, std::string_view name) {
    yaml::Node node;
    node.type = yaml::Type::text;
    node.text = load.env ? load.env(name).value_or("") : "";
    return to_boolean(node).value_or(false);
}

// The first of the places that sets a key.
class Layers {
  public:
    Layers(const yaml::Node& router, const yaml::Node& litellm)
        : router_(router), litellm_(litellm) {}

    template <class T>
    [[nodiscard]] std::optional<T> get(std::string_view router_key, std::string_view litellm_key,
                                       std::optional<T> (*convert)(const yaml::Node&)) const {
        auto value = read<T>(router_, router_key, convert);
        return value ? value : read<T>(litellm_, litellm_key, convert);
    }
    [[nodiscard]] const yaml::Node* node(std::string_view key) const {
        const yaml::Node* node = router_.find(key);
        return node != nullptr && !node->is_null() ? node : litellm_.find(key);
    }
    [[nodiscard]] std::string where(std::string_view key) const {
        const yaml::Node* node = router_.find(key);
        bool router = node != nullptr && !node->is_null();
        return (router ? "router_settings." : "litellm_settings.") + std::string(key);
    }

  private:
    const yaml::Node& router_;
    const yaml::Node& litellm_;
};

void note_strategy(Load& load, const yaml::Node& router) {
    const yaml::Node* node = router.find("routing_strategy");
    std::string strategy = read_text(router, "routing_strategy");
    const Key& key = *find_key(Section::router_settings, "routing_strategy");
    if (!strategy.empty() && strategy != "simple-shuffle" && !check_value(key, *node)) {
        load.diagnostics
            .note(node->place, "the routing strategy " + strategy +
                                   " is kept, but simple-shuffle is what is done so far")
            .key = "router_settings.routing_strategy";
    }
}

void read_routing(Load& load, const yaml::Node& router, const yaml::Node& litellm) {
    routing::Settings& s = load.config.table.settings;
    Layers layers(router, litellm);
    auto retries = layers.get<int64_t>("num_retries", "num_retries", to_count);
    retries = retries ? retries : env_count(load, "DEFAULT_MAX_RETRIES");
    s.num_retries = small(retries.value_or(s.num_retries));
    s.timeout = layers.get<Seconds>("timeout", "request_timeout", to_seconds).value_or(s.timeout);
    s.stream_timeout = read<Seconds>(router, "stream_timeout", to_seconds);
    auto cooldown = read<Seconds>(router, "cooldown_time", to_seconds);
    if (auto count = env_count(load, "DEFAULT_COOLDOWN_TIME_SECONDS"); !cooldown && count) {
        cooldown = Seconds(static_cast<double>(*count));
    }
    s.cooldown_time = cooldown.value_or(s.cooldown_time);
    s.disable_cooldowns = read_flag(router, "disable_cooldowns", false);
    if (auto fails = layers.get<int64_t>("allowed_fails", "allowed_fails", to_count)) {
        s.allowed_fails = small(*fails);
    }
    s.retry_after = read<Seconds>(router, "retry_after", to_seconds).value_or(s.retry_after);
    auto hops = read<int64_t>(router, "max_fallbacks", to_count);
    hops = hops ? hops : env_count(load, "ROUTER_MAX_FALLBACKS");
    s.max_fallbacks = small(hops.value_or(s.max_fallbacks));
    s.pre_call_checks = read_flag(router, "enable_pre_call_checks", false);
    s.enable_tag_filtering = read_flag(router, "enable_tag_filtering", false);
    s.tag_filtering_match_any = read_flag(router, "tag_filtering_match_any", true);
    s.drop_params = read_flag(litellm, "drop_params", false);
    s.modify_params = read_flag(litellm, "modify_params", false);
    s.expose_router_debug_in_errors = read_flag(litellm, "expose_router_debug_in_errors", true);
    note_strategy(load, router);
}

void read_fallback_maps(Load& load, const Layers& layers) {
    routing::Table& table = load.config.table;
    for (auto [key, map] :
         {std::pair("fallbacks", &table.fallbacks),
          std::pair("context_window_fallbacks", &table.context_window_fallbacks),
          std::pair("content_policy_fallbacks", &table.content_policy_fallbacks)}) {
        if (const yaml::Node* node = layers.node(key)) {
            for (auto& [group, targets] : read_fallback_map(load, *node, layers.where(key))) {
                (*map)[group] = std::move(targets);
            }
        }
    }
    if (const yaml::Node* node = layers.node("default_fallbacks")) {
        auto& everyone = table.fallbacks["*"];
        for (routing::FallbackTarget& target : read_fallbacks(load, *node, "*", nullptr)) {
            if (std::find(everyone.begin(), everyone.end(), target) == everyone.end()) {
                everyone.push_back(std::move(target));
            }
        }
    }
}

void read_aliases(Load& load, const yaml::Node& router) {
    const yaml::Node* aliases = router.find("model_group_alias");
    if (aliases == nullptr || !aliases->is_mapping()) {
        return;
    }
    for (const yaml::Entry& entry : aliases->entries) {
        const yaml::Node* model = &entry.value;
        bool hidden = false;
        if (entry.value.is_mapping()) {
            model = entry.value.find("model");
            hidden = read_flag(entry.value, "hidden", false);
        }
        auto name = model == nullptr ? std::nullopt : to_text(*model);
        if (!name || name->empty()) {
            load.diagnostics.fail(entry.place, "the alias '" + entry.key + "' names no model",
                                  "write 'alias: model' or 'alias: {model: ..., hidden: true}'");
            continue;
        }
        load.config.table.aliases[entry.key] = {*name, hidden};
        load.names.push_back({*name, "model_group_alias." + entry.key, "", model->place,
                              NameUse::Role::alias_target});
    }
}

Secret secret_or_env(const Load& load, const yaml::Node& general, std::string_view key,
                     std::string_view variable) {
    std::string value = read_text(general, key);
    if (value.empty() && load.env) {
        value = load.env(variable).value_or("");
    }
    return Secret(std::move(value));
}

void check_master_key(Load& load, const yaml::Node& general) {
    const Secret& key = load.config.general.master_key;
    const yaml::Node* node = general.find("master_key");
    yaml::Place place = node == nullptr ? yaml::Place{} : node->place;
    if (!key.empty() && !key.reveal().starts_with("sk-")) {
        load.diagnostics.warn(place, "the master key does not begin with 'sk-'",
                              "LiteLLM clients and dashboards expect that it does");
    }
    if (!is_header_value(key.reveal()) || key.reveal().find(' ') != std::string::npos) {
        load.diagnostics
            .fail(place, "the master key holds characters that no header can carry",
                  "use letters, digits, '-' and '_'")
            .fatal = true;
    }
}

void read_general(Load& load, const yaml::Node& general, const yaml::Node& litellm) {
    GeneralSettings& g = load.config.general;
    g.master_key = secret_or_env(load, general, "master_key", "LITELLM_MASTER_KEY");
    g.database_url = secret_or_env(load, general, "database_url", "DATABASE_URL");
    g.litellm_key_header_name = read_text(general, "litellm_key_header_name");
    const auto variable = [&load](std::string_view name) {
        return load.env ? load.env(name).value_or("") : std::string();
    };
    g.salt_key = Secret(variable("LITELLM_SALT_KEY"));
    if (const std::string name = variable("UI_USERNAME"); !name.empty()) {
        g.ui_username = name;
    }
    g.ui_password = Secret(variable("UI_PASSWORD"));
    g.store_prompts_in_spend_logs = read_flag(general, "store_prompts_in_spend_logs", false);
    g.store_model_in_db =
        read_flag(general, "store_model_in_db", env_flag(load, "STORE_MODEL_IN_DB"));
    g.disable_spend_logs = read_flag(general, "disable_spend_logs", false);
    g.allow_public_health_readiness_details =
        read_flag(general, "allow_public_health_readiness_details", false);
    g.dangerously_permit_weak_or_unset_master_key =
        read_flag(general, "dangerously_permit_weak_or_unset_master_key",
                  env_flag(load, "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"));
    const std::string unknown = read_text(general, "unknown_price");
    g.unknown_price_free = unknown == "free";
    g.unknown_price = read<double>(general, "unknown_price", to_number);
    if (!unknown.empty() && unknown != "free" && unknown != "refuse" && !g.unknown_price) {
        load.diagnostics.fail(general.find("unknown_price")->place,
                              "general_settings.unknown_price is '" + unknown + "'",
                              "write refuse, free, or US$ per million tokens");
    }
    const std::string seat = read_text(general, "copilot_default_account");
    g.copilot_default_account = seat == "always"  ? gateway::DefaultSeat::always
                                : seat == "never" ? gateway::DefaultSeat::never
                                                  : gateway::DefaultSeat::without_own;
    g.max_request_size_mb = read<double>(general, "max_request_size_mb", to_number);
    check_master_key(load, general);
    if (!g.litellm_key_header_name.empty() && !is_header_name(g.litellm_key_header_name)) {
        load.diagnostics
            .fail(general.find("litellm_key_header_name")->place,
                  "general_settings.litellm_key_header_name is no header name",
                  "use letters, digits and dashes")
            .fatal = true;
    }
    LitellmSettings& l = load.config.litellm;
    l.json_logs = read_flag(litellm, "json_logs", false);
    l.set_verbose = read_flag(litellm, "set_verbose", false);
    l.max_budget = read<double>(litellm, "max_budget", to_number);
    l.budget_duration = read_text(litellm, "budget_duration");
    l.max_end_user_budget = read<double>(litellm, "max_end_user_budget", to_number);
    l.max_end_user_budget_id = read_text(litellm, "max_end_user_budget_id");
    if (const std::string zone = read_text(litellm, "timezone"); !zone.empty()) {
        l.zone = zone;
    }
    l.store_audit_logs = read_flag(litellm, "store_audit_logs", false);
    const auto status = read<int64_t>(litellm, "budget_exceeded_status_code", to_count);
    if (status && *status != 422 && *status != 429 && *status != 400) {
        load.diagnostics.fail(
            litellm.find("budget_exceeded_status_code")->place,
            "litellm_settings.budget_exceeded_status_code is " + std::to_string(*status),
            "write 422, 429 or 400: the statuses that clients of budgets know");
    } else if (status) {
        l.budget_exceeded_status_code = static_cast<int>(*status);
    }
    l.check_provider_endpoint = read_flag(litellm, "check_provider_endpoint", false);
    l.always_include_stream_usage =
        read_flag(litellm, "always_include_stream_usage",
                  read_flag(general, "always_include_stream_usage", false));
}

void read_server(Load& load, const yaml::Node& server) {
    ServerSettings& s = load.config.server;
    s.host = read<std::string>(server, "host", to_text);
    auto port = [&server](std::string_view key) -> std::optional<uint16_t> {
        auto value = read<int64_t>(server, key, to_count);
        bool good = value && *value >= 1 && *value <= 65535;
        return good ? std::optional(static_cast<uint16_t>(*value)) : std::nullopt;
    };
    s.port = port("port");
    s.auth_port = port("auth_port");
    if (s.port && s.auth_port && *s.port == *s.auth_port) {
        load.diagnostics
            .fail(server.find("auth_port")->place, "server_settings.auth_port is the same as port",
                  "give the sign-in page its own port, e.g. 4001")
            .fatal = true;
    }
}

}  // namespace

void read_settings(Load& load) {
    const yaml::Node& router = section_of(load, "router_settings");
    const yaml::Node& litellm = section_of(load, "litellm_settings");
    const yaml::Node& general = section_of(load, "general_settings");
    read_routing(load, router, litellm);
    read_fallback_maps(load, Layers(router, litellm));
    read_aliases(load, router);
    read_general(load, general, litellm);
    read_observe(load, general, litellm);
    read_server(load, section_of(load, "server_settings"));
    read_redis(load);
}

}  // namespace belay::app
