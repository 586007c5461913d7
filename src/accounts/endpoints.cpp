#include "accounts/endpoints.h"

#include <algorithm>

#include "wire/url.h"

namespace belay::accounts {
namespace {

constexpr std::string_view kGenericBase = "https://api.githubcopilot.com";

bool is_under(std::string_view host, std::string_view domain) {
    return host == domain || (host.size() > domain.size() + 1 && host.ends_with(domain) &&
                              host[host.size() - domain.size() - 1] == '.');
}

std::string without_slash(std::string text) {
    while (text.ends_with('/')) {
        text.pop_back();
    }
    return text;
}

// An address that a person set: https anywhere, plain http on loopback alone.
Result<Url> check_explicit(std::string_view setting, std::string_view text) {
    auto url = parse_url(text);
    if (!url.ok()) {
        return caller_error(Kind::invalid_request,
                            std::string(setting) + ": " + url.error().message);
    }
    if (!url->tls && !is_loopback_host(url->host)) {
        return caller_error(
            Kind::invalid_request,
            std::string(setting) + " must be https; plain http is for loopback addresses only");
    }
    return std::move(url).value();
}

Result<std::string> choose(std::string_view setting, const std::string& explicit_url,
                           std::string derived) {
    if (explicit_url.empty()) {
        return derived;
    }
    TRY(check_explicit(setting, explicit_url));
    return explicit_url;
}

// The page where a code is entered: beside the place that issues it.
std::string verification_page(const std::string& device_code_url) {
    constexpr std::string_view kTail = "/login/device/code";
    if (device_code_url.ends_with(kTail)) {
        return device_code_url.substr(0, device_code_url.size() - 5);
    }
    const auto url = parse_url(device_code_url);
    return url.ok() ? url->origin() + "/login/device" : "https://github.com/login/device";
}

std::string user_beside(const std::string& exchange_url) {
    constexpr std::string_view kTail = "/v2/token";
    if (exchange_url.ends_with(kTail)) {
        return exchange_url.substr(0, exchange_url.size() - kTail.size()) + "/user";
    }
    const auto url = parse_url(exchange_url);
    return url.ok() ? url->origin() + "/copilot_internal/user" : std::string();
}

}  // namespace

EndpointSettings read_endpoint_env(EndpointSettings settings, const EnvLookup& env) {
    const auto take = [&](std::string_view name, std::string& into) {
        if (auto value = env(name); value && !value->empty()) {
            into = *value;
        }
    };
    take("GITHUB_COPILOT_DOMAIN", settings.domain);
    take("GITHUB_COPILOT_DEVICE_CODE_URL", settings.device_code_url);
    take("GITHUB_COPILOT_ACCESS_TOKEN_URL", settings.access_token_url);
    take("GITHUB_COPILOT_API_KEY_URL", settings.exchange_url);
    take("GITHUB_COPILOT_USER_URL", settings.user_url);
    take("GITHUB_COPILOT_API_BASE", settings.api_base);
    return settings;
}

Result<std::string> parse_domain(std::string_view text) {
    if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
        text.remove_prefix(scheme + 3);
    }
    text = text.substr(0, text.find('/'));
    std::string host(text);
    std::transform(host.begin(), host.end(), host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    });
    if (plain && (host == "github.com" || (host.ends_with(".ghe.com") && host.size() > 8))) {
        return host;
    }
    return caller_error(Kind::invalid_request,
                        "\"" + std::string(text.substr(0, 100)) +
                            "\" cannot hold Copilot accounts; use github.com or your tenant's "
                            "SUB.ghe.com");
}

Result<Endpoints> plan_endpoints(const EndpointSettings& settings) {
    Endpoints e;
    e.domain = TRY(parse_domain(settings.domain));
    const bool tenant = e.domain != "github.com";
    const std::string rest = "https://api." + e.domain;
    e.device_code_url = TRY(choose("GITHUB_COPILOT_DEVICE_CODE_URL", settings.device_code_url,
                                   "https://" + e.domain + "/login/device/code"));
    e.access_token_url = TRY(choose("GITHUB_COPILOT_ACCESS_TOKEN_URL", settings.access_token_url,
                                    "https://" + e.domain + "/login/oauth/access_token"));
    e.exchange_url = TRY(choose("GITHUB_COPILOT_API_KEY_URL", settings.exchange_url,
                                rest + "/copilot_internal/v2/token"));
    e.user_url =
        TRY(choose("GITHUB_COPILOT_USER_URL", settings.user_url, user_beside(e.exchange_url)));
    e.api_base = without_slash(
        TRY(choose("GITHUB_COPILOT_API_BASE", settings.api_base,
                   tenant ? "https://copilot-api." + e.domain : std::string(kGenericBase))));
    e.api_base_explicit = !settings.api_base.empty();
    e.verification_url = verification_page(e.device_code_url);
    if (!settings.exchange_url.empty()) {
        e.loopback = is_loopback_host(TRY(parse_url(settings.exchange_url)).host);
    }
    return e;
}

Result<std::string> check_announced_base(const Endpoints& endpoints, std::string_view announced) {
    const auto ignored = [&](std::string_view why) {
        return upstream_error(Kind::upstream_malformed, "the announced API address \"" +
                                                            std::string(announced.substr(0, 100)) +
                                                            "\" is ignored: " + std::string(why));
    };
    if (endpoints.api_base_explicit) {
        return endpoints.api_base;
    }
    const auto url = parse_url(announced);
    if (!url.ok()) {
        return ignored("it is not a plain http(s) address");
    }
    if (endpoints.loopback && is_loopback_host(url->host)) {
        return without_slash(std::string(announced));
    }
    if (!url->tls || url->port != 443) {
        return ignored("it is not https on port 443");
    }
    const std::string& host = url->host;
    const bool trusted = is_under(host, "githubcopilot.com") || is_under(host, "github.com") ||
                         (endpoints.domain != "github.com" && is_under(host, endpoints.domain));
    if (!trusted || !url->query.empty()) {
        return ignored("it is not under githubcopilot.com, github.com or your ghe.com domain");
    }
    return without_slash(std::string(announced));
}

std::vector<std::string> candidate_bases(const Endpoints& endpoints, std::string_view announced) {
    std::vector<std::string> bases;
    const auto add = [&](std::string base) {
        if (std::find(bases.begin(), bases.end(), base) == bases.end()) {
            bases.push_back(std::move(base));
        }
    };
    if (auto checked = check_announced_base(endpoints, announced); checked.ok()) {
        add(std::move(checked).value());
    }
    add(endpoints.api_base);
    if (!endpoints.api_base_explicit && !endpoints.loopback && endpoints.domain == "github.com") {
        for (std::string_view plan : {"individual", "business", "enterprise"}) {
            add("https://api." + std::string(plan) + ".githubcopilot.com");
        }
    }
    return bases;
}

}  // namespace belay::accounts
