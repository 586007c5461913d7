// Which Redis the instances share, as LiteLLM's files name it: router_settings.redis_*, or
// litellm_settings.cache with cache_params of type redis. The environment (REDIS_URL, REDIS_HOST,
// ...) fills in what the file leaves open, but a file that asks for no Redis gets none.
#include <algorithm>

#include "app/config_load.h"

namespace belay::app {
namespace {

constexpr double kShortestDeadline = 0.01;
constexpr double kLongestDeadline = 5;

class Wanted {
  public:
    explicit Wanted(Load& load)
        : load_(load),
          router_(section_of(load, "router_settings")),
          litellm_(section_of(load, "litellm_settings")) {
        const yaml::Node* params = litellm_.find("cache_params");
        params_ = params != nullptr && params->is_mapping() ? params : nullptr;
        const yaml::Node* kwargs = router_.find("cache_kwargs");
        kwargs_ = kwargs != nullptr && kwargs->is_mapping() ? kwargs : nullptr;
    }

    [[nodiscard]] bool by_router() const {
        return !read_text(router_, "redis_url").empty() ||
               !read_text(router_, "redis_host").empty();
    }
    [[nodiscard]] bool by_cache() const {
        const std::string type = params_ == nullptr ? "" : read_text(*params_, "type");
        const bool redis = type.empty() || type == "redis";
        const bool named = params_ != nullptr &&
                           (type == "redis" || !param("host").empty() || !param("url").empty());
        return redis && read_flag(litellm_, "cache", named);
    }

    void read(RedisSettings& out) {
        const bool router = by_router();
        const auto pick = [&](std::string_view router_key, std::string_view param_key,
                              std::string_view variable) {
            std::string value = router ? read_text(router_, router_key) : param(param_key);
            return value.empty() ? env(variable) : value;
        };
        const std::string host = router ? read_text(router_, "redis_host") : param("host");
        std::string url = router ? read_text(router_, "redis_url") : param("url");
        // A host in the file is not overruled by a URL in the environment.
        if (url.empty() && host.empty()) {
            url = env("REDIS_URL");
        }
        redis::Address address;
        if (!url.empty()) {
            auto parsed = redis::parse_redis_url(url);
            if (!parsed) {
                fail(parsed.error().message);
                return;
            }
            address = std::move(*parsed);
        } else {
            address.host = host.empty() ? env("REDIS_HOST") : host;
            if (address.host.empty()) {
                fail(
                    "Redis is asked for, but it is not said where it is: set redis_host (or "
                    "cache_params.host), or REDIS_HOST or REDIS_URL in the environment");
                return;
            }
            address.username = pick("redis_username", "username", "REDIS_USERNAME");
            if (!read_number(pick("redis_port", "port", "REDIS_PORT"), "port", 65'535,
                             address.port)) {
                return;
            }
        }
        if (address.password.empty()) {
            address.password = Secret(pick("redis_password", "password", "REDIS_PASSWORD"));
        }
        if (address.db == 0 &&
            !read_number(pick("redis_db", "db", "REDIS_DB"), "database", 16'383, address.db)) {
            return;
        }
        const bool tls = option("ssl", to_boolean).value_or(is_true(env("REDIS_SSL")));
        address.tls = address.tls || (tls && !address.is_socket());
        out.address = std::move(address);
        if (const std::string name = param("namespace"); !name.empty()) {
            out.name_space = name.substr(0, kMostNamespace);
        }
        if (const auto limit = option("socket_timeout", to_seconds)) {
            out.deadline = milliseconds(static_cast<int64_t>(
                std::clamp(limit->count(), kShortestDeadline, kLongestDeadline) * 1000));
        }
    }

  private:
    static constexpr size_t kMostNamespace = 64;

    [[nodiscard]] std::string param(std::string_view key) const {
        return params_ == nullptr ? std::string() : read_text(*params_, key);
    }
    [[nodiscard]] std::string env(std::string_view name) const {
        return load_.env ? load_.env(name).value_or("") : std::string();
    }
    // Of the options that both ways of naming a Redis have.
    template <class T>
    [[nodiscard]] std::optional<T> option(std::string_view key,
                                          std::optional<T> (*convert)(const yaml::Node&)) const {
        for (const yaml::Node* map : {kwargs_, params_}) {
            const auto value = map == nullptr ? std::nullopt : app::read<T>(*map, key, convert);
            if (value) {
                return value;
            }
        }
        return std::nullopt;
    }
    static bool is_true(std::string_view text) {
        yaml::Node node;
        node.type = yaml::Type::text;
        node.text = std::string(text);
        return to_boolean(node).value_or(false);
    }
    template <class N>
    bool read_number(const std::string& text, std::string_view what, int64_t most, N& out) {
        if (text.empty()) {
            return true;
        }
        yaml::Node node;
        node.type = yaml::Type::text;
        node.text = text;
        const auto value = to_count(node);
        if (!value || *value > most) {
            fail("the " + std::string(what) + " of Redis is no number up to " +
                 std::to_string(most));
            return false;
        }
        out = static_cast<N>(*value);
        return true;
    }
    void fail(std::string message) {
        const yaml::Node* at = router_.find("redis_url");
        at = at == nullptr ? router_.find("redis_host") : at;
        at = at == nullptr ? litellm_.find("cache_params") : at;
        at = at == nullptr ? litellm_.find("cache") : at;
        load_.diagnostics.fail(at == nullptr ? yaml::Place{} : at->place, std::move(message))
            .fatal = true;
    }

    Load& load_;
    const yaml::Node& router_;
    const yaml::Node& litellm_;
    const yaml::Node* params_ = nullptr;
    const yaml::Node* kwargs_ = nullptr;
};

}  // namespace

void read_redis(Load& load) {
    Wanted wanted(load);
    if (wanted.by_router() || wanted.by_cache()) {
        wanted.read(load.config.redis);
    }
}

}  // namespace belay::app
