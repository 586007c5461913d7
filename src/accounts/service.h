#pragma once
// The account: signs in, keeps a fresh Copilot token, knows plan, quota and models. Lives on one
// loop (the control loop), which alone changes it; other threads read published snapshots and wait
// through acquire(). Requests to GitHub go through net::Fetcher, files through Vault, time through
// Clock.
//
//   signed out ──sign_in──► device flow ──token──► exchange ──► signed in ──► early refresh ...
//        ▲                                            │ 404: direct (GitHub token is the bearer)
//        └── needs login ◄── 401 ─────────────────────┤ 403: refused, with the reason
//                                                     └ network, 5xx: keep the old token, back off
//
// At most one exchange is under way, however many requests wait for it; each waits no longer than
// its own deadline. A failed refresh never discards a token that is still valid, and is not
// repeated within 30 s.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "accounts/catalogue.h"
#include "accounts/credential.h"
#include "accounts/device_flow.h"
#include "accounts/endpoints.h"
#include "accounts/seat_meter.h"
#include "accounts/token.h"
#include "accounts/user.h"
#include "accounts/vault.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "net/task.h"

namespace belay::accounts {

enum class Phase : uint8_t {
    starting,     // credentials found, first exchange under way
    signed_out,   // nothing stored
    signed_in,    // usable (perhaps with a refresh failing: see offline)
    needs_login,  // GitHub no longer accepts the stored token
    refused,      // signed in, but Copilot says no: see problem
    unreachable,  // credentials found, never yet exchanged: GitHub cannot be reached; retries
                  // itself
};

// Whether a sign-in for another account than the present one takes its place by itself, or waits
// for confirm(): so that nobody who can reach the page slips in an account of theirs unseen.
enum class Replace : uint8_t { at_once, ask };

// Everything the sign-in page and the start-up text show. Immutable; replaced whole.
struct AccountView {
    uint64_t revision = 0;
    std::string account;  // the id of a person's account; "" = the process's own
    Phase phase = Phase::signed_out;

    // the device flow
    DeviceFlow::State device = DeviceFlow::State::idle;
    std::string device_owner;  // who started it; the code is for them alone
    std::string user_code;
    std::string verification_url;
    std::string device_problem;
    Wall code_expires_at = Wall::min();
    bool device_offline = false;
    bool device_slowed = false;
    std::string pending_login;  // signed in at GitHub, waits for confirm(); "" = none

    // the account
    std::string login;
    std::string plan;
    std::string sku;
    std::string source;  // "access-token" or the name of the environment variable
    std::string notice;  // GitHub's message on a good exchange
    std::string api_base;
    std::string profile;
    std::vector<Quota> quotas;
    std::vector<std::string> warnings;  // repaired file modes, ignored hosts
    CataloguePtr catalogue;             // null until fetched
    Problem problem;  // of needs_login, refused, unreachable, and failing refreshes
    Wall token_expires_at = Wall::min();
    bool direct = false;
    bool credits = false;
    bool offline = false;  // the last refresh failed; the old token still holds
};

using AccountViewPtr = std::shared_ptr<const AccountView>;

struct AccountOptions {
    Profile profile;
    Endpoints endpoints;
    VaultOptions vault;
    seconds catalogue_life{600};
    seconds user_life{900};
    std::function<double()> jitter;  // [0, 1); quick_random_unit when empty
    std::string account;             // the id of a person's account; "" = the process's own
    // Asked on the control loop before a sign-in is taken: why this GitHub login may not be used
    // here, for a person; "" = it may. Empty function: every login may.
    std::function<std::string(const std::string& login)> refuse_login;
    std::string sign_in_hint = "open http://localhost:4001/github or run `belay login`";
};

// Profile, endpoints and vault from configuration and environment, in one place for the
// application. `config` is the `copilot` part of the settings: {profile, domain, profiles}; null
// for none.
[[nodiscard]] Result<AccountOptions> plan_account(const json::Value& config, const EnvLookup& env);

class AccountService final {
  public:
    // Everything passed must outlive the service; made and destroyed on (or before/after) the loop.
    AccountService(net::Loop& loop, net::Fetcher& fetcher, const Clock& clock,
                   AccountOptions options);
    ~AccountService();
    AccountService(const AccountService&) = delete;
    AccountService& operator=(const AccountService&) = delete;

    // Control loop. start() reads what is stored and begins the first exchange. stop() wakes every
    // waiter with an error and ends the timers; requests under way finish into nothing.
    void start();
    void stop();

    // --- any thread ---

    // The credential to use, or null when one must be waited for (acquire). No lock in the usual
    // case: a thread keeps its own copy and looks at one atomic number.
    [[nodiscard]] CredentialPtr current(Mono now) const;
    [[nodiscard]] CredentialPtr current() const { return current(clock_.mono()); }

    // current(), or the outcome of the refresh that is (or gets) under way. Await on any loop; it
    // resumes there. Errors: timeout (the deadline), upstream_unavailable with code
    // "copilot_sign_in_required" or "copilot_unreachable", upstream_rejected with GitHub's reason.
    net::Task<Result<CredentialPtr>> acquire(Mono deadline);
    // After a 401 (or a suspicious 400/403) with the credential of that generation: a newer one, by
    // one refresh at most, however many ask. When the generation has moved on, that one at once.
    net::Task<Result<CredentialPtr>> refresh_after_401(uint64_t generation, Mono deadline);
    // After a 421 (wrong host): the hosts are read again, or the next plan's host is tried.
    net::Task<Result<CredentialPtr>> refresh_after_421(uint64_t generation, Mono deadline);

    [[nodiscard]] AccountViewPtr view() const;
    // The last known list; null until there is one. Asks for a new one in the background when old.
    [[nodiscard]] CataloguePtr catalogue() const;
    // The list, fetched when there is none yet or it is old. Await on any loop.
    net::Task<Result<CataloguePtr>> list_models(Mono deadline);

    // A quota header of a model reply. Cheap: wants_quota() is one atomic load, true at most once a
    // second; call note_quota regardless on a 402 or 429.
    [[nodiscard]] bool wants_quota(Mono now) const;
    void note_quota(std::string_view header_name, std::string_view value);

    // What is left of the allowance, for callers with a floor. Any thread.
    [[nodiscard]] SeatMeter& meter() const;

    // `owner` is an opaque mark of who asked (a browser session, "terminal").
    void sign_in(std::string owner, Replace replace = Replace::at_once);
    void confirm(std::string owner);  // the pending account takes the present one's place
    void cancel_sign_in(std::string owner);
    void sign_out();
    // Called on the control loop after every published change of the view. Set before start().
    void on_change(std::function<void(const AccountView&)> hook);

    // --- control loop, for tests: does what is due now (otherwise its own timer calls it) ---
    void tick();
    // When tick() next has something to do; Mono::max() when nothing is planned.
    [[nodiscard]] Mono next_due() const;

  private:
    struct Ticket;
    class Core;
    const Clock& clock_;
    std::shared_ptr<Core> core_;
};

}  // namespace belay::accounts
