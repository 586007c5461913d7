// model_list: each row to a Deployment, or to a reason why not.
#include <algorithm>
#include <cctype>
#include <set>

#include "app/config_load.h"
#include "app/config_providers.h"
#include "app/config_suggest.h"
#include "base/ids.h"

namespace belay::app {
namespace {

using routing::Deployment;

size_t stars(std::string_view text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '*'));
}

class RowReader {
  public:
    RowReader(Load& load, const yaml::Node& row) : load_(load), row_(row) {}

    // Adds the deployments of this row to the table; nothing when it is invalid.
    void add_deployments() {
        size_t before = load_.config.table.deployments.size();
        read_row();
        if (load_.config.table.deployments.size() == before && !deployment_.group.empty()) {
            load_.left_out.push_back(deployment_.group);
        }
    }

  private:
    void read_row() {
        if (!row_.is_mapping()) {
            fail(row_.place,
                 "an entry of model_list must be a mapping, not " +
                     std::string(yaml::describe(row_.type)),
                 "write '- model_name: ...' with litellm_params below it");
            return;
        }
        bool good = check_section(load_, Section::model_entry, row_, "model_list[]", Fatal::no);
        good = read_name() && good;
        const yaml::Node* params = row_.find("litellm_params");
        if (params == nullptr || !params->is_mapping()) {
            if (params == nullptr || params->is_null()) {
                fail(row_.place, label() + " has no litellm_params",
                     "say what serves it: litellm_params: {model: provider/model}");
            }
            return;
        }
        params_ = *params;
        good = check_params() && good;
        const yaml::Node* info = row_.find("model_info");
        info_.type = yaml::Type::mapping;
        if (info != nullptr && info->is_mapping()) {
            info_ = *info;
            good =
                check_section(load_, Section::model_info, info_, "model_info", Fatal::no) && good;
        }
        add_credential();
        add_default_params();
        if (!good) {
            load_.diagnostics.fail(row_.place,
                                   label() + " is left out because of the errors in it");
            return;
        }
        build();
    }

    bool read_name() {
        deployment_.line = load_.config.built_in_models ? 0 : row_.place.line;
        deployment_.group = read_text(row_, "model_name");
        const yaml::Entry* entry = row_.find_entry("model_name");
        if (deployment_.group.empty()) {
            fail(row_.place, "an entry of model_list has no model_name",
                 "give it the name that clients ask for");
            return false;
        }
        if (stars(deployment_.group) > 1) {
            fail(entry->value.place, "model_name may hold one *, not more",
                 "write one pattern per entry");
            return false;
        }
        return true;
    }

    std::string label() const {
        return deployment_.group.empty() ? "this entry" : "the entry '" + deployment_.group + "'";
    }

    Diagnostic& fail(yaml::Place place, std::string message, std::string hint) {
        return load_.diagnostics.fail(place, std::move(message), std::move(hint));
    }

    // Known keys are checked; unknown ones become request defaults unless a setting was meant.
    bool check_params() {
        bool good = true;
        yaml::Node known = params_;
        std::erase_if(known.entries, [](const yaml::Entry& entry) {
            return find_key(Section::litellm_params, entry.key) == nullptr;
        });
        good = check_section(load_, Section::litellm_params, known, "litellm_params", Fatal::no);
        for (const yaml::Entry& entry : params_.entries) {
            if (find_key(Section::litellm_params, entry.key) != nullptr || is_tiered_price(entry)) {
                continue;
            }
            auto guess = report_unknown(load_, Section::litellm_params, entry, "litellm_params");
            bool setting = guess && guess->score <= 0.32 && !is_request_default(*guess->key);
            if (setting) {
                misspelt_.insert(entry.key);
            }
        }
        return good;
    }

    static bool is_tiered_price(const yaml::Entry& entry) {
        return entry.key.find("cost_per_") != std::string::npos ||
               entry.key.find("token_cost") != std::string::npos;
    }

    void add_credential() {
        std::string name = read_text(params_, "litellm_credential_name");
        if (name.empty()) {
            return;
        }
        const yaml::Node* list = load_.root.find("credential_list");
        std::vector<std::string> names;
        for (const yaml::Node& item : list == nullptr ? no_items() : list->items) {
            names.push_back(read_text(item, "credential_name"));
            const yaml::Node* values = item.find("credential_values");
            if (names.back() == name && values != nullptr) {
                add_missing(*values);
                return;
            }
        }
        std::string nearest = suggest(name, names);
        yaml::Place place = params_.find("litellm_credential_name")->place;
        fail(place, "no entry of credential_list is named '" + name + "'",
             nearest.empty() ? "add it to credential_list" : "did you mean " + nearest + "?")
            .suggestion = nearest;
    }

    static const std::vector<yaml::Node>& no_items() {
        static const std::vector<yaml::Node> none;
        return none;
    }

    void add_default_params() {
        const yaml::Node* defaults =
            section_of(load_, "router_settings").find("default_litellm_params");
        if (defaults != nullptr) {
            add_missing(*defaults);
        }
    }

    void add_missing(const yaml::Node& values) {
        for (const yaml::Entry& entry : values.entries) {
            const yaml::Node* mine = params_.find(entry.key);
            const Key* key = find_key(Section::litellm_params, entry.key);
            if (mine == nullptr && (key == nullptr || !check_value(*key, entry.value))) {
                params_.entries.push_back(entry);
            }
        }
    }

    void build() {
        std::string model = read_text(params_, "model");
        if (model.empty()) {
            fail(params_.place, label() + " has no litellm_params.model",
                 "write model: provider/model, e.g. github_copilot/gpt-5-mini");
            return;
        }
        fill_plain();
        fill_retries_and_weights();
        fill_request_shape();
        fill_capabilities();
        fill_price();
        fill_fallbacks();
        if (model == "*" && deployment_.group == "*") {
            expand_everything();
        } else if (fill_provider(model)) {
            finish(deployment_);
        }
    }

    bool fill_provider(const std::string& model) {
        const yaml::Node& node = *params_.find("model");
        std::string forced = read_text(params_, "custom_llm_provider");
        auto split = split_model(model, forced);
        if (!split) {
            refuse_provider(node, model, forced);
            return false;
        }
        if (split->provider->family == Family::unsupported) {
            fail(node.place,
                 "the provider " + std::string(split->provider->name) +
                     " is not served by this version; the entry is left out",
                 "use an OpenAI-compatible address of it: model: openai/NAME with api_base");
            return false;
        }
        if (stars(split->model) > 0 && stars(deployment_.group) == 0) {
            fail(node.place, "litellm_params.model has a * but model_name has none",
                 "write the * in both, or in neither");
            return false;
        }
        if (split->model.empty() || stars(split->model) > 1) {
            fail(node.place, "litellm_params.model names no model", "write provider/model");
            return false;
        }
        deployment_.model = split->model;
        apply_provider(*split->provider, node, forced.empty() && model == split->model);
        return true;
    }

    void refuse_provider(const yaml::Node& node, const std::string& model,
                         const std::string& forced) {
        std::string prefix = forced.empty() ? model.substr(0, model.find('/')) : forced;
        bool named = !forced.empty() || model.find('/') != std::string::npos;
        auto known = provider_names();
        std::string nearest = named ? suggest(prefix, known) : "";
        std::string rest = forced.empty() && named ? model.substr(model.find('/')) : "";
        std::string hint =
            !nearest.empty() ? "did you mean " + nearest + rest + "?"
            : named ? "for an OpenAI-compatible server write openai/" + model + " and its api_base"
                    : "write the provider before the name, e.g. github_copilot/" + model;
        fail(node.place,
             named ? "the provider '" + prefix + "' is not known; the entry is left out"
                   : "the model '" + model + "' does not tell its provider; the entry is left out",
             std::move(hint))
            .suggestion = nearest;
    }

    void apply_provider(const Provider& provider, const yaml::Node& node, bool guessed) {
        deployment_.provider = provider.name;
        auto ask = [this](std::string_view name) {
            return name.empty() || !load_.env ? std::nullopt : load_.env(name);
        };
        if (deployment_.api_base.empty()) {
            deployment_.api_base =
                ask(provider.base_variable).value_or(std::string(provider.api_base));
        }
        bool ollama = deployment_.provider == "ollama" || deployment_.provider == "ollama_chat";
        if (ollama && !deployment_.api_base.ends_with("/v1")) {
            bool slash = deployment_.api_base.ends_with('/');
            deployment_.api_base += deployment_.api_base.ends_with("/v1/") ? ""
                                    : slash                                ? "v1"
                                                                           : "/v1";
        }
        if (deployment_.api_key.empty()) {
            deployment_.api_key = Secret(ask(provider.key_variable).value_or(""));
        }
        if (provider.needs_key && deployment_.api_key.empty()) {
            std::string hint = "set " + std::string(provider.key_variable) + " or api_key";
            if (guessed) {
                hint += "; for Copilot's model write github_copilot/" + deployment_.model;
            }
            load_.diagnostics.warn(node.place,
                                   label() + " has no key for " + std::string(provider.name), hint);
        }
        bool addressed = !deployment_.api_base.empty() || provider.family == Family::copilot ||
                         provider.family == Family::anthropic || provider.family == Family::gemini;
        if (!addressed) {
            load_.diagnostics.warn(node.place, label() + " has no api_base",
                                   "add the address of " + std::string(provider.name));
        }
    }

    // "*" served by "*" offers every provider by prefix; names without one go to Copilot.
    void expand_everything() {
        load_.diagnostics.note(
            params_.find("model")->place,
            "model \"*\" offers provider/* for github_copilot and every provider "
            "whose key is set; other names go to github_copilot");
        Deployment base = deployment_;
        auto add = [&](const std::string& group, const Provider& provider) {
            deployment_ = base;
            deployment_.group = group;
            deployment_.model = "*";
            apply_provider(provider, *params_.find("model"), false);
            finish(deployment_);
        };
        for (const std::string& name : provider_names()) {
            const Provider& provider = *find_provider(name);
            bool usable = provider.family == Family::copilot ||
                          (provider.needs_key && load_.env && load_.env(provider.key_variable));
            if (usable) {
                add(name + "/*", provider);
            }
        }
        add("*", *find_provider("github_copilot"));
    }

    void fill_plain() {
        std::string base = read_text(params_, "api_base");
        deployment_.api_base = base.empty() ? read_text(params_, "base_url") : base;
        deployment_.api_key = Secret(read_text(params_, "api_key"));
        deployment_.api_version = read_text(params_, "api_version");
        deployment_.organization = read_text(params_, "organization");
        deployment_.mock_response = read_text(params_, "mock_response");
        deployment_.base_model = read_text(info_, "base_model");
        for (const yaml::Entry& header : headers().entries) {
            if (auto value = to_text(header.value)) {
                deployment_.extra_headers.emplace_back(header.key, *value);
            }
        }
    }

    const yaml::Node& headers() const {
        static const yaml::Node none;
        const yaml::Node* node = params_.find("extra_headers");
        return node == nullptr ? none : *node;
    }

    void fill_retries_and_weights() {
        Deployment& d = deployment_;
        d.timeout = read<Seconds>(params_, "timeout", to_seconds);
        d.stream_timeout = read<Seconds>(params_, "stream_timeout", to_seconds);
        d.cooldown_time = read<Seconds>(params_, "cooldown_time", to_seconds);
        auto retries = read<int64_t>(params_, "num_retries", to_count);
        retries = retries ? retries : read<int64_t>(params_, "max_retries", to_count);
        if (retries) {
            d.num_retries = static_cast<int>(std::min<int64_t>(*retries, 100));
        }
        d.rpm = read<int64_t>(params_, "rpm", to_count);
        d.tpm = read<int64_t>(params_, "tpm", to_count);
        d.max_parallel_requests = read<int64_t>(params_, "max_parallel_requests", to_count);
        d.weight = read<double>(params_, "weight", to_number);
        auto order = read<int64_t>(params_, "order", to_count);
        d.order = static_cast<int>(std::min<int64_t>(order.value_or(0), 1'000'000));
        d.tags = list("tags");
    }

    std::vector<std::string> list(std::string_view key) const {
        return read<std::vector<std::string>>(params_, key, to_text_list)
            .value_or(std::vector<std::string>{});
    }

    void fill_request_shape() {
        deployment_.drop_params = read<bool>(params_, "drop_params", to_boolean);
        deployment_.additional_drop_params = list("additional_drop_params");
        deployment_.allowed_openai_params = list("allowed_openai_params");
        deployment_.defaults = json::Value::object();
        for (const yaml::Entry& entry : params_.entries) {
            const Key* key = find_key(Section::litellm_params, entry.key);
            bool field = key == nullptr ? !misspelt_.contains(entry.key) && !is_tiered_price(entry)
                                        : is_request_default(*key);
            if (field && !entry.value.is_null()) {
                deployment_.defaults.set(entry.key, default_value(key, entry.value));
            }
        }
        if (const yaml::Node* body = params_.find("extra_body")) {
            for (const yaml::Entry& entry : body->entries) {
                deployment_.defaults.set(entry.key, to_json(entry.value));
            }
        }
        if (deployment_.defaults.size() == 0) {
            deployment_.defaults = nullptr;
        }
    }

    // Numbers and flags that arrived as text (from the environment) go upstream as what they are.
    static json::Value default_value(const Key* key, const yaml::Node& node) {
        bool numeric =
            key != nullptr && (key->type == KeyType::number || key->type == KeyType::count);
        if (numeric && node.is_text()) {
            auto number = to_number(node);
            return number ? json::Value(*number) : json::Value(node.text);
        }
        if (key != nullptr && key->type == KeyType::boolean) {
            return to_boolean(node).value_or(false);
        }
        return to_json(node);
    }

    void fill_capabilities() {
        auto flag = [this](std::string_view a, std::string_view b) -> std::optional<bool> {
            for (const yaml::Node* map : {&params_, &info_}) {
                for (std::string_view key : {a, b}) {
                    if (auto value = read<bool>(*map, key, to_boolean)) {
                        return value;
                    }
                }
            }
            return std::nullopt;
        };
        auto limit = [this](std::string_view key) {
            auto value = read<int64_t>(info_, key, to_count);
            return value ? value : read<int64_t>(params_, key, to_count);
        };
        routing::Capabilities& known = deployment_.capabilities;
        known.tools = flag("supports_function_calling", "supports_tool_calling");
        known.vision = flag("supports_vision", "supports_vision");
        known.max_input_tokens = limit("max_input_tokens");
        known.max_output_tokens = limit("max_output_tokens");
        if (!known.max_output_tokens) {
            known.max_output_tokens = read<int64_t>(info_, "max_tokens", to_count);
        }
    }

    std::optional<PricePerMillion> price_of(std::string_view key) const {
        for (const yaml::Node* map : {&params_, &info_}) {
            const yaml::Node* node = map->find(key);
            if (node != nullptr && (node->is_number() || node->is_text())) {
                auto price = parse_usd_per_token(node->text);
                if (price.ok() && price.value().nanocredits >= 0) {
                    return price.value();
                }
            }
        }
        return std::nullopt;
    }

    void fill_price() {
        auto input = price_of("input_cost_per_token");
        auto output = price_of("output_cost_per_token");
        if (!input && !output) {
            return;
        }
        chat::PriceCard card;
        card.input = input.value_or(PricePerMillion{});
        card.output = output.value_or(PricePerMillion{});
        card.cache_read = price_of("cache_read_input_token_cost");
        card.cache_write = price_of("cache_creation_input_token_cost");
        for (int64_t tier : {128, 200, 256, 272, 512}) {
            std::string suffix = "_above_" + std::to_string(tier) + "k_tokens";
            auto long_input = price_of("input_cost_per_token" + suffix);
            auto long_output = price_of("output_cost_per_token" + suffix);
            if (!long_input && !long_output) {
                continue;
            }
            card.long_context_above = tier * 1000;
            card.long_input = long_input.value_or(card.input);
            card.long_output = long_output.value_or(card.output);
            card.long_cache_read = price_of("cache_read_input_token_cost" + suffix);
            card.long_cache_write = price_of("cache_creation_input_token_cost" + suffix);
            break;
        }
        deployment_.price = card;
    }

    void fill_fallbacks() {
        const yaml::Node* inside = params_.find("fallbacks");
        const yaml::Node* beside = row_.find("fallbacks");
        if (inside != nullptr && inside->is_null()) {
            inside = nullptr;
        }
        if (inside != nullptr && beside != nullptr && !beside->is_null()) {
            load_.diagnostics.warn(beside->place,
                                   label() + " has fallbacks in litellm_params and beside it",
                                   "the ones in litellm_params count; remove the others");
        }
        const yaml::Node* chosen = inside != nullptr ? inside : beside;
        if (chosen != nullptr && !chosen->is_null()) {
            deployment_.fallbacks =
                read_fallbacks(load_, *chosen, deployment_.group, &load_.config.table.fallbacks);
        }
    }

    void fill_mode(Deployment& d) const {
        std::string mode = read_text(info_, "mode");
        if (mode.empty()) {
            mode = d.model.find("embed") != std::string::npos ? "embedding" : "chat";
        }
        d.mode = mode == "chat"         ? routing::Mode::chat
                 : mode == "completion" ? routing::Mode::completion
                 : mode == "embedding"  ? routing::Mode::embedding
                 : mode == "responses"  ? routing::Mode::responses
                                        : routing::Mode::other;
    }

    void finish(Deployment d) {
        if (read_flag(info_, "blocked", false)) {
            load_.diagnostics.note(row_.place,
                                   label() + " is blocked by model_info and not served");
            return;
        }
        fill_mode(d);
        std::string entry = json::dump(to_json_unresolved(params_));
        std::string wanted = read_text(info_, "id");
        d.id = unique_id(wanted.empty() ? sha256_hex(d.group + "\n" + entry) : wanted,
                         !wanted.empty());
        d.model_info = to_json(info_);
        d.model_info.set("id", d.id);
        std::string all = json::dump(to_json(params_)) + json::dump(to_json(info_)) + d.group +
                          d.api_base + sha256_hex(d.api_key.reveal()) + describe_targets(d);
        load_.config.deployment_digests[d.id] = {d.group, sha256_hex(all), true};
        load_.config.table.deployments.push_back(std::make_shared<const Deployment>(std::move(d)));
    }

    static std::string describe_targets(const Deployment& d) {
        std::string out;
        for (const routing::FallbackTarget& target : d.fallbacks) {
            out += "\n" + target.group;
        }
        return out;
    }

    std::string unique_id(const std::string& wanted, bool given) {
        int times = ++load_.ids_used[wanted];
        if (times == 1) {
            return wanted;
        }
        if (given) {
            load_.diagnostics.warn(info_.find("id")->place,
                                   "the id '" + wanted + "' is already used by another entry",
                                   "give every entry its own model_info.id");
        }
        return unique_id(wanted + "-" + std::to_string(times), false);
    }

    Load& load_;
    const yaml::Node& row_;
    yaml::Node params_;
    yaml::Node info_;
    std::set<std::string> misspelt_;
    Deployment deployment_;
};

void read_built_in(Load& load) {
    int source = load.diagnostics.add_source("(built in)", std::string(default_yaml()));
    load.built_in = std::move(yaml::parse(default_yaml(), source).root);
    load.config.built_in_models = true;
    for (const yaml::Node& row : load.built_in.find("model_list")->items) {
        RowReader(load, row).add_deployments();
    }
}

}  // namespace

void read_models(Load& load) {
    const yaml::Node* list = load.root.find("model_list");
    bool absent =
        list == nullptr || list->is_null() || (list->is_sequence() && list->items.empty());
    if (absent) {
        load.diagnostics.note(list == nullptr ? yaml::Place{} : list->place,
                              "there are no models in model_list, so the built-in chain is served",
                              "add a model_list to choose your own");
        read_built_in(load);
        return;
    }
    for (const yaml::Node& row : list->items) {
        RowReader(load, row).add_deployments();
    }
    if (load.config.table.deployments.empty() && list->is_sequence()) {
        load.diagnostics
            .fail(list->place, "no entry of model_list can be served", "mend the errors above")
            .fatal = true;
    }
}

}  // namespace belay::app
