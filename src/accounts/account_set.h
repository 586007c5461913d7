#pragma once
// All Copilot accounts of this process: the process's own (LiteLLM's folder, "default") and those
// of persons, one folder each. Every account has its own token, quota, catalogue and meter, and
// none ever stands in for another: whoever is bound to an account asks for it by its id.
//
//   <dir>/                       0700   Belay's data folder, "accounts"
//     acct-0123456789ab/         0700   one person's sign-in, in the layout of vault.h
//
// Which ids there are is decided outside (governance's entities of kind account): keep() makes and
// ends services. A sign-in for a GitHub login that another person's account already holds is
// refused: one seat belongs to one person.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/service.h"

namespace belay::accounts {

// How the API names the process's own account.
inline constexpr std::string_view kDefaultAccount = "default";
// "acct-" and twelve hexadecimal digits.
[[nodiscard]] std::string make_account_id();
[[nodiscard]] bool is_account_id(std::string_view id);

class AccountSet final {
  public:
    using ServicePtr = std::shared_ptr<AccountService>;

    // `dir` is where persons' accounts are kept; "" = there are none in this process. `hint` tells
    // a person without a sign-in what to do. Everything passed must outlive the set.
    AccountSet(net::Loop& loop, net::Fetcher& fetcher, const Clock& clock, AccountOptions main,
               std::string dir, std::string hint);
    ~AccountSet();
    AccountSet(const AccountSet&) = delete;
    AccountSet& operator=(const AccountSet&) = delete;

    [[nodiscard]] AccountService& main() { return *main_; }
    // Any thread. Null when there is no such account.
    [[nodiscard]] ServicePtr find(std::string_view id) const;
    // Persons' accounts, by id. Any thread.
    [[nodiscard]] std::vector<std::pair<std::string, ServicePtr>> all() const;

    // From now on there are these accounts of persons. New ones begin; the sign-in of those that
    // have gone is removed from the disk. Any thread; find() knows at once.
    void keep(const std::vector<std::string>& ids);

    // Called on the control loop after each change of a person's account. Set before start().
    void on_change(std::function<void(const std::string& id, const AccountView&)> hook);
    // Control loop.
    void start();
    void stop();

  private:
    struct Life;  // shared with services that end late
    [[nodiscard]] ServicePtr make(const std::string& id);
    [[nodiscard]] std::string refuse_login(const std::string& id, const std::string& login) const;

    net::Loop& loop_;
    net::Fetcher& fetcher_;
    const Clock& clock_;
    const AccountOptions options_;  // of persons' accounts but for the folder
    const std::string dir_;
    std::shared_ptr<Life> life_;
    std::unique_ptr<AccountService> main_;
    mutable std::mutex mutex_;  // the rest
    std::map<std::string, ServicePtr, std::less<>> persons_;
    std::function<void(const std::string&, const AccountView&)> hook_;
    bool running_ = false;
};

}  // namespace belay::accounts
