#include "gateway/gateway.h"

#include <algorithm>
#include <set>

#include "gateway/auth.h"
#include "gateway/relay.h"
#include "wire/url.h"

namespace belay::gateway {
namespace {

constexpr std::string_view kJson = "application/json";
constexpr int64_t kModelCreated = 1677610602;  // LiteLLM's constant for every model

net::HttpHandler::Refusal refuse(int status, std::string body) {
    net::HttpHandler::Refusal refusal;
    refusal.status = status;
    refusal.body = std::move(body);
    return refusal;
}

bool is_wildcard(std::string_view group) { return group.find('*') != std::string_view::npos; }

void write_model(std::string& out, std::string_view id, std::string_view owner) {
    out += R"({"id":)";
    json::write_string(out, id);
    out += R"(,"object":"model","created":)" + std::to_string(kModelCreated) + R"(,"owned_by":)";
    json::write_string(out, owner);
    out += "}";
}

// The names a client may ask for, in the file's order: groups, visible aliases, and what wildcards
// stand for when that is wanted.
std::vector<std::pair<std::string, std::string>> list_names(const Snapshot& snapshot) {
    std::vector<std::pair<std::string, std::string>> names;
    std::set<std::string, std::less<>> seen;
    const auto add = [&](std::string name, const std::string& provider) {
        if (seen.insert(name).second) {
            names.emplace_back(std::move(name), provider);
        }
    };
    for (const auto& deployment : snapshot.table->deployments) {
        const bool listed = !deployment->from_wildcard || snapshot.expand_wildcards;
        if (listed && !is_wildcard(deployment->group)) {
            add(deployment->group, deployment->provider);
        }
    }
    for (const auto& [name, alias] : snapshot.table->aliases) {
        if (!alias.hidden) {
            add(name, "openai");
        }
    }
    return names;
}

}  // namespace

Gateway::Gateway(Services services, const std::vector<net::Loop*>& loops,
                 std::shared_ptr<net::ClientContext> context)
    : services_(std::move(services)) {
    for (net::Loop* loop : loops) {
        const size_t i = workers_.size();
        ledger::Intents* const intents =
            i < services_.intents.size() ? services_.intents[i] : nullptr;
        workers_.push_back(std::make_unique<Worker>(*loop, context, services_.directory, intents));
    }
}

Gateway::~Gateway() = default;

Worker& Gateway::worker(net::Loop& loop) {
    for (auto& w : workers_) {
        if (&w->loop == &loop) {
            return *w;
        }
    }
    std::abort();  // a server was given a loop that the gateway was not
}

std::optional<net::HttpHandler::Refusal> Gateway::admit(const http::Head& head,
                                                        std::string_view path, uint16_t) {
    Worker& w = worker(*net::Loop::current());
    const SnapshotPtr& snapshot = services_.snapshots.look(w.seen);
    if (auto foreign = check_browser(head, snapshot->allowed_hosts, snapshot->allowed_origins)) {
        return refuse(foreign->status, error_envelope(foreign->message, "auth_error", {},
                                                      std::to_string(foreign->status)));
    }
    const Routed routed = route(path);
    if (routed.route == Route::unknown) {
        if (management_ == nullptr || !management_->owns(path)) {
            return std::nullopt;  // perhaps one of the extra pages
        }
        return management_->is_public(path) ? std::nullopt : admit_caller(w, head, path, *snapshot);
    }
    const bool head_of_get = head.method == "HEAD" && routed.method == "GET";
    if (head.method == "OPTIONS" && !head.header("origin").empty()) {
        Refusal preflight = refuse(204, {});
        preflight.headers = {{"Access-Control-Allow-Origin", std::string(head.header("origin"))},
                             {"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                             {"Access-Control-Allow-Headers",
                              std::string(head.header("access-control-request-headers"))},
                             {"Access-Control-Max-Age", "600"},
                             {"Vary", "Origin"}};
        return preflight;
    }
    if (head.method != routed.method && !head_of_get) {
        Refusal refusal = refuse(405, R"({"detail":"Method Not Allowed"})");
        refusal.headers.emplace_back("Allow", routed.method);
        return refusal;
    }
    return routed.is_public ? std::nullopt : admit_caller(w, head, path, *snapshot);
}

std::optional<net::HttpHandler::Refusal> Gateway::admit_caller(Worker& w, const http::Head& head,
                                                               std::string_view path,
                                                               const Snapshot& snapshot) const {
    Judged judged = judge(w, head, path, snapshot);
    if (judged.caller == nullptr) {
        Refusal refusal = refuse(judged.status, std::move(judged.body));
        if (judged.status == 401) {
            refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
        } else if (judged.status == 503) {
            refusal.headers.emplace_back("Retry-After", "2");
        }
        return refusal;
    }
    w.admitted_head = &head;
    w.admitted = std::move(judged.caller);
    return std::nullopt;
}

Judged Gateway::judge(Worker& w, const http::Head& head, std::string_view path,
                      const Snapshot& snapshot) const {
    const size_t mark = head.target.find('?');
    const auto query =
        mark == std::string_view::npos ? std::string_view() : head.target.substr(mark + 1);
    const PresentedKey presented = find_key(head, snapshot.key_header, query);
    if (presented.key.empty() && !presented.malformed) {
        // A browser's session manages and looks; models are asked with a key.
        const Route asked = route(path).route;
        if (asked != Route::chat && asked != Route::embeddings && find_session(head).key != "") {
            return judge_session(w, head, path, snapshot);
        }
    }
    return w.callers.judge(presented, snapshot, path, unix_millis(services_.clock.wall()));
}

Judged Gateway::judge_session(Worker& w, const http::Head& head, std::string_view path,
                              const Snapshot& snapshot) const {
    const SessionKey session = find_session(head);
    if (session.foreign) {
        return {nullptr, 403,
                error_envelope("A browser's session changes things from this gateway's own pages "
                               "only. Programs send a key in the Authorization header.",
                               "auth_error", {}, "403")};
    }
    Judged judged =
        w.callers.judge({session.key}, snapshot, path, unix_millis(services_.clock.wall()));
    if (judged.caller != nullptr && judged.caller->team_id != kSessionTeam) {
        return {nullptr, 401,
                error_envelope("Authentication Error, the cookie is no session of this gateway: "
                               "sign in again.",
                               "auth_error", {}, "401")};
    }
    return judged;
}

governance::CallerPtr Gateway::caller_of(Worker& w, const net::HttpRequest& request,
                                         const Snapshot& snapshot) const {
    if (w.admitted_head == request.head && w.admitted != nullptr) {
        w.admitted_head = nullptr;
        return std::move(w.admitted);
    }
    return judge(w, *request.head, request.path, snapshot).caller;  // others came in between
}

net::Task<void> Gateway::handle(net::HttpRequest& request, net::HttpResponder& reply) {
    Worker& w = worker(reply.loop());
    const SnapshotPtr snapshot = services_.snapshots.look(w.seen);
    const Routed routed = route(request.path);
    switch (routed.route) {
        case Route::chat:
        case Route::embeddings: {
            governance::CallerPtr caller = caller_of(w, request, *snapshot);
            if (caller == nullptr) {  // blocked while its body was read
                co_await reply.send(401, kJson,
                                    error_envelope("Authentication Error, the key has lost its "
                                                   "access.",
                                                   "auth_error", {}, "401"));
                co_return;
            }
            Call call(
                services_, w, snapshot, std::move(caller),
                routed.route == Route::chat ? protocols::Api::chat : protocols::Api::embeddings,
                request, reply);
            co_await call.run(percent_decode(routed.model));
            co_return;
        }
        case Route::models:
            co_await models(request, reply, {}, *snapshot, caller_of(w, request, *snapshot));
            co_return;
        case Route::model:
            co_await models(request, reply, routed.model, *snapshot,
                            caller_of(w, request, *snapshot));
            co_return;
        case Route::health:
            co_await health(reply, *snapshot);
            co_return;
        case Route::liveliness:
            co_await reply.send(200, kJson, R"("I'm alive!")");
            co_return;
        case Route::readiness:
            co_await readiness(reply);
            co_return;
        case Route::responses_socket:
            // Codex falls back to plain HTTP at once on this status, and only on this one.
            co_await reply.send(426, kJson,
                                error_envelope("WebSocket is not offered here: use POST",
                                               "invalid_request_error", {}, "426"));
            co_return;
        case Route::unknown:
            break;
    }
    if (management_ != nullptr && management_->owns(request.path)) {
        co_await management_->handle(request, reply, caller_of(w, request, *snapshot));
        co_return;
    }
    if (extra_ && co_await extra_(request, reply)) {
        co_return;
    }
    co_await reply.send(404, kJson, R"({"detail":"Not Found"})");
}

net::Task<void> Gateway::models(net::HttpRequest& request, net::HttpResponder& reply,
                                std::string_view id, const Snapshot& snapshot,
                                governance::CallerPtr caller) {
    (void)request;
    auto names = list_names(snapshot);
    if (caller != nullptr && !caller->model_lists.empty()) {
        std::erase_if(names, [&](const auto& name) {
            return governance::forbids_model(*caller, name.first, name.first) != nullptr;
        });
    }
    std::string out;
    if (!id.empty()) {
        const std::string wanted = percent_decode(id);
        for (const auto& [name, provider] : names) {
            if (name == wanted) {
                write_model(out, name, provider);
                co_await reply.send(200, kJson, out);
                co_return;
            }
        }
        co_await reply.send(
            404, kJson,
            error_envelope(
                "The model '" + wanted + "' does not exist here. GET /v1/models lists what does",
                "invalid_request_error", "model", "404"));
        co_return;
    }
    out = R"({"data":[)";
    for (size_t i = 0; i < names.size(); ++i) {
        if (i != 0) {
            out += ',';
        }
        write_model(out, names[i].first, "openai");
    }
    out += R"(],"object":"list"})";
    co_await reply.send(200, kJson, out);
}

// What is known without asking the upstreams: a probe per deployment would spend the user's quota.
net::Task<void> Gateway::health(net::HttpResponder& reply, const Snapshot& snapshot) {
    std::string healthy;
    std::string unhealthy;
    size_t good = 0;
    size_t bad = 0;
    const bool signed_in =
        services_.account != nullptr && services_.account->current(reply.loop().now()) != nullptr;
    for (const auto& deployment : snapshot.table->deployments) {
        if (deployment->from_wildcard) {
            continue;
        }
        const auto cooling = services_.health.look(*deployment, reply.loop().now());
        std::string problem;
        if (deployment->provider == "github_copilot" && !signed_in) {
            problem = "not signed in to GitHub Copilot: open " + services_.sign_in_url;
        } else if (cooling.cooling) {
            problem = "cooling down: " + std::string(routing::cause_name(cooling.cause));
        }
        std::string& out = problem.empty() ? healthy : unhealthy;
        ++(problem.empty() ? good : bad);
        out += out.empty() ? "{" : ",{";
        out += R"("model":)";
        json::write_string(out, deployment->provider + "/" + deployment->model);
        out += R"(,"model_group":)";
        json::write_string(out, deployment->group);
        out += R"(,"model_id":)";
        json::write_string(out, deployment->id);
        if (!problem.empty()) {
            out += R"(,"error":)";
            json::write_string(out, problem);
        }
        out += "}";
    }
    co_await reply.send(200, kJson,
                        R"({"healthy_endpoints":[)" + healthy + R"(],"unhealthy_endpoints":[)" +
                            unhealthy + R"(],"healthy_count":)" + std::to_string(good) +
                            R"(,"unhealthy_count":)" + std::to_string(bad) + "}");
}

net::Task<void> Gateway::readiness(net::HttpResponder& reply) {
    if (draining_.load()) {
        co_await reply.send(503, kJson, R"({"status":"draining","db":"connected"})");
        co_return;
    }
    const bool failing = services_.ledger.stats().failing;
    co_await reply.send(200, kJson,
                        failing ? R"({"status":"healthy","db":"disconnected"})"
                                : R"({"status":"healthy","db":"connected"})");
}

}  // namespace belay::gateway
