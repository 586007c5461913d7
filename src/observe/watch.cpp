#include "observe/watch.h"

#include <algorithm>
#include <map>

#include "base/clock.h"
#include "observe/request_metrics.h"

namespace belay::observe {
namespace {

constexpr size_t kSpendersMost = 4'096;  // looked at in one round
constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kFallWindowMs = 5 * kMinuteMs;
constexpr size_t kFallModelsMost = 256;
constexpr int kAllowancePercents[] = {20, 10, 5, 0};

std::string_view group_of(governance::ScopeKind kind) {
    switch (kind) {
        case governance::ScopeKind::key:
            return "key";
        case governance::ScopeKind::user:
            return "internal_user";
        case governance::ScopeKind::team:
            return "team";
        case governance::ScopeKind::team_member:
            return "team_member";
        case governance::ScopeKind::organization:
            return "organization";
        case governance::ScopeKind::customer:
            return "customer";
        case governance::ScopeKind::tag:
            return "tag";
        case governance::ScopeKind::global:
            return "proxy";
    }
    return "proxy";
}

std::string_view word_of(governance::ScopeKind kind) {
    switch (kind) {
        case governance::ScopeKind::key:
            return "Key";
        case governance::ScopeKind::user:
            return "User";
        case governance::ScopeKind::team:
            return "Team";
        case governance::ScopeKind::team_member:
            return "Team member";
        case governance::ScopeKind::organization:
            return "Organization";
        case governance::ScopeKind::customer:
            return "Customer";
        case governance::ScopeKind::tag:
            return "Tag";
        case governance::ScopeKind::global:
            return "Proxy";
    }
    return "Proxy";
}

json::Value usd(NanoCredits amount) { return json::Number{render_usd(amount)}; }

json::Value text_or_null(std::string_view text) {
    return text.empty() ? json::Value() : json::Value(text);
}

json::Value facts_of(const BudgetStanding& b) {
    const bool key = b.kind == governance::ScopeKind::key;
    const bool customer = b.kind == governance::ScopeKind::customer;
    return json::Value::object({{"spend", usd(b.spent)},
                                {"max_budget", b.most ? usd(*b.most) : json::Value()},
                                {"soft_budget", b.soft ? usd(*b.soft) : json::Value()},
                                {"token", key ? json::Value(b.id) : json::Value()},
                                {"customer_id", customer ? json::Value(b.id) : json::Value()},
                                {"user_id", text_or_null(b.user_id)},
                                {"team_id", text_or_null(b.team_id)},
                                {"team_alias", text_or_null(b.team_alias)},
                                {"organization_id", text_or_null(b.organization_id)},
                                {"user_email", text_or_null(b.user_email)},
                                {"key_alias", text_or_null(b.key_alias)}});
}

// How often requests for a model were answered by a later one, over the last minutes.
struct Falls {
    std::deque<std::pair<int64_t, bool>> recent;  // when, and whether it fell
    size_t fallen = 0;

    void add(int64_t now_ms, bool fell) {
        constexpr size_t kMost = 4'096;
        recent.emplace_back(now_ms, fell);
        fallen += fell ? 1 : 0;
        while (!recent.empty() &&
               (recent.size() > kMost || recent.front().first < now_ms - kFallWindowMs)) {
            fallen -= recent.front().second ? 1 : 0;
            recent.pop_front();
        }
    }
};

class Watch final : public Listener {
  public:
    Watch(const AlertSettings& settings, WatchPorts ports, const BatchSink::Post& post)
        : settings_(settings), ports_(std::move(ports)), center_(settings, post) {}

    void hear(const Heard& heard) override {
        const auto& r = heard.entry.record;
        const int64_t now_ms = unix_millis(system_clock().wall());
        if (spenders_.size() < kSpendersMost) {
            const bool refused = r.error_kind == Kind::budget_exhausted && r.deployment_id.empty();
            bool& seen = spenders_[{heard.key_id, r.end_user}];
            seen = seen || refused;
        }
        hear_fall(r, now_ms);
        if (r.status == ledger::Status::failure && !r.deployment_id.empty()) {
            const std::string error = exception_class(r);
            center_.raise(
                {.type = "llm_exceptions",
                 .key = "error " + r.model_group + " " + error,
                 .urgency = Urgency::high,
                 .text = "A request for " + r.asked + " failed: " + error + ", status " +
                         std::to_string(r.http_status) + " (request " + r.request_id + ")",
                 .event = "llm_exceptions",
                 .event_group = "proxy",
                 .facts = {}},
                now_ms);
        }
        if (r.total_us / 1000 >= settings_.slow.count()) {
            center_.raise({.type = "llm_too_slow",
                           .key = "slow " + r.model_group,
                           .urgency = Urgency::low,
                           .text = "A request for " + r.asked + " took " +
                                   std::to_string(r.total_us / 1'000'000) + " s (request " +
                                   r.request_id + ")",
                           .event = "llm_too_slow",
                           .event_group = "proxy",
                           .facts = {}},
                          now_ms);
        }
    }

    void tick(int64_t now_ms) override {
        auto spenders = std::exchange(spenders_, {});
        for (const auto& [who, refused] : spenders) {
            look_at_budgets(ports_.budgets(who.first, who.second), refused, now_ms);
        }
        look_at_models(now_ms);
        look_at_account(now_ms);
        if (ports_.ledger_failing()) {
            center_.raise({.type = "db_exceptions",
                           .key = "ledger",
                           .urgency = Urgency::high,
                           .text = "The ledger's database refuses records: they wait in the "
                                   "journal until it takes them",
                           .event = "db_exceptions",
                           .event_group = "proxy",
                           .facts = {}},
                          now_ms);
        }
        center_.tick(now_ms);
    }

    void collect(std::vector<Family>& into) const override { center_.collect(into); }
    void finish() override {
        const int64_t now_ms = unix_millis(system_clock().wall());
        tick(now_ms);
        center_.finish(now_ms);
    }

  private:
    void hear_fall(const ledger::SpendRecord& r, int64_t now_ms) {
        if (falls_.size() >= kFallModelsMost && falls_.count(r.asked) == 0) {
            return;
        }
        Falls& falls = falls_[r.asked];
        falls.add(now_ms, r.attempted_fallbacks > 0);
        if (falls.fallen < settings_.falls_least ||
            falls.fallen * 100 < falls.recent.size() * settings_.falls_percent) {
            return;
        }
        center_.raise({.type = "fallback_reports",
                       .key = "falls " + r.asked,
                       .urgency = Urgency::medium,
                       .text = std::to_string(falls.fallen) + " of the last " +
                               std::to_string(falls.recent.size()) + " requests for " + r.asked +
                               " were answered by a later model of its chain, lately because of " +
                               (r.fallback_reason.empty() ? "errors" : r.fallback_reason),
                       .event = "fallback_reports",
                       .event_group = "proxy",
                       .facts = {}},
                      now_ms);
    }

    void look_at_budgets(const std::vector<BudgetStanding>& budgets, bool refused, int64_t now_ms) {
        // Reservations keep spend below a budget: the one nearest to its end is what refused.
        const BudgetStanding* nearest = nullptr;
        double most_used = 0;
        for (const auto& b : budgets) {
            if (b.most && used(b) >= most_used) {
                nearest = &b;
                most_used = used(b);
            }
        }
        for (const auto& b : budgets) {
            look_at_budget(b, refused && &b == nearest, now_ms);
        }
    }

    [[nodiscard]] static double used(const BudgetStanding& b) {
        return b.most && b.most->value > 0
                   ? 100.0 * static_cast<double>(b.spent.value) / static_cast<double>(b.most->value)
                   : 0;
    }

    void look_at_budget(const BudgetStanding& b, bool refused, int64_t now_ms) {
        const std::string scope = std::string(word_of(b.kind)) + " " + b.shown;
        const std::string spent = "US$ " + render_usd(b.spent);
        if (b.soft && b.spent >= *b.soft) {
            tell(b, "soft_budget_crossed", "", Urgency::low,
                 scope + ": the soft budget of US$ " + render_usd(*b.soft) + " is crossed, " +
                     spent + " spent",
                 now_ms);
        }
        if (!b.most) {
            return;
        }
        const std::string of = spent + " of US$ " + render_usd(*b.most) + " spent";
        if (refused || b.spent >= *b.most) {
            tell(b, "budget_crossed", "", Urgency::high,
                 scope + ": the budget is used up, " + of + "; its requests are refused", now_ms);
            return;
        }
        for (auto percent = settings_.percents.rbegin(); percent != settings_.percents.rend();
             ++percent) {
            if (used(b) >= *percent) {
                tell(b, "threshold_crossed", std::to_string(*percent), Urgency::medium,
                     scope + ": " + std::to_string(*percent) + " % of the budget is used, " + of,
                     now_ms);
                return;
            }
        }
    }

    void tell(const BudgetStanding& b, std::string_view event, const std::string& detail,
              Urgency urgency, std::string text, int64_t now_ms) {
        center_.raise(
            {.type = "budget_alerts",
             .key = "budget " + std::string(group_of(b.kind)) + " " + b.id + " " +
                    std::string(event) + " " + detail + " " + std::to_string(b.resets_at_ms),
             .urgency = urgency,
             .text = std::move(text),
             .event = std::string(event),
             .event_group = std::string(group_of(b.kind)),
             .facts = facts_of(b),
             .repeat_ms = settings_.repeat.count()},
            now_ms);
    }

    void look_at_models(int64_t now_ms) {
        std::set<std::string> now;
        for (auto& group : ports_.resting_groups()) {
            if (outages_.count(group) == 0) {
                center_.raise({.type = "outage_alerts",
                               .key = "outage " + group,
                               .urgency = Urgency::high,
                               .text = "Every deployment of " + group +
                                       " rests after failures: its requests go to its fallbacks, "
                                       "or fail",
                               .event = "outage_alerts",
                               .event_group = "proxy",
                               .facts = {},
                               .repeat_ms = kHourMs},
                              now_ms);
            }
            now.insert(std::move(group));
        }
        outages_ = std::move(now);
    }

    void look_at_account(int64_t now_ms) {
        const AccountStanding account = ports_.account();
        if (account.needs_login) {
            center_.raise({.type = "account_needs_login",
                           .key = "account",
                           .urgency = Urgency::high,
                           .text = "The GitHub Copilot account needs a new sign-in: " +
                                   (account.problem.empty() ? std::string("GitHub no longer "
                                                                          "accepts the stored one")
                                                            : account.problem) +
                                   ". Open " + settings_.sign_in_url,
                           .event = "account_needs_login",
                           .event_group = "proxy",
                           .facts = {},
                           .repeat_ms = settings_.repeat.count()},
                          now_ms);
        } else {
            center_.clear("account");
        }
        for (const auto& a : account.allowances) {
            int reached = -1;
            for (const int percent : kAllowancePercents) {
                reached = a.percent <= percent ? percent : reached;
            }
            if (reached < 0) {
                continue;
            }
            center_.raise(
                {.type = "credits_low",
                 .key = "credits " + a.id + " " + std::to_string(reached) + " " +
                        std::to_string(a.resets_at_s),
                 .urgency = reached == 0 ? Urgency::high : Urgency::medium,
                 .text = reached == 0
                             ? "Copilot's allowance " + a.id + " is used up: " + a.text
                             : "Less than " + std::to_string(reached) +
                                   " % of Copilot's allowance " + a.id + " is left: " + a.text,
                 .event = "credits_low",
                 .event_group = "proxy",
                 .facts = {},
                 .repeat_ms = settings_.repeat.count()},
                now_ms);
        }
    }

    AlertSettings settings_;
    WatchPorts ports_;
    AlertCenter center_;
    std::map<std::pair<std::string, std::string>, bool> spenders_;  // refused by a budget
    std::map<std::string, Falls> falls_;
    std::set<std::string> outages_;
};

}  // namespace

std::unique_ptr<Listener> make_watch(const AlertSettings& settings, WatchPorts ports,
                                     BatchSink::Post post) {
    return std::make_unique<Watch>(settings, std::move(ports), post);
}

}  // namespace belay::observe
