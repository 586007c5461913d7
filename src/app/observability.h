#pragma once
// Metrics, spans, log callbacks and alerts of a running gateway: makes the hub that hears of
// requests, hands it what only the application knows (entities, budgets, account, process), and
// serves /metrics on the API's port, in front of the management API.
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "accounts/service.h"
#include "app/config.h"
#include "gateway/gateway.h"
#include "governance/directory.h"
#include "governance/governor.h"
#include "ledger/ledger.h"
#include "net/loops.h"
#include "observe/hub.h"
#include "observe/payload_writer.h"
#include "observe/poster.h"
#include "observe/watch.h"
#include "routing/plan.h"

namespace belay::app {

class Observability final : public gateway::Management {
  public:
    struct Needs {
        ledger::Ledger& ledger;
        const governance::Directory& directory;
        const governance::Governor& governor;
        routing::Health& health;
        net::Loops& loops;
        std::shared_ptr<net::ClientContext> context;
        std::function<accounts::AccountViewPtr()> account;
        // The sign-ins of persons, by id.
        std::function<std::vector<std::pair<std::string, accounts::AccountViewPtr>>()> persons;
        std::function<std::shared_ptr<const routing::Table>()> table;
        std::function<size_t()> requests_in_flight;
        std::function<size_t()> connections;
        std::string sign_in_url;
        // LiteLLM's hash of a key by its stored id.
        std::function<std::string(const std::string& key_id)> key_hash;
        gateway::Management& next;  // asked for every other path
        observe::PayloadWriter* payloads = nullptr;
    };
    explicit Observability(Needs needs);
    ~Observability() override;

    void configure(const observe::Settings& settings);  // any thread
    [[nodiscard]] ledger::Observer& observer() { return *hub_; }

    [[nodiscard]] bool owns(std::string_view path) const override;
    [[nodiscard]] bool is_public(std::string_view path) const override;
    net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply,
                           governance::CallerPtr caller) override;

  private:
    struct Page;
    [[gnu::noinline]] net::Task<void> serve_metrics(net::HttpRequest& request,
                                                    net::HttpResponder& reply);
    [[nodiscard]] std::vector<std::unique_ptr<observe::Listener>> build(
        const observe::Settings& settings, observe::Hub::Ports::Gather gather);
    void gather(std::vector<observe::Family>& into, const observe::RequestMetrics* seen) const;
    void gather_budgets(std::vector<observe::Family>& into) const;
    void gather_rates(std::vector<observe::Family>& into) const;
    void gather_deployments(std::vector<observe::Family>& into,
                            const observe::RequestMetrics* seen) const;
    void gather_account(std::vector<observe::Family>& into) const;
    void gather_ledger(std::vector<observe::Family>& into) const;
    void gather_process(std::vector<observe::Family>& into) const;
    [[nodiscard]] observe::Names names() const;
    // What alerts are made of (observability_alerts.cpp).
    [[nodiscard]] std::vector<observe::BudgetStanding> budgets_of(
        const std::string& key, const std::string& end_user) const;
    [[nodiscard]] observe::WatchPorts watch_ports();

    Needs needs_;
    // The same, remembered: opening a seal for each request would be dear. Hub's thread only.
    [[nodiscard]] std::string shown_key(const std::string& key_id) const;
    mutable std::unordered_map<std::string, std::string> shown_keys_;
    const int64_t started_ms_ = unix_millis(system_clock().wall());
    std::atomic<bool> needs_key_{true};
    std::unique_ptr<observe::Poster> poster_;  // the hub's thread makes it when it is needed
    std::unique_ptr<observe::Hub> hub_;
};

}  // namespace belay::app
