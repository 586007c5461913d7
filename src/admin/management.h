#pragma once
// The management API at work. answer() is a plain function: a request's facts and its caller in, a
// whole reply out. It may wait for the store, so serve() runs it on a few threads of its own and
// posts the reply back to the request's loop. The gateway calls serve() after it has found out who
// calls.
//
// A writing handler only collects its changes. They are committed here in one transaction, with the
// versions that the handler saw; when another instance was faster, its changes are read and the
// handler runs again. So every write is all or none, and nobody's change is lost.
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "accounts/account_set.h"
#include "admin/login_guard.h"
#include "admin/schema.h"
#include "base/clock.h"
#include "base/seal.h"
#include "base/secret.h"
#include "governance/directory.h"
#include "governance/entity_store.h"
#include "governance/governor.h"
#include "ledger/ledger.h"
#include "ledger/payload.h"
#include "ledger/query.h"
#include "net/http_server.h"
#include "routing/table.h"

namespace belay::admin {

// A request's facts; owns its text, so that it can leave the loop.
struct Ask {
    std::string method;
    std::string path;  // checked by wire's safe_path
    std::string query;
    std::string body;
    bool form = false;       // application/x-www-form-urlencoded
    std::string changed_by;  // litellm-changed-by
    std::string cookie;
    std::string host;
    governance::CallerPtr caller;  // null only for routes that need no key
};

struct Answer {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;  // with Content-Type
    std::string body;
};

// From the configuration; read on every request, so it may be replaced (see Services).
struct Settings {
    Secret master_key;
    std::string ui_username = "admin";
    Secret ui_password;  // empty: the master key
    bool store_model_in_db = false;
    bool store_audit_logs = false;
    bool viewers_read_prompts = false;  // an admin viewer sees kept prompts and replies
    std::string zone = "UTC";
    std::optional<NanoCredits> max_budget;  // of the whole proxy
    json::Value key_generation_settings;    // litellm_settings, as written
    json::Value default_key_generate_params;
    json::Value upperbound_key_generate_params;
    json::Value default_internal_user_params;
    json::Value router_settings;   // effective, for /router/settings
    json::Value general_settings;  // effective, without secrets
    json::Value litellm_settings;
    std::string version;
    std::string root_path;
    bool over_tls = false;  // the session cookie is Secure
};

// Ports and shared state; all of it outlives the Management.
struct Services {
    const Clock& clock;
    governance::EntityStore& store;
    governance::Directory& directory;
    governance::Governor& governor;
    ledger::Queries& queries;
    ledger::Ledger* ledger = nullptr;
    const Seal* seal = nullptr;  // null: secrets are refused
    std::function<std::shared_ptr<const Settings>()> settings;
    std::function<std::shared_ptr<const routing::Table>()> table;
    // Entities of kind model or config were written: build the table anew. Called on a thread that
    // may wait, after the directory has them, before the reply.
    std::function<void()> on_models_changed;
    std::function<void()> on_commit;  // entities were written here; may be empty
    std::function<size_t()> requests_in_flight;
    std::function<bool(const std::string& id)> is_cooling;  // a deployment rests
    accounts::AccountSet* accounts = nullptr;  // null: there are no Copilot accounts here
    // Entities of kind account were written; like on_models_changed.
    std::function<void()> on_accounts_changed = nullptr;
    // Counts wrong passwords; Management makes one where there is none.
    std::shared_ptr<LoginGuard> guard = nullptr;
    // What was kept of a request's bodies; empty: nothing ever is.
    std::function<Result<std::optional<ledger::KeptPayload>>(std::string_view)> find_payload = {};
};

class Management {
  public:
    struct Bounds {
        size_t threads = 2;
        size_t waiting = 256;  // more are answered 503
    };
    explicit Management(Services services, Bounds bounds);
    explicit Management(Services services) : Management(std::move(services), Bounds()) {}
    // Waits for running handlers; the loops of waiting requests must still run or be stopped.
    ~Management();
    Management(const Management&) = delete;
    Management& operator=(const Management&) = delete;

    // Whether the path is one of these routes, whatever the method.
    [[nodiscard]] static bool serves(std::string_view path);
    // Whether it is served without a key.
    [[nodiscard]] static bool is_open(std::string_view method, std::string_view path);

    // May wait for the store and the ledger: never from a loop. Thread-safe.
    [[nodiscard]] Answer answer(const Ask& ask);
    // False, with nothing sent, when the path is none of its own. `caller` null: only open routes.
    net::Task<bool> serve(net::HttpRequest& request, net::HttpResponder& reply,
                          governance::CallerPtr caller);

    // Reads what other instances wrote since and applies it; true when there was something. For a
    // timer's thread and for whoever hears of a change.
    Result<bool> refresh();

  private:
    struct Job;
    void work();
    [[nodiscard]] bool push(std::shared_ptr<Job> job);
    [[nodiscard, gnu::noinline]] Answer run(const Ask& ask, const Route& route, const Match& match,
                                            const json::Value& body, const json::Value& query);
    [[nodiscard]] Result<void> commit(Call& call);
    Result<bool> refresh_locked();
    // Clients know a key by LiteLLM's hash: ids of keys in a reply become that, wherever they
    // stand.
    void show_tokens(std::string& body) const;

    Services services_;
    const Bounds bounds_;
    std::mutex writing_;  // one writing handler at a time
    std::mutex mutex_;
    std::condition_variable woken_;
    std::deque<std::shared_ptr<Job>> queue_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace belay::admin
