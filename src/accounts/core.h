#pragma once
// The inside of AccountService: all state, changed on the control loop only. Files: core_wait.cpp
// (reading and waiting), core.cpp (state and its publication), core_requests.cpp (what is asked of
// GitHub and what the answers do). Nobody but service.cpp includes this.
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "accounts/service.h"

namespace belay::accounts {

// One coroutine that waits for a credential (or for the model list). Its fields are touched on its
// own loop only.
struct AccountService::Ticket {
    net::Loop* loop = nullptr;
    net::Waiter waiter;
    std::optional<Result<CredentialPtr>> outcome;
};

class AccountService::Core : public std::enable_shared_from_this<Core> {
  public:
    using TicketPtr = std::shared_ptr<Ticket>;
    struct Ask {
        enum class Why : uint8_t { any, rejected, wrong_host, models } why = Why::any;
        uint64_t generation = 0;  // of the credential that was rejected
    };

    Core(net::Loop& loop, net::Fetcher& fetcher, const Clock& clock, AccountOptions options);

    // any thread
    [[nodiscard]] CredentialPtr current(Mono now);
    [[nodiscard]] AccountViewPtr view() const;
    [[nodiscard]] bool wants_quota(Mono now);
    static net::Task<Result<CredentialPtr>> wait(std::shared_ptr<Core> self, Ask ask,
                                                 Mono deadline);
    [[nodiscard]] net::Loop& loop() { return loop_; }
    [[nodiscard]] const Clock& clock() const { return clock_; }
    [[nodiscard]] SeatMeter& meter() { return meter_; }
    [[nodiscard]] seconds catalogue_life() const { return options_.catalogue_life; }

    // control loop
    void start();
    void stop();
    void tick();
    [[nodiscard]] Mono next_due() const;
    void note_quota(Quota quota);
    void ask_for_models();
    void sign_in(std::string owner, Replace replace);
    void confirm(const std::string& owner);
    void cancel_sign_in(const std::string& owner);
    void sign_out();

    std::function<void(const AccountView&)> on_change;

  private:
    // waiting
    void join(const TicketPtr& ticket, Ask ask);
    void join_models(const TicketPtr& ticket);
    void resolve(const TicketPtr& ticket, Result<CredentialPtr> outcome);
    void resolve_all(std::vector<TicketPtr>& tickets, const Result<CredentialPtr>& outcome);
    [[nodiscard]] std::optional<Error> obstacle() const;
    [[nodiscard]] Error to_error(const Problem& problem) const;
    [[nodiscard]] bool holds_valid() const;

    // state
    void reload();
    void look_for_outside_change();
    void adopt(Secret github_token, std::string source, bool given);
    void lapse();
    void drop_pending();
    void set_credential(Secret token, std::string base, bool direct, seconds life);
    void publish_credential(CredentialPtr credential);
    void publish();
    void plan_timer();
    void warn(std::string text);
    void keep_warnings(const std::vector<std::string>& warnings);
    void keep_problem(Problem problem);
    [[nodiscard]] double jitter() const;
    [[nodiscard]] std::string checked_base(const std::string& announced);

    // requests
    void exchange();
    void end_exchange(Problem problem);
    void accept_token(ExchangedToken token, const std::string& body);
    void accept_user(User user);
    void refuse_seat(std::string text);
    void meter_quotas();
    void load_account();
    void rotate_base();
    void keep_or_drop_rejected();
    [[nodiscard]] net::FetchRequest device_start_request() const;
    [[nodiscard]] net::FetchRequest device_poll_request() const;
    void take_sign_in(Secret token);
    [[nodiscard]] net::FetchRequest github_request(const std::string& url,
                                                   const Secret& token) const;
    [[nodiscard]] net::FetchRequest models_request(const std::string& base,
                                                   const Secret& bearer) const;
    static net::Task<void> run_exchange(std::shared_ptr<Core> self, uint64_t epoch);
    static net::Task<void> run_direct(std::shared_ptr<Core> self, uint64_t epoch);
    static net::Task<void> run_user(std::shared_ptr<Core> self, uint64_t epoch);
    static net::Task<void> run_models(std::shared_ptr<Core> self, uint64_t epoch);
    static net::Task<void> run_device_start(std::shared_ptr<Core> self, uint64_t flow);
    static net::Task<void> run_device_poll(std::shared_ptr<Core> self, uint64_t flow);
    static net::Task<void> run_compare(std::shared_ptr<Core> self, Secret token);

    net::Loop& loop_;
    net::Fetcher& fetcher_;
    const Clock& clock_;
    const AccountOptions options_;
    const std::shared_ptr<const Profile> profile_;
    Vault vault_;
    net::Timer timer_;
    bool running_ = false;
    bool loaded_ = false;  // reload() has run

    // published
    SeatMeter meter_;
    const uint64_t id_;  // never used twice in this process
    mutable std::mutex mutex_;
    CredentialPtr published_;
    AccountViewPtr view_;
    std::atomic<uint64_t> version_{1};  // rises when published_ changes
    std::atomic<bool> used_{false};     // since the last refresh
    std::atomic<bool> nudged_{false};   // somebody has seen that a refresh is due
    std::atomic<int64_t> refresh_due_ns_{INT64_MAX};
    std::atomic<int64_t> quota_next_ns_{INT64_MIN};

    // the account
    Phase phase_ = Phase::signed_out;
    Secret github_token_;
    std::string source_;
    bool given_ = false;  // by environment: not ours to store
    uint64_t epoch_ = 0;  // rises with each GitHub token; answers of an older one are dropped
    bool direct_ = false;
    size_t base_index_ = 0;  // direct mode: which candidate answers
    CredentialPtr credential_;
    uint64_t generation_ = 0;
    bool stale_ = false;  // rejected by the upstream; waits for its successor
    Mono minted_at_{};
    uint32_t strikes_ = 0;  // fresh tokens rejected at once
    Mono refresh_at_ = Mono::max();
    Wall token_expires_ = Wall::min();
    bool exchanging_ = false;
    uint32_t failures_ = 0;
    Mono retry_at_ = Mono::min();
    Problem problem_;
    bool offline_ = false;
    std::string notice_;
    std::string sku_;
    std::vector<std::string> warnings_;
    std::vector<TicketPtr> waiting_;

    std::optional<User> user_;
    std::string user_base_;
    std::vector<Quota> quotas_;
    Mono user_at_ = Mono::min();
    bool user_loading_ = false;

    CataloguePtr catalogue_;
    Mono catalogue_at_ = Mono::min();
    Mono catalogue_retry_at_ = Mono::min();
    bool models_loading_ = false;
    std::vector<TicketPtr> waiting_models_;

    DeviceFlow flow_;
    Replace replace_ = Replace::at_once;
    Secret pending_token_;  // of another account, until confirm()
    std::string pending_login_;
    Mono pending_until_ = Mono::max();
    Mono vault_check_at_ = Mono::min();
    uint64_t revision_ = 0;
};

}  // namespace belay::accounts
