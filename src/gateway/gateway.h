#pragma once
// The API on :4000: from a request's path to its endpoint. Everything it needs is handed to it
// (Services); it owns only what belongs to a loop. The life of one call is in relay.h.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/account_set.h"
#include "accounts/service.h"
#include "base/clock.h"
#include "gateway/bounds.h"
#include "gateway/callers.h"
#include "gateway/snapshot.h"
#include "governance/directory.h"
#include "governance/governor.h"
#include "governance/shared.h"
#include "ledger/intents.h"
#include "ledger/ledger.h"
#include "ledger/observer.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "protocols/convert.h"
#include "providers/prepared_cache.h"
#include "providers/registry.h"
#include "routing/plan.h"

namespace belay::gateway {

// Ports and shared state. All of it outlives the Gateway.
struct Services {
    const Clock& clock;
    SnapshotStore& snapshots;
    routing::Health& health;
    providers::Registry& providers;
    ledger::Ledger& ledger;
    accounts::AccountService* account = nullptr;       // null: no Copilot account in this process
    accounts::AccountSet* accounts = nullptr;          // null: nobody has an account of their own
    const governance::Directory* directory = nullptr;  // null: the master key alone
    governance::Governor* governor = nullptr;          // null: nothing is limited
    governance::SharedMeters* shared = nullptr;        // null: no other instance shares the limits
    std::vector<ledger::Intents*> intents;             // one per loop, or none at all
    // Called on a loop for each finished request; may be empty (a quiet log).
    std::function<void(const ledger::SpendRecord&)> on_record;
    ledger::Observer* observer = nullptr;  // null: nobody listens
    std::string sign_in_url = "http://localhost:4001/github";
    std::string connect_url = "http://localhost:4000/github/connect";
};

// What belongs to one loop.
struct Worker {
    Worker(net::Loop& on, std::shared_ptr<net::ClientContext> context,
           const governance::Directory* directory, ledger::Intents* own_intents)
        : loop(on), client(on, std::move(context)), callers(directory), intents(own_intents) {}
    net::Loop& loop;
    net::HttpClient client;
    SnapshotStore::Seen seen;
    Callers callers;
    ledger::Intents* intents;  // may be null
    // Who was admitted last, and by which head: most requests are handled right after.
    const http::Head* admitted_head = nullptr;
    governance::CallerPtr admitted;
    // Reply header lines that are the same for every answer of a deployment, laid out once.
    struct FixedLines {
        std::shared_ptr<const routing::Deployment> deployment;
        std::string group;
        std::string api_base;
        std::string text;
    };
    std::vector<FixedLines> fixed_lines;
    // The upstream address asked last, and how it is written down.
    std::shared_ptr<const Url> last_base;
    std::string last_origin;
    // Records of finished calls: their strings keep their memory for the next ones.
    struct Scratch {
        ledger::SpendRecord record;
        ledger::Trace trace;
        std::string traceparent;                   // the client's, while somebody listens
        std::unique_ptr<ledger::Payload> payload;  // null: bodies are not kept
    };
    std::vector<std::unique_ptr<Scratch>> spare;
    providers::PreparedCache prepared;
    protocols::ReplyOptions
        reply_options;  // of the plain reply at hand; its texts keep their memory
    Bounds bounds;
    // What a stream writes into while it has something to write: it holds no buffer while quiet.
    std::string frames;
};

// The management API: served on the same port to callers that the gateway has found.
class Management {
  public:
    virtual ~Management() = default;
    [[nodiscard]] virtual bool owns(std::string_view path) const = 0;
    [[nodiscard]] virtual bool is_public(std::string_view path) const = 0;  // a login
    // `caller` is null on public paths without a good key.
    virtual net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply,
                                   governance::CallerPtr caller) = 0;
};

// Other pages served on the same port (the sign-in page): asked when the path is none of the API's.
using Extra = std::function<net::Task<bool>(net::HttpRequest&, net::HttpResponder&)>;

class Gateway final : public net::HttpHandler {
  public:
    Gateway(Services services, const std::vector<net::Loop*>& loops,
            std::shared_ptr<net::ClientContext> context);
    ~Gateway() override;

    void set_extra(Extra extra) { extra_ = std::move(extra); }
    void set_management(Management* management) { management_ = management; }
    void set_draining() { draining_.store(true); }

    std::optional<Refusal> admit(const http::Head& head, std::string_view path,
                                 uint16_t local_port) override;
    net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply) override;

  private:
    [[nodiscard]] Worker& worker(net::Loop& loop);
    [[nodiscard]] Judged judge(Worker& worker, const http::Head& head, std::string_view path,
                               const Snapshot& snapshot) const;
    [[nodiscard]] Judged judge_session(Worker& worker, const http::Head& head,
                                       std::string_view path, const Snapshot& snapshot) const;
    // The caller that admit() has let in.
    [[nodiscard]] governance::CallerPtr caller_of(Worker& worker, const net::HttpRequest& request,
                                                  const Snapshot& snapshot) const;
    // Out of line, so that their frames are not part of a call's (see relay.h).
    [[gnu::noinline]] net::Task<void> models(net::HttpRequest& request, net::HttpResponder& reply,
                                             std::string_view id, const Snapshot& snapshot,
                                             governance::CallerPtr caller);
    [[nodiscard]] std::optional<Refusal> admit_caller(Worker& worker, const http::Head& head,
                                                      std::string_view path,
                                                      const Snapshot& snapshot) const;
    [[gnu::noinline]] net::Task<void> health(net::HttpResponder& reply, const Snapshot& snapshot);
    [[gnu::noinline]] net::Task<void> readiness(net::HttpResponder& reply);

    Services services_;
    std::vector<std::unique_ptr<Worker>> workers_;
    Extra extra_;
    Management* management_ = nullptr;
    std::atomic<bool> draining_{false};
};

// What a path asks for.
enum class Route : uint8_t {
    unknown,
    chat,
    embeddings,
    models,
    model,
    health,
    liveliness,
    readiness,
    responses_socket,
};
struct Routed {
    Route route = Route::unknown;
    std::string_view model;  // in the path, still percent-encoded
    bool is_public = false;  // needs no key
    std::string_view method = "POST";
};
[[nodiscard]] Routed route(std::string_view path);

}  // namespace belay::gateway
