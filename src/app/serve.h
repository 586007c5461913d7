#pragma once
// The composition root of `belay serve`: reads the configuration, makes every driver, wires them to
// the gateway and runs until told to stop. The order of its members is the order of their lives.
#include <atomic>
#include <memory>
#include <string>

#include "admin/signin.h"
#include "admin/signin_http.h"
#include "app/cli.h"
#include "app/config.h"
#include "app/governance.h"
#include "app/observability.h"
#include "app/retention.h"
#include "app/runtime.h"
#include "app/sharing.h"
#include "gateway/gateway.h"
#include "net/http_server.h"
#include "net/loops.h"
#include "observe/payload_writer.h"
#include "providers/registry.h"
#include "routing/plan.h"
#include "store/intents.h"
#include "store/journaled_ledger.h"
#include "store/sqlite_payloads.h"

namespace belay::app {

class Service {
  public:
    // Everything short of listening. Errors are for people and end the program.
    [[nodiscard]] static Result<std::unique_ptr<Service>> make(const ServeOptions& options,
                                                               const Env& env);
    ~Service();
    Service(const Service&) = delete;
    Service& operator=(const Service&) = delete;

    Result<void> listen();
    void reload(std::string_view why);  // any thread
    // Until it is known whether the stored sign-in works, or patience ends.
    void wait_for_account(milliseconds patience) const;
    void drain(milliseconds grace, const std::atomic<bool>& hurry);

    [[nodiscard]] uint16_t api_port() const { return api_port_; }
    [[nodiscard]] uint16_t auth_port() const { return auth_port_; }
    [[nodiscard]] std::string host() const { return host_; }
    [[nodiscard]] const Config& config() const { return *config_; }
    [[nodiscard]] accounts::AccountViewPtr account() const { return control_->account().view(); }
    [[nodiscard]] bool example_key() const { return example_key_; }

  private:
    Service() = default;
    [[nodiscard]] static Result<std::shared_ptr<const Config>> read_config(
        const ServeOptions& options, const Env& env);
    [[nodiscard]] Result<void> decide_address(const ServeOptions& options, const Env& env);
    [[nodiscard]] std::string sign_in_url() const;
    [[nodiscard]] Result<std::vector<ledger::Intents*>> open_intents(const std::string& data_dir);
    [[nodiscard]] Observability::Needs observed();
    [[nodiscard]] Governance::Needs needs(const std::string& data_dir);
    void publish();  // a snapshot of config_ and what the account's catalogue adds to it
    [[nodiscard]] std::string connect_url() const;
    void on_account();
    void watch_files();
    void check_files();
    net::Task<bool> extra_page(net::HttpRequest& request, net::HttpResponder& reply);

    ServeOptions options_;
    Env env_;
    std::string host_ = "127.0.0.1";
    uint16_t api_port_ = 4000;
    uint16_t auth_port_ = 4001;
    bool example_key_ = false;
    Secret master_key_;

    std::mutex publish_mutex_;  // taken before mutex_
    std::mutex mutex_;  // config_, catalogue_, stamps_: changed by reloads and by the account
    std::shared_ptr<const Config> config_;
    accounts::CataloguePtr catalogue_;  // what all accounts list together
    std::string stamps_;

    std::vector<accounts::CataloguePtr> listed_;  // on the control loop

    std::unique_ptr<store::JournaledLedger> ledger_;
    store::IntentFiles intents_;
    routing::Health health_;
    providers::Registry providers_;
    gateway::SnapshotStore snapshots_;
    std::unique_ptr<ControlPlane> control_;
    std::unique_ptr<admin::SigninPage> page_;
    std::unique_ptr<admin::SigninHandler> page_handler_;
    std::unique_ptr<net::Loops> loops_;
    std::unique_ptr<store::SqlitePayloads> payload_store_;
    std::unique_ptr<observe::PayloadWriter> payloads_;
    std::unique_ptr<Governance> governance_;
    std::unique_ptr<RetentionJob> retention_;
    std::unique_ptr<Observability> observability_;
    std::unique_ptr<Sharing> sharing_;  // null: no Redis
    std::unique_ptr<gateway::Gateway> gateway_;
    std::unique_ptr<net::HttpServer> api_;
    std::unique_ptr<net::HttpServer> auth_;
    net::Timer watch_;
    bool listening_ = false;
};

// Capabilities that the live catalogue knows and the configuration does not say.
[[nodiscard]] std::shared_ptr<const routing::Table> enrich(const routing::Table& table,
                                                           const accounts::Catalogue* catalogue);

}  // namespace belay::app
