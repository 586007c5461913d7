#include <array>

#include "accounts/core.h"

namespace belay::accounts {
namespace {

int64_t ns(Mono t) { return t.time_since_epoch().count(); }

// Protocols put an error's message into sentences of their own.
std::string without_stop(std::string text) {
    if (text.ends_with('.')) {
        text.pop_back();
    }
    return text;
}

// What a thread knows of the services it asked. Few services, so few slots.
struct Remembered {
    uint64_t id = 0;
    uint64_t version = 0;
    CredentialPtr credential;
};
thread_local std::array<Remembered, 4> remembered;

// A coroutine's frame may be destroyed while it waits: then nobody may wake it.
class Forget {
  public:
    explicit Forget(net::Waiter& waiter) : waiter_(waiter) {}
    ~Forget() {
        waiter_.timer.disarm();
        waiter_.handle = {};
    }
    Forget(const Forget&) = delete;
    Forget& operator=(const Forget&) = delete;

  private:
    net::Waiter& waiter_;
};

}  // namespace

// --- any thread

CredentialPtr AccountService::Core::current(Mono now) {
    Remembered& mine = remembered[id_ % remembered.size()];
    const uint64_t version = version_.load(std::memory_order_acquire);
    if (mine.id != id_ || mine.version != version) {
        std::lock_guard lock(mutex_);
        mine = {id_, version_.load(std::memory_order_relaxed), published_};
    }
    if (mine.credential == nullptr || now >= mine.credential->expires_at) {
        return nullptr;
    }
    if (!used_.load(std::memory_order_relaxed)) {
        used_.store(true, std::memory_order_relaxed);
    }
    if (ns(now) >= refresh_due_ns_.load(std::memory_order_relaxed) &&
        !nudged_.exchange(true, std::memory_order_relaxed)) {
        loop_.post([self = shared_from_this()] { self->tick(); });
    }
    return mine.credential;
}

AccountViewPtr AccountService::Core::view() const {
    std::lock_guard lock(mutex_);
    return view_;
}

bool AccountService::Core::wants_quota(Mono now) {
    int64_t due = quota_next_ns_.load(std::memory_order_relaxed);
    return ns(now) >= due && quota_next_ns_.compare_exchange_strong(due, ns(now + seconds(1)),
                                                                    std::memory_order_relaxed);
}

net::Task<Result<CredentialPtr>> AccountService::Core::wait(std::shared_ptr<Core> self, Ask ask,
                                                            Mono deadline) {
    net::Loop* here = net::Loop::current();
    if (ask.why == Ask::Why::any) {
        if (CredentialPtr usable = self->current(self->clock_.mono())) {
            co_return usable;
        }
    }
    const auto ticket = std::make_shared<Ticket>();
    ticket->loop = here;
    if (here == &self->loop_) {
        self->join(ticket, ask);
    } else {
        self->loop_.post([self, ticket, ask] { self->join(ticket, ask); });
    }
    if (!ticket->outcome) {
        const Forget forget(ticket->waiter);
        co_await here->sleep_until(deadline, &ticket->waiter);
    }
    if (ticket->outcome) {
        co_return std::move(*ticket->outcome);
    }
    Error late = upstream_error(Kind::timeout,
                                "GitHub did not renew the Copilot token within the request's time");
    late.code = "copilot_unreachable";
    co_return late;
}

// --- control loop: waiting

void AccountService::Core::join(const TicketPtr& ticket, Ask ask) {
    if (!running_) {
        resolve(ticket, gateway_error(Kind::cancelled, "Belay is not running"));
        return;
    }
    look_for_outside_change();
    used_.store(true, std::memory_order_relaxed);
    if (ask.why == Ask::Why::models) {
        join_models(ticket);
        return;
    }
    const bool rejected =
        ask.why != Ask::Why::any && credential_ && credential_->generation <= ask.generation;
    // A credential of this very moment is the answer to whoever still reports its predecessor.
    const auto age = clock_.mono() - minted_at_;
    if (holds_valid() && (!rejected || age < seconds(1))) {
        resolve(ticket, credential_);
        return;
    }
    if (rejected && !stale_ && !exchanging_) {
        if (ask.why == Ask::Why::wrong_host && direct_) {
            rotate_base();
            resolve(ticket, credential_);
            return;
        }
        // Tokens that are rejected while they are fresh tell that something else is wrong.
        strikes_ = age < seconds(2) ? strikes_ + 1 : 0;
        if (strikes_ >= 3) {
            strikes_ = 0;
            Problem p;
            p.what = Problem::What::transient;
            p.id = "token_rejected";
            p.title = "Copilot rejects fresh tokens";
            p.text =
                "GitHub issues tokens that Copilot does not accept; Belay tries again shortly.";
            keep_problem(std::move(p));
        } else if (clock_.mono() >= retry_at_) {
            stale_ = true;
            publish_credential(nullptr);
        }
    }
    if (!exchanging_) {
        if (auto error = obstacle()) {
            resolve(ticket, std::move(*error));
            return;
        }
    }
    waiting_.push_back(ticket);
    if (!exchanging_) {
        exchange();
    }
}

void AccountService::Core::join_models(const TicketPtr& ticket) {
    waiting_models_.push_back(ticket);
    ask_for_models();
    if (!models_loading_) {
        resolve_all(waiting_models_, Result<CredentialPtr>(credential_));
    }
}

// Why no exchange can be begun now; nullopt when one can.
std::optional<Error> AccountService::Core::obstacle() const {
    if (github_token_.empty() || phase_ == Phase::needs_login) {
        return to_error(problem_);
    }
    if (clock_.mono() < retry_at_) {
        return to_error(problem_);
    }
    return std::nullopt;
}

Error AccountService::Core::to_error(const Problem& problem) const {
    Error e;
    e.origin = Origin::gateway;
    if (github_token_.empty() || problem.what == Problem::What::needs_login) {
        e.kind = Kind::upstream_unavailable;
        e.code = "copilot_sign_in_required";
        e.message = std::string(github_token_.empty() ? "Belay is not signed in to GitHub Copilot"
                                                      : "GitHub asks for a new sign-in") +
                    ": " + options_.sign_in_hint;
        if (given_) {
            e.message = without_stop(problem.text);
        }
        return e;
    }
    e.origin = Origin::upstream;
    if (problem.what == Problem::What::refused) {
        e.kind = Kind::upstream_rejected;
        e.code = problem.id;
        e.message = "GitHub Copilot refuses this account: " + problem.title + ". " +
                    without_stop(problem.text);
        return e;
    }
    e.kind = Kind::upstream_unavailable;
    e.code = "copilot_unreachable";
    e.message = problem.text.empty() ? "GitHub could not be reached for a Copilot token"
                                     : "No Copilot token: " + without_stop(problem.text);
    if (const auto left = retry_at_ - clock_.mono(); left > left.zero()) {
        e.retry_after = std::chrono::ceil<seconds>(left);
    }
    return e;
}

bool AccountService::Core::holds_valid() const {
    return credential_ != nullptr && !stale_ && clock_.mono() < credential_->expires_at;
}

void AccountService::Core::resolve(const TicketPtr& ticket, Result<CredentialPtr> outcome) {
    if (ticket->loop == &loop_) {
        ticket->outcome = std::move(outcome);
        loop_.wake(ticket->waiter, net::Wake::ready);
        return;
    }
    ticket->loop->post([ticket, o = std::move(outcome)]() mutable {
        ticket->outcome = std::move(o);
        ticket->loop->wake(ticket->waiter, net::Wake::ready);
    });
}

void AccountService::Core::resolve_all(std::vector<TicketPtr>& tickets,
                                       const Result<CredentialPtr>& outcome) {
    for (const TicketPtr& ticket : std::exchange(tickets, {})) {
        resolve(ticket, outcome);
    }
}

}  // namespace belay::accounts
