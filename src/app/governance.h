#pragma once
// Keys, budgets and limits of a running gateway: the store they are kept in, the directory and the
// governor that the data path asks, the management API, and the thread that keeps them true (what
// other instances wrote, budget windows that end). Known keys keep working while the store is away.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "accounts/account_set.h"
#include "admin/management.h"
#include "app/config.h"
#include "app/local_copy.h"
#include "base/seal.h"
#include "gateway/gateway.h"
#include "governance/directory.h"
#include "governance/entity_store.h"
#include "governance/governor.h"
#include "ledger/feed.h"
#include "ledger/payload.h"
#include "ledger/query.h"

namespace belay::app {

class Governance final : public gateway::Management {
  public:
    struct Needs {
        std::string data_dir;
        ledger::Ledger& ledger;
        ledger::Queries& queries;
        std::function<Result<std::optional<ledger::KeptPayload>>(std::string_view)> find_payload;
        ledger::SpendFeed& feed;
        std::function<std::shared_ptr<const routing::Table>()> table;
        std::function<void()> on_models_changed;
        accounts::AccountSet* accounts = nullptr;
        std::function<bool(const std::string& deployment_id)> is_cooling;
        std::function<size_t()> requests_in_flight;
    };
    // Fails when the store cannot be opened: nobody's key would be known. One that is away for now
    // is another matter: it is begun with the local copy, and caught up with later.
    [[nodiscard]] static Result<std::unique_ptr<Governance>> open(const Config& config,
                                                                  const Secret& master_key,
                                                                  Needs needs);
    ~Governance() override;
    // Its threads end: nothing that was given to it is called any more. Serves nothing from then
    // on.
    void stop();
    Governance(const Governance&) = delete;
    Governance& operator=(const Governance&) = delete;

    // `base` with the variables stored by /config/update over it, for os.environ/ references.
    [[nodiscard]] Env environment(Env base) const;
    // Whether they have changed since it was asked last.
    [[nodiscard]] bool environment_changed();
    void accounts_changed();  // any thread: what is written down of accounts may be old
    void configure(const Config& config, const Secret& master_key);  // now and on each reload
    // Called when entities were written here, on the thread that wrote.
    void on_change(std::function<void()> hook);
    // Any thread: another instance has written some; they are read now, not in a second.
    void look_now();
    // Any thread: what the ledger says was spent of the shared budgets, told to `then` on the
    // thread that keeps things true.
    void recount(std::function<void(std::vector<governance::SharedRow>)> then);
    // Models and router settings added at run time, over those of the file.
    void add_models(routing::Table& table) const;

    // LiteLLM's hash of the key that is stored under this id; the id itself where that is it.
    [[nodiscard]] std::string key_hash_of(const std::string& key_id) const;

    // Deletes audit rows older than `before_ms`, and of everything that only grows (audit rows,
    // deleted keys and teams) what is beyond kHistoryMost. How many; may wait for the store.
    static constexpr size_t kHistoryMost = 10'000;
    [[nodiscard]] Result<uint64_t> trim_history(int64_t before_ms);

    [[nodiscard]] const governance::Directory& directory() const { return directory_; }
    [[nodiscard]] governance::Governor& governor() { return governor_; }

    [[nodiscard]] bool owns(std::string_view path) const override;
    [[nodiscard]] bool is_public(std::string_view path) const override;
    net::Task<void> handle(net::HttpRequest& request, net::HttpResponder& reply,
                           governance::CallerPtr caller) override;

  private:
    explicit Governance(Needs needs) : needs_(std::move(needs)) {}
    [[nodiscard]] Result<void> open_store(const Config& config);
    [[nodiscard]] Result<void> read_all();
    [[nodiscard]] Result<void> begin_with_copy(const Error& why);
    [[nodiscard]] Result<void> read_spend();
    void know_windows();
    [[nodiscard]] Result<void> learn_key_secret();
    void catch_up();  // with the store, and with what others have spent
    [[nodiscard]] json::Value open_params(const std::string& model_id,
                                          const json::Value& params) const;
    [[nodiscard]] json::Value open_sealed(const json::Value& object,
                                          const std::string& place) const;
    void keep_true();  // the thread
    void reset_windows();
    void keep_accounts();
    [[nodiscard]] bool note_accounts();

    Needs needs_;
    std::unique_ptr<governance::EntityStore> store_;
    std::unique_ptr<LocalCopy> copy_;  // of a store that may be away; may be null
    std::vector<governance::Spent> copied_spent_;
    bool spend_known_ = false;                           // from the ledger
    bool secret_known_ = false;                          // under which keys are hashed
    std::vector<governance::Governor::Reset> unstored_;  // windows that began while it was away
    governance::Directory directory_;
    governance::Governor governor_;
    std::unique_ptr<Seal> seal_;
    std::unique_ptr<admin::Management> management_;
    std::shared_ptr<const admin::Settings> settings_;
    mutable std::mutex mutex_;  // settings_, stopping_, looking_, hook_, recount_
    std::condition_variable wake_;
    bool stopping_ = false;
    std::atomic<int64_t> environment_version_{0};
    bool accounts_dirty_ = false;
    std::atomic<uint64_t> accounts_generation_{
        0};  // of the directory, when keep_accounts() last looked
    bool looking_ = false;
    std::function<void()> hook_;
    std::function<void(std::vector<governance::SharedRow>)> recount_;
    std::thread thread_;
};

}  // namespace belay::app
