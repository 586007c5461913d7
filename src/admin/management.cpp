#include "admin/management.h"

#include <algorithm>

#include "admin/call.h"
#include "base/ids.h"
#include "wire/http.h"
#include "wire/url.h"

namespace belay::admin {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr int kConflictRetries = 4;

int status_of(const Error& error) {
    switch (error.kind) {
        case Kind::invalid_request:
            return error.code == "conflict" ? 409 : 400;
        case Kind::unauthenticated:
            return 401;
        case Kind::forbidden:
            return 403;
        case Kind::not_found:
            return 404;
        case Kind::too_large:
            return 413;
        case Kind::unsupported:
            return 501;
        case Kind::rate_limited:
        case Kind::budget_exhausted:
            return 429;
        case Kind::upstream_unavailable:
            return 503;
        case Kind::context_overflow:
        case Kind::content_refused:
        case Kind::upstream_rejected:
        case Kind::upstream_malformed:
        case Kind::timeout:
        case Kind::cancelled:
        case Kind::internal:
            break;
    }
    return 500;
}

std::string_view type_of(int status) {
    switch (status) {
        case 401:
        case 403:
            return "auth_error";
        case 404:
            return "not_found_error";
        case 503:
            return "no_db_connection";
        case 500:
            return "internal_server_error";
        default:
            return "bad_request_error";
    }
}

Answer answer_json(int status, const Value& body) {
    return {status, {{"Content-Type", std::string(kJson)}}, json::dump(body)};
}

Answer refuse(int status, std::string_view message, std::string_view type, std::string_view param) {
    Value error = Value::object();
    error.set("message", message);
    error.set("type", type);
    error.set("param", param.empty() ? Value() : Value(param));
    error.set("code", std::to_string(status));
    return answer_json(status, Value::object({{"error", std::move(error)}}));
}

Answer refuse(const Error& error) {
    if (error.kind == Kind::upstream_unavailable) {
        return refuse(503, "No connected db.", "no_db_connection", {});
    }
    const int status = status_of(error);
    const bool typed = !error.code.empty() && error.code != "conflict";
    return refuse(status, error.message, typed ? std::string_view(error.code) : type_of(status),
                  error.param);
}

Answer refuse_mistakes(json::Array mistakes) {
    return answer_json(422, Value::object({{"detail", Value(std::move(mistakes))}}));
}

Answer refuse_text(const Error& error) {
    json::Array mistakes;
    Value& mistake = mistakes.emplace_back(Value::object());
    mistake.set("type", "json_invalid");
    mistake.set("loc", Value::array({"body", 0}));
    mistake.set("msg", "JSON decode error: " + error.message);
    return refuse_mistakes(std::move(mistakes));
}

Value form_object(std::string_view text) {
    Value object = Value::object();
    for (const auto& [name, value] : parse_form(text)) {
        if (!object.has(name)) {
            object.set(name, Value(value));
        }
    }
    return object;
}

std::string_view shown_table(EntityKind kind) {
    switch (kind) {
        case EntityKind::key:
        case EntityKind::deleted_key:
            return "LiteLLM_VerificationToken";
        case EntityKind::user:
            return "LiteLLM_UserTable";
        case EntityKind::team:
        case EntityKind::deleted_team:
            return "LiteLLM_TeamTable";
        case EntityKind::model:
            return "LiteLLM_ProxyModelTable";
        default:
            return governance::entity_kind_name(kind);
    }
}

// The document as the audit log may keep it: nothing secret, not even sealed.
Value without_secrets(Value document) {
    for (const std::string_view name : {"password", "litellm_params", "credential_values"}) {
        document.erase(name);
    }
    return document;
}

// Whose counters go with the entity.
std::optional<governance::ScopeKind> scope_of(EntityKind kind) {
    switch (kind) {
        case EntityKind::key:
            return governance::ScopeKind::key;
        case EntityKind::user:
            return governance::ScopeKind::user;
        case EntityKind::team:
            return governance::ScopeKind::team;
        case EntityKind::team_member:
            return governance::ScopeKind::team_member;
        case EntityKind::organization:
            return governance::ScopeKind::organization;
        case EntityKind::customer:
            return governance::ScopeKind::customer;
        case EntityKind::tag:
            return governance::ScopeKind::tag;
        default:
            return std::nullopt;
    }
}

void add_audit(Call& call) {
    const std::vector<governance::Change> done = call.changes();
    for (const governance::Change& change : done) {
        if (change.kind == EntityKind::audit || change.kind == EntityKind::deleted_key ||
            change.kind == EntityKind::deleted_team) {
            continue;
        }
        const auto before = call.services.directory.find(change.kind, change.id);
        const bool existed = before && !before->is_deleted();
        std::string action = change.doc.is_null() ? "deleted" : existed ? "updated" : "created";
        if (!call.audit_action.empty()) {
            action = call.audit_action;
        }
        const std::string id = random_uuid();
        Value row = Value::object();
        row.set("id", id);
        row.set("changed_by", call.actor());
        row.set("changed_by_api_key", call.caller.key_hash);
        row.set("action", action);
        row.set("table_name", shown_table(change.kind));
        row.set("object_id", change.id);
        row.set("before_value", existed ? without_secrets(before->doc) : Value());
        row.set("updated_values", without_secrets(change.doc));
        call.put(EntityKind::audit, id, std::move(row));
    }
}

// What the writing state of a request and its reply share between a loop and a worker thread.
constexpr std::string_view kBusy =
    R"({"error":{"message":"too many management requests are waiting: try again","type":"internal_server_error","param":null,"code":"503"}})";

}  // namespace

struct Management::Job {
    Ask ask;
    Answer answer;
    net::Loop* loop = nullptr;
    // On the loop's thread only.
    net::Waiter waiter;
    bool done = false;
};

Management::Management(Services services, Bounds bounds)
    : services_(std::move(services)), bounds_(bounds) {
    if (!services_.guard) {
        services_.guard = std::make_shared<LoginGuard>();
    }
    for (size_t i = 0; i < bounds_.threads; ++i) {
        threads_.emplace_back([this] { work(); });
    }
}

Management::~Management() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    woken_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
}

bool Management::serves(std::string_view path) { return find_route("GET", path).known_path; }

bool Management::is_open(std::string_view method, std::string_view path) {
    const Match match = find_route(method, path);
    return match.route != nullptr && match.route->access == Access::open;
}

Answer Management::answer(const Ask& ask) {
    const Match match = find_route(ask.method, ask.path);
    if (match.route == nullptr) {
        const std::string_view words = match.known_path ? "Method Not Allowed" : "Not Found";
        return answer_json(match.known_path ? 405 : 404, Value::object({{"detail", words}}));
    }
    const Route& route = *match.route;
    if (route.access == Access::keyed) {
        if (!ask.caller) {
            return refuse(401, "Authentication Error, No api key passed in.", "auth_error", "None");
        }
        const Call probe(ask, services_, route);
        if (!key_allows(route, ask.path, *ask.caller)) {
            return refuse(403,
                          "Virtual key is not allowed to call this route. Only allowed to call "
                          "routes: " +
                              json::dump(to_list(ask.caller->allowed_routes)) +
                              ". Tried to call route: " + ask.path,
                          "auth_error", "None");
        }
        if (!role_allows(route, *ask.caller)) {
            return refuse(probe.admin_only());
        }
    }
    Checked query = check_query(route, ask.query);
    if (!query.mistakes.empty()) {
        return refuse_mistakes(std::move(query.mistakes));
    }
    Checked body;
    body.value = Value::object();
    if (route.has_body()) {
        Value sent = Value::object();
        if (ask.form && route.form) {
            sent = form_object(ask.body);
        } else if (!ask.body.empty()) {
            auto parsed = json::parse(ask.body);
            if (!parsed.ok()) {
                return refuse_text(parsed.error());
            }
            sent = std::move(*parsed);
        }
        body = check_body(route, sent);
        if (!body.mistakes.empty()) {
            return refuse_mistakes(std::move(body.mistakes));
        }
    }
    return run(ask, route, match, body.value, query.value);
}

Answer Management::run(const Ask& ask, const Route& route, const Match& match, const Value& body,
                       const Value& query) {
    std::unique_lock<std::mutex> writer(writing_, std::defer_lock);
    if (route.effect == Effect::writes) {
        writer.lock();
    }
    for (int tries = 0;; ++tries) {
        Call call(ask, services_, route);
        call.body = body;
        call.query = query;
        call.path = match.path;
        Result<Value> made = route.handler(call);
        if (!made.ok()) {
            return refuse(made.error());
        }
        const Result<void> saved = commit(call);
        if (!saved.ok()) {
            const bool beaten = saved.error().code == "conflict";
            // Another instance was faster: see what it wrote, decide again.
            if (beaten && tries < kConflictRetries && refresh_locked().ok()) {
                continue;
            }
            return refuse(saved.error());
        }
        Answer answer{call.status, std::move(call.headers), {}};
        if (call.raw) {
            answer.body = std::move(*call.raw);
        } else {
            answer.headers.emplace_back("Content-Type", std::string(kJson));
            answer.body = json::dump(*made);
        }
        show_tokens(answer.body);
        return answer;
    }
}

void Management::show_tokens(std::string& body) const {
    constexpr size_t kLength = 64;
    const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    for (size_t at = 0; at < body.size();) {
        size_t end = at;
        while (end < body.size() && is_hex(body[end])) {
            ++end;
        }
        if (end - at == kLength) {
            const std::string id = body.substr(at, kLength);
            auto key = services_.directory.find(EntityKind::key, id);
            key = key ? key : services_.directory.find(EntityKind::deleted_key, id);
            const std::string_view sealed =
                key ? key->doc["sealed_token"].as_string() : std::string_view();
            if (!sealed.empty() && services_.seal != nullptr) {
                if (auto token = services_.seal->open(sealed, "key/" + id);
                    token.ok() && token->reveal().size() == kLength) {
                    body.replace(at, kLength, token->reveal());
                }
            }
        }
        at = end + 1;
    }
}

Result<void> Management::commit(Call& call) {
    if (!call.changes_.empty()) {
        if (call.settings->store_audit_logs) {
            add_audit(call);
        }
        const auto written = services_.store.apply(call.changes_);
        if (!written.ok()) {
            return written.error();
        }
        services_.directory.apply(*written);
        for (const governance::Entity& entity : *written) {
            if (const auto scope = scope_of(entity.kind); scope && entity.is_deleted()) {
                services_.governor.forget(*scope, entity.id);
            }
        }
    }
    if (!call.spent_.empty()) {
        services_.governor.set_spent(call.spent_);
    }
    if (!call.changes_.empty() && services_.on_commit) {
        services_.on_commit();
    }
    if (call.models_changed_ && services_.on_models_changed) {
        services_.on_models_changed();
    }
    if (call.accounts_changed_ && services_.on_accounts_changed) {
        services_.on_accounts_changed();
    }
    if (call.then) {
        call.then();
    }
    return {};
}

Result<bool> Management::refresh() {
    const std::lock_guard lock(writing_);
    return refresh_locked();
}

Result<bool> Management::refresh_locked() {
    bool models = false;
    const bool any = TRY(governance::read_changes(services_.store, services_.directory, &models));
    if (models && services_.on_models_changed) {
        services_.on_models_changed();
    }
    return any;
}

void Management::work() {
    while (true) {
        std::shared_ptr<Job> job;
        {
            std::unique_lock lock(mutex_);
            woken_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (queue_.empty()) {
                return;
            }
            job = std::move(queue_.front());
            queue_.pop_front();
        }
        job->answer = answer(job->ask);
        net::Loop* loop = job->loop;
        loop->post([job = std::move(job)] {
            job->done = true;
            job->loop->wake(job->waiter, net::Wake::ready);
        });
    }
}

bool Management::push(std::shared_ptr<Job> job) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= bounds_.waiting) {
            return false;
        }
        queue_.push_back(std::move(job));
    }
    woken_.notify_one();
    return true;
}

net::Task<bool> Management::serve(net::HttpRequest& request, net::HttpResponder& reply,
                                  governance::CallerPtr caller) {
    if (!serves(request.path)) {
        co_return false;
    }
    auto job = std::make_shared<Job>();
    job->loop = &reply.loop();
    job->ask.method = std::string(request.method());
    job->ask.path = std::string(request.path);
    job->ask.query = std::string(request.query);
    job->ask.body = std::string(request.body);
    job->ask.form =
        request.header("content-type").substr(0, 33) == "application/x-www-form-urlencoded";
    job->ask.changed_by = std::string(request.header("litellm-changed-by")).substr(0, 256);
    job->ask.cookie = std::string(request.header("cookie"));
    job->ask.host = std::string(request.header("host"));
    job->ask.caller = std::move(caller);
    if (!push(job)) {
        co_await reply.send(503, kJson, kBusy, "Retry-After: 1\r\n");
        co_return true;
    }
    // The job may outlive this frame (a loop that stops): then nobody is to be woken.
    struct Leave {
        Job& job;
        ~Leave() {
            job.waiter.handle = {};
            job.waiter.timer.disarm();
        }
    };
    const Leave leave{*job};
    struct Done {
        Job& job;
        [[nodiscard]] bool await_ready() const { return job.done; }
        void await_suspend(std::coroutine_handle<> handle) const {
            job.loop->suspend(job.waiter, handle, Mono::max());
        }
        void await_resume() const {}
    };
    Done done{*job};
    co_await done;
    const std::vector<std::pair<std::string, std::string>>& headers = job->answer.headers;
    co_await reply.send(job->answer.status, headers, job->answer.body);
    co_return true;
}

}  // namespace belay::admin
