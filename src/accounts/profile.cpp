#include "accounts/profile.h"

#include <algorithm>

namespace belay::accounts {
namespace {

bool same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

// What may stand in a header without breaking the request.
bool is_header_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
}

bool is_header_value(std::string_view value) {
    return value.size() <= 512 &&
           std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

void set_header(Profile& profile, std::string_view name, std::string_view value) {
    for (auto& [key, old] : profile.headers) {
        if (same_name(key, name)) {
            old = value;
            return;
        }
    }
    profile.headers.emplace_back(name, value);
}

void remove_header(Profile& profile, std::string_view name) {
    std::erase_if(profile.headers,
                  [&](const auto& header) { return same_name(header.first, name); });
}

Error profile_error(std::string_view profile, std::string_view what) {
    return caller_error(Kind::invalid_request,
                        "profile \"" + std::string(profile) + "\": " + std::string(what));
}

Result<void> apply_headers(Profile& profile, const json::Value& headers) {
    if (!headers.is_object()) {
        return profile_error(profile.name, "headers must be a map of name to value");
    }
    for (const auto& [name, value] : headers.members()) {
        if (!is_header_name(name) || same_name(name, "authorization") || same_name(name, "host") ||
            same_name(name, "content-length")) {
            return profile_error(profile.name, "\"" + name + "\" cannot be set as a header");
        }
        if (value.is_null()) {
            remove_header(profile, name);
        } else if (value.is_string() && is_header_value(value.as_string())) {
            set_header(profile, name, value.as_string());
        } else {
            return profile_error(profile.name, "header " + name + " must be plain text or null");
        }
    }
    return {};
}

Result<void> apply_fields(Profile& profile, const json::Value& fields) {
    if (!fields.is_object()) {
        return profile_error(profile.name,
                             "expected a map with client_id, scope, exchange, headers");
    }
    for (const auto& [key, value] : fields.members()) {
        if (key == "client_id" && value.is_string() && !value.as_string().empty()) {
            profile.client_id = value.as_string();
        } else if (key == "scope" && value.is_string()) {
            profile.scope = value.as_string();
        } else if (key == "exchange" && value.is_bool()) {
            profile.exchange = value.as_bool();
        } else if (key == "headers") {
            TRY(apply_headers(profile, value));
        } else {
            return profile_error(profile.name, "\"" + key +
                                                   "\" is unknown or of the wrong type; known are "
                                                   "client_id, scope, exchange, headers");
        }
    }
    return {};
}

}  // namespace

const std::vector<Profile>& builtin_profiles() {
    // Values seen in public clients (VS Code Copilot Chat, opencode, Copilot CLI), 2026. The REST
    // API version stands in the headers of the exchange only: model requests do not need it, and an
    // outdated one is answered with 466.
    static const std::vector<Profile> profiles = {
        {"vscode",
         "Iv1.b507a08c87ecfe98",
         "read:user",
         true,
         {{"Editor-Version", "vscode/1.104.3"},
          {"Editor-Plugin-Version", "copilot-chat/0.26.7"},
          {"Copilot-Integration-Id", "vscode-chat"},
          {"User-Agent", "GitHubCopilotChat/0.26.7"}}},
        {"opencode",
         "Ov23li8tweQw6odWQebz",
         "read:user",
         false,
         {{"User-Agent", "opencode/1.1.0"}}},
        {"copilot-cli",
         "Ov23ctDVkRmgkPke0Mmm",
         "read:user",
         false,
         {{"Editor-Version", "copilot-cli/1.0.0"},
          {"Copilot-Integration-Id", "copilot-developer-cli"},
          {"User-Agent", "copilot/1.0.0 (client/github/cli linux v22.0.0)"}}},
    };
    return profiles;
}

Result<std::vector<Profile>> parse_profiles(const json::Value& config) {
    std::vector<Profile> profiles = builtin_profiles();
    if (config.is_null()) {
        return profiles;
    }
    if (!config.is_object()) {
        return caller_error(Kind::invalid_request, "profiles must be a map of name to fields");
    }
    for (const auto& [name, fields] : config.members()) {
        auto at = std::find_if(profiles.begin(), profiles.end(),
                               [&](const Profile& p) { return p.name == name; });
        if (at == profiles.end()) {
            at = profiles.insert(profiles.end(), Profile{});
            at->name = name;
        }
        TRY(apply_fields(*at, fields));
    }
    return profiles;
}

Result<Profile> find_profile(const std::vector<Profile>& profiles, std::string_view name) {
    std::string known;
    for (const Profile& profile : profiles) {
        if (profile.name == name) {
            return profile;
        }
        known += (known.empty() ? "" : ", ") + profile.name;
    }
    return caller_error(Kind::invalid_request,
                        "no profile is called \"" + std::string(name) + "\"; there are " + known);
}

Result<Profile> apply_env(Profile profile, const EnvLookup& env) {
    static constexpr std::pair<std::string_view, std::string_view> kHeaders[] = {
        {"GITHUB_COPILOT_EDITOR_VERSION", "Editor-Version"},
        {"GITHUB_COPILOT_EDITOR_PLUGIN_VERSION", "Editor-Plugin-Version"},
        {"GITHUB_COPILOT_INTEGRATION_ID", "Copilot-Integration-Id"},
        {"GITHUB_COPILOT_USER_AGENT", "User-Agent"},
        {"GITHUB_COPILOT_API_VERSION", "X-GitHub-Api-Version"},
    };
    if (auto id = env("GITHUB_COPILOT_CLIENT_ID"); id && !id->empty()) {
        profile.client_id = *id;
    }
    for (const auto& [variable, header] : kHeaders) {
        const auto value = env(variable);
        if (!value || value->empty()) {
            continue;
        }
        if (!is_header_value(*value)) {
            return caller_error(Kind::invalid_request,
                                std::string(variable) +
                                    " holds characters that cannot stand in a "
                                    "header; use plain ASCII text");
        }
        set_header(profile, header, *value);
    }
    return profile;
}

std::string_view profile_header(const Profile& profile, std::string_view name) {
    for (const auto& [key, value] : profile.headers) {
        if (same_name(key, name)) {
            return value;
        }
    }
    return {};
}

}  // namespace belay::accounts
