#include "accounts/account_set.h"

#include <unistd.h>

#include <algorithm>

#include "base/ids.h"
#include "base/log.h"

namespace belay::accounts {
namespace {

constexpr std::string_view kPrefix = "acct-";
constexpr size_t kIdHex = 12;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// GitHub's logins are one whatever their case.
bool same_login(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

// A service may outlive its place in the set by the requests that use it; it ends on the loop, and
// when there is no loop any more, wherever its last user does.
struct AccountSet::Life {
    net::Loop* loop = nullptr;
    std::atomic<bool> on{false};
};

std::string make_account_id() { return std::string(kPrefix) + random_hex(kIdHex / 2); }

bool is_account_id(std::string_view id) {
    return id.size() == kPrefix.size() + kIdHex && id.starts_with(kPrefix) &&
           id.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

AccountSet::AccountSet(net::Loop& loop, net::Fetcher& fetcher, const Clock& clock,
                       AccountOptions main, std::string dir, std::string hint)
    : loop_(loop),
      fetcher_(fetcher),
      clock_(clock),
      options_([&] {
          AccountOptions person = main;
          person.vault = VaultOptions();  // neither the operator's variables nor file names
          person.sign_in_hint = std::move(hint);
          return person;
      }()),
      dir_(std::move(dir)),
      life_(std::make_shared<Life>()) {
    life_->loop = &loop;
    main_ = std::make_unique<AccountService>(loop, fetcher, clock, std::move(main));
}

AccountSet::~AccountSet() {
    const std::lock_guard lock(mutex_);
    persons_.clear();
}

AccountSet::ServicePtr AccountSet::find(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto at = persons_.find(id);
    return at == persons_.end() ? nullptr : at->second;
}

std::vector<std::pair<std::string, AccountSet::ServicePtr>> AccountSet::all() const {
    const std::lock_guard lock(mutex_);
    return {persons_.begin(), persons_.end()};
}

AccountSet::ServicePtr AccountSet::make(const std::string& id) {
    AccountOptions options = options_;
    options.account = id;
    options.vault.dir = dir_ + "/" + id;
    options.refuse_login = [this, id](const std::string& login) { return refuse_login(id, login); };
    const auto end = [life = life_](AccountService* service) {
        if (!life->on.load() || net::Loop::current() == life->loop) {
            delete service;
        } else {
            life->loop->post([service] { delete service; });
        }
    };
    return {new AccountService(loop_, fetcher_, clock_, std::move(options)), end};
}

void AccountSet::keep(const std::vector<std::string>& ids) {
    const std::lock_guard lock(mutex_);
    if (dir_.empty()) {
        return;
    }
    for (const std::string& id : ids) {
        if (!is_account_id(id) || persons_.count(id) != 0) {
            continue;
        }
        const ServicePtr made = make(id);
        made->on_change([this, id](const AccountView& view) {
            std::function<void(const std::string&, const AccountView&)> hook;
            {
                const std::lock_guard hook_lock(mutex_);
                hook = hook_;
            }
            if (hook) {
                hook(id, view);
            }
        });
        persons_.emplace(id, made);
        if (running_) {
            loop_.post([made] { made->start(); });
        }
    }
    for (auto at = persons_.begin(); at != persons_.end();) {
        if (std::find(ids.begin(), ids.end(), at->first) != ids.end()) {
            ++at;
            continue;
        }
        if (running_) {
            at->second->sign_out();
            loop_.post([gone = at->second, folder = dir_ + "/" + at->first] {
                gone->stop();
                (void)::rmdir(folder.c_str());
            });
        }
        at = persons_.erase(at);
    }
}

std::string AccountSet::refuse_login(const std::string& id, const std::string& login) const {
    for (const auto& [other, service] : all()) {
        if (other != id && same_login(service->view()->login, login)) {
            return "The GitHub account " + login +
                   " is connected by another user here. A Copilot seat belongs to one person: "
                   "sign in as yourself, or ask an administrator to unbind the other one.";
        }
    }
    return {};
}

void AccountSet::on_change(std::function<void(const std::string&, const AccountView&)> hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
}

void AccountSet::start() {
    life_->on = true;
    main_->start();
    std::map<std::string, ServicePtr, std::less<>> persons;
    {
        const std::lock_guard lock(mutex_);
        running_ = true;
        persons = persons_;
    }
    for (const auto& [id, service] : persons) {
        service->start();
    }
}

void AccountSet::stop() {
    std::map<std::string, ServicePtr, std::less<>> persons;
    {
        const std::lock_guard lock(mutex_);
        running_ = false;
        hook_ = nullptr;
        persons = persons_;
    }
    main_->stop();
    for (const auto& [id, service] : persons) {
        service->stop();
    }
    life_->on = false;
}

}  // namespace belay::accounts
