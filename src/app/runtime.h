#pragma once
// What serve, login and models share: a control loop with its HTTP client, the account service on
// it, and the environment they read. Owns its threads; everything is stopped in the destructor.
#include <memory>
#include <string>

#include "accounts/account_set.h"
#include "accounts/service.h"
#include "app/config.h"
#include "base/result.h"
#include "net/http_client.h"
#include "net/loops.h"

namespace belay::app {

// Proxy, certificates: from the environment, read once.
[[nodiscard]] net::ClientOptions read_client_options(const Env& env);

class ControlPlane {
  public:
    // `accounts_dir` is where persons' accounts are kept; "" = only the process's own is there.
    [[nodiscard]] static Result<std::unique_ptr<ControlPlane>> start(
        const Env& env, const std::string& sign_in_url = "http://localhost:4001/github",
        const std::string& accounts_dir = {}, const std::string& connect_url = {});
    ~ControlPlane();
    ControlPlane(const ControlPlane&) = delete;
    ControlPlane& operator=(const ControlPlane&) = delete;

    // Set before begin(): called on the control loop after each change of the account.
    void on_change(std::function<void(const accounts::AccountView&)> hook);
    void begin();  // reads what is stored, starts the first exchange

    [[nodiscard]] accounts::AccountService& account() { return accounts_->main(); }
    [[nodiscard]] accounts::AccountSet& accounts() { return *accounts_; }
    [[nodiscard]] net::Loop& loop() { return loops_[0]; }
    [[nodiscard]] const std::shared_ptr<net::ClientContext>& context() { return context_; }
    void run_on_loop(const std::function<void()>& work) { loops_.run_on(0, work); }
    // Runs a coroutine on the control loop and waits for its end. Not from a loop.
    void run(net::Task<void> work);

  private:
    ControlPlane() = default;
    std::shared_ptr<net::ClientContext> context_;
    net::Loops loops_{1};
    std::unique_ptr<net::HttpClient> client_;
    std::unique_ptr<net::ClientFetcher> fetcher_;
    std::unique_ptr<accounts::AccountSet> accounts_;
    bool begun_ = false;
};

}  // namespace belay::app
