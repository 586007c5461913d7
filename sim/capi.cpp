#include "sim/capi.h"

#include <algorithm>

namespace belay::sim {
namespace {

// Identity headers, as the plan hosts ask for them.
std::optional<Reply> check_identity(const Call& call) {
    const Scenario& s = call.state.scenario;
    if (call.path == "/_ping") {
        return std::nullopt;
    }
    // Direct credentials are not IDE credentials: only exchanged tokens need the editor's name.
    if (s.require_editor_version && call.credential == Credential::copilot &&
        call.request.header("editor-version").empty()) {
        return named_error(call, "missing_editor_version");
    }
    const auto integration = call.request.header("copilot-integration-id");
    if (!s.integrations.empty() && !integration.empty() &&
        std::none_of(s.integrations.begin(), s.integrations.end(),
                     [&](const AllowList& list) { return list.id == integration; })) {
        return named_error(call, "unknown_integration_id");
    }
    const auto version = call.request.header("x-github-api-version");
    if (!version.empty() && (version < s.api_version_oldest || version > s.api_version_newest)) {
        return named_error(call, "api_version_retired");
    }
    return std::nullopt;
}

std::optional<Reply> check_host(const Call& call) {
    const Scenario& s = call.state.scenario;
    const bool wrong = call.host.empty() ? s.strict_hosts : call.host != call.account->spec.host;
    if (wrong) {
        return named_error(call, "misdirected");
    }
    return std::nullopt;
}

bool is_model_path(std::string_view path) {
    return path == "/chat/completions" || path == "/responses" || path == "/v1/messages" ||
           path == "/embeddings";
}

Reply route(Call& call) {
    const std::string_view path = call.path;
    const bool post = call.request.method == "POST";
    if (path == "/models" && !post) {
        return serve_models(call);
    }
    if (path.starts_with("/models/") && !post) {
        const Model* model = call.state.find_model(path.substr(8));
        if (model != nullptr && offers(call, *model)) {
            return json_reply(200, render_model(*model, policy_for(*call.account, *model)));
        }
        return named_error(call, "not_found");
    }
    if (!post) {
        return named_error(call, "not_found_text");
    }
    if (path == "/chat/completions") {
        return serve_model_call(call, chat_protocol());
    }
    if (path == "/responses") {
        return serve_model_call(call, responses_protocol());
    }
    if (path == "/v1/messages") {
        return serve_model_call(call, messages_protocol());
    }
    if (path == "/v1/messages/count_tokens") {
        return serve_count_tokens(call);
    }
    if (path == "/embeddings") {
        return serve_embeddings(call);
    }
    if (path == "/models/session") {
        return serve_model_session(call);
    }
    if (path == "/models/session/intent") {
        return serve_intent(call);
    }
    if (path == "/auto") {
        return serve_auto(call);
    }
    if (path.starts_with("/models/") && path.ends_with("/policy")) {
        return serve_policy(call, path.substr(8, path.size() - 15));
    }
    return named_error(call, "not_found_text");
}

// What every answer of the service carries.
void add_common_headers(const Call& call, Reply& r, Random& random) {
    std::string id;
    for (const int width : {4, 5, 7, 7, 8}) {
        std::string group = random.hex(static_cast<size_t>(width));
        std::transform(group.begin(), group.end(), group.begin(),
                       [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
        id += (id.empty() ? "" : ":") + group;
    }
    r.headers.push_back({"x-github-request-id", id});
    const auto asked = call.request.header("x-request-id");
    r.headers.push_back(
        {"x-request-id", asked.empty() ? "00000-" + random.uuid() : std::string(asked)});
    r.headers.push_back({"x-copilot-service-request-id", random.uuid()});
    r.headers.push_back({"x-github-backend", "Kubernetes"});
    r.headers.push_back({"content-security-policy", "default-src 'none'; sandbox"});
    r.headers.push_back({"x-content-type-options", "nosniff"});
    if (call.account != nullptr && is_model_path(call.path)) {
        add_quota_headers(r.headers, *call.account, call.now, call.quota_shown_empty);
    }
}

// Puts an http fault into a stream: what comes after its place is replaced by the error.
void inject(Reply& r, const Fault& fault, const Protocol& protocol) {
    auto keep = r.parts.begin();
    int64_t content = 0;
    for (; keep != r.parts.end(); ++keep) {
        const bool past_handshake = keep->stage != Stage::handshake;
        const bool past_content = keep->stage != Stage::handshake && keep->stage != Stage::content;
        content += keep->stage == Stage::content ? 1 : 0;
        if ((fault.when == When::handshake && past_handshake) ||
            (fault.when == When::content && (past_content || content > fault.at)) ||
            (fault.when == When::finish && keep->stage == Stage::done)) {
            break;
        }
    }
    r.parts.erase(keep, r.parts.end());
    Part error{protocol.stream_error(fault)};
    error.stage = Stage::finish;
    error.delay = fault.delay;
    r.parts.push_back(std::move(error));
}

// The model's own prompt cache: the longest known prefix of messages is read from it.
Usage price_prompt(Call& call, const Ask& ask) {
    Usage u;
    auto& cache = call.state.prompt_cache;
    const bool explicit_marks = call.model->family == Family::claude;
    const uint64_t salt = keyed_hash(call.state.key("cache"), call.model->id);
    for (const auto& step : ask.steps) {
        if (cache.contains(step.hash ^ salt) && step.tokens >= 1024) {
            u.cached = step.tokens;
        }
    }
    u.cached = explicit_marks && ask.cache_marks == 0 ? 0 : std::min(u.cached, ask.prompt_tokens);
    u.input = ask.prompt_tokens - u.cached;
    if (ask.steps.empty() || ask.steps.back().tokens < 1024 ||
        (explicit_marks && ask.cache_marks == 0)) {
        return u;
    }
    if (cache.size() > 20'000) {
        cache.clear();
    }
    for (const auto& step : ask.steps) {
        cache[step.hash ^ salt] = step.tokens;
    }
    if (explicit_marks) {
        u.cache_write = u.input;
        u.input = 0;
    }
    return u;
}

void account_for(Call& call, const Ask& ask, const Usage& usage) {
    count_usage(call, usage, charge(*call.account, *call.model, usage, ask.initiator));
}

void pace(const Scenario& s, Reply& r) {
    r.head_delay += milliseconds(s.head_ms);
    if (r.streamed) {
        for (size_t i = 1; i < r.parts.size(); ++i) {
            r.parts[i].delay += milliseconds(s.chunk_ms);
        }
    }
}

bool valid_tool_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 &&
           std::all_of(name.begin(), name.end(),
                       [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
}

// An array schema without items somewhere inside?
bool lacks_items(const json::Value& schema, int depth = 0) {
    if (!schema.is_object() || depth > 32) {
        return false;
    }
    if (schema["type"].as_string() == "array" && !schema.has("items")) {
        return true;
    }
    for (const auto& property : schema["properties"].members()) {
        if (lacks_items(property.value, depth + 1)) {
            return true;
        }
    }
    return lacks_items(schema["items"], depth + 1);
}

}  // namespace

Reply serve_capi(Call& call) {
    Reply r;
    if (call.path == "/_ping") {
        const Fault* fault = fault_before(call);
        r = fault != nullptr ? render_fault(*fault, true) : text_reply(200, "OK\n");
    } else if (call.account == nullptr) {
        r = named_error(call, "token_expired");
    } else {
        call.account->roll(call.now);
        call.entry.account = call.account->spec.name;
        if (auto wrong = check_host(call)) {
            r = std::move(*wrong);
        } else if (auto unfit = check_identity(call)) {
            r = std::move(*unfit);
        } else if (const Fault* fault = fault_before(call)) {
            call.quota_shown_empty = fault->empties_quota;
            call.model_id = call.body["model"].as_string();
            r = render_fault(*fault, call.state.scenario.json_errors_as_text);
        } else if (call.request.body.size() > static_cast<size_t>(call.state.scenario.body_limit)) {
            r = named_error(call, "request_too_large");
        } else {
            r = route(call);
        }
    }
    add_common_headers(call, r, call.random);
    return r;
}

Reply serve_model_call(Call& call, const Protocol& protocol) {
    if (!call.body.is_object()) {
        return named_error(call, "bad_request_text");
    }
    call.stream = call.body["stream"].as_bool();
    if (auto refusal = check_model(call, protocol.endpoint)) {
        return std::move(*refusal);
    }
    call.quirks = call.state.scenario.quirks_of(call.model->family);
    for (const Fault& f : call.faults) {
        if (f.kind == FaultKind::quirk) {
            call.quirks.*(f.quirk) = true;
        }
    }
    if (auto refusal = check_quota(call)) {
        return std::move(*refusal);
    }
    Ask ask;
    ask.model = call.model;
    ask.stream = call.stream;
    ask.initiator = initiator_of(call);
    if (auto refusal = protocol.read(call, ask)) {
        return std::move(*refusal);
    }
    if (ask.prompt_tokens > call.model->prompt_max) {
        return protocol.too_long(call, ask.prompt_tokens, call.model->prompt_max);
    }
    if (!call.stream && call.model->plain_output_max != 0) {
        ask.output_max = ask.output_max == 0
                             ? call.model->plain_output_max
                             : std::min(ask.output_max, call.model->plain_output_max);
    }
    Answer answer = plan_answer(ask);
    if (call.quirks.prompt_filtered || call.quirks.output_filtered) {
        answer.calls.clear();
        answer.finish = Finish::content_filter;
        answer.text =
            call.quirks.prompt_filtered ? "" : answer.text.substr(0, answer.text.size() / 2);
        answer.usage.output = count_tokens(answer.text) + answer.usage.reasoning;
    }
    const Usage prompt = price_prompt(call, ask);
    answer.usage.input = prompt.input;
    answer.usage.cached = prompt.cached;
    answer.usage.cache_write = prompt.cache_write;
    const auto in_stream = std::find_if(call.faults.begin(), call.faults.end(), [](const Fault& f) {
        return f.kind == FaultKind::http && f.when != When::before;
    });
    Reply r = protocol.render(call, ask, answer);
    if (in_stream != call.faults.end()) {
        call.quota_shown_empty = in_stream->empties_quota;
        if (!r.streamed) {
            return render_fault(*in_stream, call.state.scenario.json_errors_as_text);
        }
        inject(r, *in_stream, protocol);
    }
    const bool cut_before =
        std::any_of(call.faults.begin(), call.faults.end(), ends_before_content);
    if (!cut_before && (in_stream == call.faults.end() || in_stream->when != When::handshake)) {
        account_for(call, ask, answer.usage);
    }
    pace(call.state.scenario, r);
    return r;
}

bool offers(const Call& call, const Model& model) {
    const auto& spec = call.account->spec;
    if (!model.restricted_to.empty() &&
        std::find(model.restricted_to.begin(), model.restricted_to.end(), spec.model_class) ==
            model.restricted_to.end()) {
        return false;
    }
    auto allowed = [&model](const std::vector<AllowList>& lists, std::string_view id) {
        for (const auto& list : lists) {
            if (list.id == id && !list.models.empty()) {
                return std::find(list.models.begin(), list.models.end(), model.id) !=
                       list.models.end();
            }
        }
        return true;
    };
    if (!allowed(call.state.scenario.integrations, call.request.header("copilot-integration-id"))) {
        return false;
    }
    if (call.credential != Credential::github) {
        return true;
    }
    const auto value = call.request.header("authorization");
    const auto token = call.state.github_tokens.find(value.substr(value.find(' ') + 1));
    return token == call.state.github_tokens.end() ||
           allowed(call.state.scenario.clients, token->second.client_id);
}

Policy policy_for(const Account& account, const Model& model) {
    const auto& list = account.enabled_models;
    if (model.policy != Policy::none &&
        std::find(list.begin(), list.end(), model.id) != list.end()) {
        return Policy::enabled;
    }
    return model.policy;
}

std::optional<Reply> check_model(Call& call, std::string_view endpoint) {
    call.model_id = call.body["model"].as_string();
    std::string id = call.model_id;
    const bool messages = endpoint == "/v1/messages" || endpoint.empty();
    if (messages && call.state.find_model(id) == nullptr) {
        // The Messages route also takes the vendor's dashed spelling (claude-opus-4-6).
        if (const size_t dash = id.rfind('-');
            dash != std::string::npos && dash + 1 < id.size() &&
            std::isdigit(static_cast<unsigned char>(id[dash + 1]))) {
            id[dash] = '.';
        }
    }
    call.model = call.state.find_model(id);
    if (call.model == nullptr || !offers(call, *call.model)) {
        return named_error(call, "model_not_supported");
    }
    const Policy policy = policy_for(*call.account, *call.model);
    if (policy == Policy::disabled || policy == Policy::unconfigured) {
        return named_error(call, "model_not_supported");
    }
    if (auto refusal = check_session(call)) {
        return refusal;
    }
    if (!call.model->serves(endpoint)) {
        return capi_error(call, 400, "unsupported_api_for_model",
                          "model \"" + call.model_id + "\" is not accessible via the " +
                              std::string(endpoint) + " endpoint");
    }
    return std::nullopt;
}

std::optional<Reply> check_quota(Call& call) {
    Account& a = *call.account;
    const auto& spec = a.spec;
    auto refuse = [&](std::string_view name, Wall until) {
        Fault f = find_fault(name).value_or(*find_fault("quota_exceeded"));
        f.code = f.code.empty() ? f.code : std::string(name);
        const auto wait = std::chrono::duration_cast<seconds>(until - call.now).count();
        set_header(f.headers, "retry-after", std::to_string(std::max<int64_t>(1, wait)));
        call.quota_shown_empty = f.empties_quota;
        return render_fault(f, call.state.scenario.json_errors_as_text);
    };
    // Included models cost nothing and stay open on request-billed paid plans.
    const bool free_call = spec.billing == Billing::requests && !spec.legacy_free &&
                           call.model->multiplier_permille == 0;
    if (!free_call && a.exhausted()) {
        const bool over = spec.overage_permitted;
        return refuse(over ? "overage_limit_reached" : spec.exhausted_code, next_month(call.now));
    }
    if (spec.session_limit != 0 && a.session_used >= spec.session_limit) {
        return refuse("session_quota_exceeded", a.session_ends);
    }
    if (spec.weekly_limit != 0 && a.weekly_used >= spec.weekly_limit) {
        return refuse("user_weekly_rate_limited", a.week_ends);
    }
    return std::nullopt;
}

Initiator initiator_of(const Call& call) {
    return call.request.header("x-initiator") == "agent" ? Initiator::agent : Initiator::user;
}

std::optional<Reply> check_tool(const Call& call, std::string_view name, const json::Value& schema,
                                std::string_view where) {
    if (!valid_tool_name(name)) {
        return capi_error(
            call, 400, "invalid_request_body",
            "Invalid '" + std::string(where) +
                ".name': string does not match pattern. Expected a string that matches "
                "the pattern '^[a-zA-Z0-9_-]{1,64}$'.");
    }
    if (lacks_items(schema)) {
        return capi_error(
            call, 400, "invalid_request_body",
            "Invalid schema for function '" + std::string(name) + "': array schema missing items.");
    }
    return std::nullopt;
}

std::optional<Reply> check_vision(const Call& call, const Ask& ask) {
    if (ask.images > 0 && call.request.header("copilot-vision-request") != "true") {
        return named_error(call, "missing_vision_header");
    }
    return std::nullopt;
}

std::optional<Reply> check_effort(const Call& call, std::string_view effort) {
    const auto& efforts = call.model->efforts;
    if (effort.empty() || std::find(efforts.begin(), efforts.end(), effort) != efforts.end()) {
        return std::nullopt;
    }
    return capi_error(call, 400, "invalid_reasoning_effort",
                      "reasoning effort \"" + std::string(effort) +
                          "\" is not supported by model " + call.model->id);
}

void read_stops(const json::Value& stops, Ask& ask) {
    if (stops.is_string()) {
        ask.stops.emplace_back(stops.as_string());
    }
    for (const auto& stop : stops.items()) {
        ask.stops.emplace_back(stop.as_string());
    }
}

void add_step(Ask& ask, const json::Value& message, int64_t tokens) {
    ask.prompt_tokens += tokens;
    const uint64_t before = ask.steps.empty() ? 0 : ask.steps.back().hash;
    ask.steps.push_back({keyed_hash(before, json::dump(message)), ask.prompt_tokens});
}

std::string make_signature(const State& state, std::string_view text) {
    const uint64_t key = state.key("signature");
    // Long and opaque like the real ones; the checksum at the end is what is verified.
    return seal(key, "sig" + Random(keyed_hash(key, text)).base64(120));
}

bool is_signature(const State& state, std::string_view signature) {
    return sealed_by(state.key("signature"), signature);
}

}  // namespace belay::sim
