#include "app/observability.h"

#include "gateway/auth.h"
#include "observe/listeners.h"
#include "wire/encoding.h"

namespace belay::app {
namespace {

constexpr std::string_view kPath = "/metrics";
constexpr size_t kShownKeysMost = 20'000;
constexpr std::string_view kText = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kJson = "application/json";

bool may_read(const governance::Caller& caller) {
    if (caller.reads_all()) {
        return true;
    }
    for (const auto& route : caller.allowed_routes) {
        if (route == kPath) {
            return true;
        }
    }
    return false;
}

}  // namespace

// What a request for /metrics waits for. It may outlive the request: then nobody is to be woken.
struct Observability::Page {
    std::string text;
    net::Loop* loop = nullptr;
    net::Waiter waiter;  // on the loop's thread only, as is `done`
    bool done = false;
};

Observability::Observability(Needs needs) : needs_(std::move(needs)) {
    observe::Hub::Ports ports;
    ports.names = names();
    ports.gauges = [this](std::vector<observe::Family>& into, const observe::RequestMetrics* seen) {
        gather(into, seen);
    };
    ports.resting = [this] {
        std::vector<observe::Hub::Resting> out;
        const auto table = needs_.table();
        for (const auto& row : needs_.health.rows(system_clock().mono())) {
            std::string provider;
            for (const auto& deployment : table->deployments) {
                if (deployment->id == row.deployment_id) {
                    provider = deployment->provider;
                }
            }
            out.push_back(
                {row.deployment_id, row.group, row.model, std::move(provider),
                 std::string(routing::cause_name(row.cause)),
                 std::chrono::duration_cast<milliseconds>(row.until.time_since_epoch()).count()});
        }
        return out;
    };
    ports.build = [this](const observe::Settings& settings, observe::Hub::Ports::Gather gather) {
        return build(settings, std::move(gather));
    };
    ports.payloads = needs_.payloads;
    hub_ = std::make_unique<observe::Hub>(std::move(ports));
}

// The hub's last batches need the poster.
Observability::~Observability() { hub_.reset(); }

observe::Names Observability::names() const {
    const governance::Directory& directory = needs_.directory;
    observe::Names names;
    names.team_alias = [&directory](std::string_view team) {
        const auto entity = directory.find(governance::EntityKind::team, team);
        return entity == nullptr ? std::string()
                                 : std::string(entity->doc["team_alias"].as_string());
    };
    names.user_email = [&directory](std::string_view user) {
        const auto entity = directory.find(governance::EntityKind::user, user);
        return entity == nullptr ? std::string()
                                 : std::string(entity->doc["user_email"].as_string());
    };
    names.key_hash = [this](const std::string& id) { return shown_key(id); };
    return names;
}

std::string Observability::shown_key(const std::string& key_id) const {
    if (const auto known = shown_keys_.find(key_id); known != shown_keys_.end()) {
        return known->second;
    }
    if (shown_keys_.size() >= kShownKeysMost) {
        shown_keys_.clear();
    }
    return shown_keys_.emplace(key_id, needs_.key_hash(key_id)).first->second;
}

void Observability::configure(const observe::Settings& settings) {
    needs_key_.store(settings.metrics_need_key);
    hub_->configure(settings);
}

std::vector<std::unique_ptr<observe::Listener>> Observability::build(
    const observe::Settings& settings, observe::Hub::Ports::Gather gather) {
    std::vector<std::unique_ptr<observe::Listener>> out;
    const auto post = [this](const std::string& url, observe::Poster::Headers headers,
                             std::string body) {
        return poster_->post(url, std::move(headers), std::move(body));
    };
    const bool sends = settings.otlp.on() || !settings.generic.url.empty() || settings.alerts.on();
    if (sends && poster_ == nullptr) {
        poster_ = std::make_unique<observe::Poster>(needs_.context);
    }
    if (settings.otlp.on()) {
        out.push_back(observe::make_otlp(settings.otlp, post, std::move(gather)));
    }
    if (!settings.generic.url.empty()) {
        out.push_back(observe::make_generic(settings.generic, names(), post));
    }
    if (settings.alerts.on()) {
        observe::AlertSettings alerts = settings.alerts;
        alerts.sign_in_url = needs_.sign_in_url;
        out.push_back(observe::make_watch(alerts, watch_ports(), post));
    }
    return out;
}

bool Observability::owns(std::string_view path) const {
    return path == kPath || path == "/metrics/" || needs_.next.owns(path);
}

bool Observability::is_public(std::string_view path) const {
    return path == kPath || path == "/metrics/" ? !needs_key_.load() : needs_.next.is_public(path);
}

net::Task<void> Observability::handle(net::HttpRequest& request, net::HttpResponder& reply,
                                      governance::CallerPtr caller) {
    if (request.path != kPath && request.path != "/metrics/") {
        co_await needs_.next.handle(request, reply, std::move(caller));
        co_return;
    }
    if (request.method() != "GET") {
        co_await reply.send(405, kJson, R"({"detail":"Method Not Allowed"})", "Allow: GET\r\n");
        co_return;
    }
    if (needs_key_.load() && (caller == nullptr || !may_read(*caller))) {
        const std::string body = gateway::error_envelope(
            "/metrics tells of every key and team: it is for administrators, viewers and keys "
            "whose allowed_routes name it",
            "auth_error", {}, "403");
        co_await reply.send(403, kJson, body);
        co_return;
    }
    co_await serve_metrics(request, reply);
}

net::Task<void> Observability::serve_metrics(net::HttpRequest& request, net::HttpResponder& reply) {
    auto page = std::make_shared<Page>();
    page->loop = &reply.loop();
    const bool zipped = request.header("accept-encoding").find("gzip") != std::string_view::npos;
    const bool taken = hub_->scrape([page, zipped](std::string text) {
        page->text = zipped ? gzip_compress(text) : std::move(text);
        page->loop->post([page] {
            page->done = true;
            if (page->waiter.waiting()) {
                page->loop->wake(page->waiter, net::Wake::ready);
            }
        });
    });
    if (!taken) {
        co_await reply.send(503, kJson, R"({"detail":"metrics are being read by too many"})",
                            "Retry-After: 1\r\n");
        co_return;
    }
    struct Leave {
        Page& page;
        ~Leave() {
            page.waiter.handle = {};
            page.waiter.timer.disarm();
        }
    };
    const Leave leave{*page};
    struct Done {
        Page& page;
        [[nodiscard]] bool await_ready() const { return page.done; }
        void await_suspend(std::coroutine_handle<> handle) const {
            page.loop->suspend(page.waiter, handle, Mono::max());
        }
        void await_resume() const {}
    };
    Done done{*page};
    co_await done;
    const std::string_view more =
        zipped ? std::string_view("Content-Encoding: gzip\r\n") : std::string_view();
    co_await reply.send(200, kText, page->text, more);
}

}  // namespace belay::app
