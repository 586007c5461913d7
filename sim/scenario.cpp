#include "sim/scenario.h"

#include <algorithm>

#include "sim/fields.h"

namespace belay::sim {
namespace {

constexpr std::string_view kSteps[] = {"pending", "slow_down", "success", "denied", "expired"};

Result<void> read_device(const json::Value& value, DeviceSpec& device) {
    Fields f(value, "device");
    f.integer("interval", device.interval_s);
    f.integer("expires_in", device.expires_in_s);
    f.flag("enforce_interval", device.enforce_interval);
    f.texts("script", device.script);
    f.text("account", device.account);
    for (const auto& step : device.script) {
        if (std::find(std::begin(kSteps), std::end(kSteps), step) == std::end(kSteps)) {
            f.fail("script", "holds \"" + step +
                                 "\"; steps are pending, slow_down, success, denied, expired");
        }
    }
    return f.finish();
}

Result<void> read_bench(const json::Value& value, BenchSpec& bench) {
    if (value.is_bool()) {
        bench.enabled = value.as_bool();
        return {};
    }
    bench.enabled = true;
    Fields f(value, "bench");
    f.flag("enabled", bench.enabled);
    f.integer("chunks", bench.chunks);
    f.integer("reply_bytes", bench.reply_bytes);
    f.integer("chunk_ms", bench.chunk_ms);
    f.integer("hold_seconds", bench.hold_s);
    if (bench.chunks > 100'000 || bench.reply_bytes > (16 << 20)) {
        f.fail("chunks", "or reply_bytes is too large");
    }
    return f.finish();
}

Result<void> read_models(const json::Value& list, std::vector<Model>& models) {
    for (const auto& item : list.items()) {
        const std::string id(item["id"].as_string());
        if (id.empty()) {
            return caller_error(Kind::invalid_request, "every entry of models needs an id",
                                "models");
        }
        auto by_id = [&models](std::string_view wanted) {
            return std::find_if(models.begin(), models.end(),
                                [wanted](const Model& m) { return m.id == wanted; });
        };
        auto place = by_id(id);
        Model base;
        if (place != models.end()) {
            base = *place;
        } else {
            const auto like = by_id(item["like"].as_string("gpt-4.1"));
            base = like != models.end() ? *like : Model{};
            base.name = base.served_as = id;
        }
        base.id = id;
        Model parsed = TRY(parse_model(item, std::move(base)));
        if (place != models.end()) {
            *place = std::move(parsed);
        } else {
            models.push_back(std::move(parsed));
        }
    }
    return {};
}

Result<void> read_accounts(const json::Value& list, std::vector<AccountSpec>& accounts) {
    size_t i = 0;
    for (const auto& item : list.items()) {
        AccountSpec spec = TRY(parse_account(item, "accounts[" + std::to_string(i++) + "]"));
        auto place = std::find_if(accounts.begin(), accounts.end(),
                                  [&spec](const AccountSpec& a) { return a.name == spec.name; });
        if (place != accounts.end()) {
            *place = std::move(spec);
        } else {
            accounts.push_back(std::move(spec));
        }
    }
    return {};
}

// {"vscode-chat": null, "other": ["gpt-4.1"]}
std::vector<AllowList> read_allow_lists(const json::Value& value) {
    std::vector<AllowList> lists;
    for (const auto& member : value.members()) {
        AllowList list{member.key, {}};
        for (const auto& model : member.value.items()) {
            list.models.emplace_back(model.as_string());
        }
        lists.push_back(std::move(list));
    }
    return lists;
}

Result<void> read_quirks(const json::Value& value, std::array<Quirks, 3>& quirks) {
    static constexpr std::string_view kFamilies[] = {"gpt", "claude", "gemini"};
    Fields families(value, "quirks");
    for (size_t i = 0; i < 3; ++i) {
        const json::Value* flags = families.any(kFamilies[i]);
        if (flags == nullptr) {
            continue;
        }
        Fields f(*flags, "quirks." + std::string(kFamilies[i]));
        for (const auto name : quirk_names()) {
            f.flag(name, quirks[i].*find_quirk(name));
        }
        TRY(f.finish());
    }
    return families.finish();
}

void bill_all(std::vector<AccountSpec>& accounts, std::string_view billing) {
    for (auto& account : accounts) {
        account.billing = billing == "requests" ? Billing::requests : Billing::credits;
    }
}

}  // namespace

Scenario default_scenario() {
    Scenario s;
    s.models = default_catalogue();
    for (const auto name : fixture_names()) {
        s.accounts.push_back(fixture(name));
    }
    for (size_t i = 0; i < s.quirks.size(); ++i) {
        s.quirks[i] = default_quirks(static_cast<Family>(i));
    }
    return s;
}

Result<std::vector<FaultRule>> parse_faults(const json::Value& list) {
    if (!list.is_array()) {
        return caller_error(Kind::invalid_request, "faults must be a list of rules", "faults");
    }
    std::vector<FaultRule> rules;
    for (size_t i = 0; i < list.size(); ++i) {
        rules.push_back(TRY(parse_fault_rule(list[i], "faults[" + std::to_string(i) + "]")));
    }
    return rules;
}

Result<Scenario> parse_scenario(const json::Value& value) {
    Scenario s = default_scenario();
    Fields f(value, "scenario");
    int64_t seed = static_cast<int64_t>(s.seed);
    std::string billing;
    f.integer("seed", seed);
    s.seed = static_cast<uint64_t>(seed);
    f.choice("billing", billing, {"requests", "credits"});
    f.integer("token_lifetime", s.token_lifetime_s);
    f.integer("refresh_in", s.refresh_in_s);
    f.choice("token_host", s.token_host, {"announced", "absent"});
    f.flag("require_editor_version", s.require_editor_version);
    f.text("api_version_oldest", s.api_version_oldest);
    f.text("api_version_newest", s.api_version_newest);
    f.integer("body_limit", s.body_limit);
    f.flag("plan_hosts", s.plan_hosts);
    f.flag("strict_hosts", s.strict_hosts);
    f.flag("json_errors_as_text", s.json_errors_as_text);
    f.flag("strict_max_tokens", s.strict_max_tokens);
    f.flag("strict_opaque", s.strict_opaque);
    f.flag("web_search", s.web_search);
    f.integer("log_entries", s.log_entries);
    f.integer("head_ms", s.head_ms);
    f.integer("chunk_ms", s.chunk_ms);
    const json::Value* device = f.any("device");
    const json::Value* bench = f.any("bench");
    const json::Value* models = f.any("models");
    const json::Value* remove = f.any("remove_models");
    const json::Value* accounts = f.any("accounts");
    const json::Value* integrations = f.any("integrations");
    const json::Value* clients = f.any("clients");
    const json::Value* quirks = f.any("quirks");
    const json::Value* faults = f.any("faults");
    TRY(f.finish());
    if (!billing.empty()) {
        bill_all(s.accounts, billing);
    }
    if (device != nullptr) {
        TRY(read_device(*device, s.device));
    }
    if (bench != nullptr) {
        TRY(read_bench(*bench, s.bench));
    }
    if (models != nullptr) {
        TRY(read_models(*models, s.models));
    }
    if (remove != nullptr) {
        for (const auto& id : remove->items()) {
            std::erase_if(s.models, [&id](const Model& m) { return m.id == id.as_string(); });
        }
    }
    if (accounts != nullptr) {
        TRY(read_accounts(*accounts, s.accounts));
    }
    if (integrations != nullptr) {
        s.integrations = read_allow_lists(*integrations);
    }
    if (clients != nullptr) {
        s.clients = read_allow_lists(*clients);
    }
    if (quirks != nullptr) {
        TRY(read_quirks(*quirks, s.quirks));
    }
    if (faults != nullptr) {
        s.faults = TRY(parse_faults(*faults));
    }
    return s;
}

}  // namespace belay::sim
