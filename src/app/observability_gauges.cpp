// What is read off when somebody looks at /metrics: budgets, deployments, the account, the ledger,
// the process. On the hub's thread; nothing here is kept up while nobody looks.
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <set>

#include "app/cli.h"
#include "app/observability.h"

namespace belay::app {
namespace {

using governance::EntityKind;
using governance::ScopeKind;
using observe::Family;
using observe::MetricType;
using observe::single;

constexpr size_t kRowsMost = 2000;  // of a gauge
constexpr milliseconds kLagMost{250};

double dollars(NanoCredits amount) { return static_cast<double>(amount.value) * 1e-11; }

// A document's own limit, or that of the budget it refers to.
const json::Value& limit_of(const governance::Directory& directory, const json::Value& doc,
                            std::string_view name, governance::Directory::EntityPtr& budget) {
    if (!doc[name].is_null()) {
        return doc[name];
    }
    const auto id = doc["budget_id"].as_string();
    budget = id.empty() ? nullptr : directory.find(EntityKind::budget, id);
    return budget == nullptr ? doc[name] : budget->doc[name];
}

struct BudgetFamilies {
    Family remaining, most, hours;
};

BudgetFamilies budget_families(const std::string& whose, const std::string& word) {
    return {{"litellm_remaining_" + whose + "_budget_metric",
             "US$ that are left of a " + word + "'s budget",
             MetricType::gauge,
             {},
             {}},
            {"litellm_" + whose + "_max_budget_metric",
             "US$ of a " + word + "'s budget",
             MetricType::gauge,
             {},
             {}},
            {"litellm_" + whose + "_budget_remaining_hours_metric",
             "Hours until a " + word + "'s budget begins anew",
             MetricType::gauge,
             {},
             {}}};
}

// Seconds until each loop has run what was posted to it.
void gather_lag(net::Loops& loops, Family& family) {
    struct Shared {
        std::mutex mutex;
        std::condition_variable came;
        std::vector<double> lag;
        size_t left = 0;
    };
    auto shared = std::make_shared<Shared>();
    shared->lag.assign(loops.size(), std::chrono::duration<double>(kLagMost).count());
    shared->left = loops.size();
    for (size_t i = 0; i < loops.size(); ++i) {
        const Mono posted = system_clock().mono();
        loops[i].post([shared, posted, i] {
            const std::lock_guard lock(shared->mutex);
            shared->lag[i] = std::chrono::duration<double>(system_clock().mono() - posted).count();
            --shared->left;
            shared->came.notify_one();
        });
    }
    std::unique_lock lock(shared->mutex);
    shared->came.wait_for(lock, kLagMost, [&] { return shared->left == 0; });
    for (size_t i = 0; i < shared->lag.size(); ++i) {
        family.add({{"loop", std::to_string(i)}}, shared->lag[i]);
    }
}

size_t count_files() {
    size_t n = 0;
    if (DIR* dir = ::opendir("/proc/self/fd")) {
        while (::readdir(dir) != nullptr) {
            ++n;
        }
        ::closedir(dir);
    }
    return n > 3 ? n - 3 : 0;  // ".", ".." and the one just opened
}

std::string_view phase_name(accounts::Phase phase) {
    switch (phase) {
        case accounts::Phase::starting:
            return "starting";
        case accounts::Phase::signed_out:
            return "signed_out";
        case accounts::Phase::signed_in:
            return "signed_in";
        case accounts::Phase::needs_login:
            return "needs_login";
        case accounts::Phase::refused:
            return "refused";
        case accounts::Phase::unreachable:
            return "unreachable";
    }
    return "unknown";
}

}  // namespace

void Observability::gather(std::vector<Family>& into, const observe::RequestMetrics* seen) const {
    gather_budgets(into);
    gather_rates(into);
    gather_deployments(into, seen);
    gather_account(into);
    gather_ledger(into);
    gather_process(into);
}

void Observability::gather_budgets(std::vector<Family>& into) const {
    const int64_t now_ms = unix_millis(system_clock().wall());
    const governance::Directory& directory = needs_.directory;
    const auto add = [&](EntityKind kind, ScopeKind scope, BudgetFamilies families,
                         const auto& labels) {
        for (const auto& entity : directory.list(kind)) {
            if (families.most.samples.size() >= kRowsMost) {
                break;
            }
            governance::Directory::EntityPtr budget;
            const auto most = limit_of(directory, entity->doc, "max_budget", budget).as_double();
            if (!most || !entity->doc["active_token_id"].is_null()) {
                continue;
            }
            const auto spent = needs_.governor.standing(scope, entity->id).spent;
            families.most.add(labels(*entity), *most);
            families.remaining.add(labels(*entity), *most - dollars(spent));
            const Wall reset =
                parse_utc(limit_of(directory, entity->doc, "budget_reset_at", budget).as_string());
            if (reset != Wall::min()) {
                families.hours.add(
                    labels(*entity),
                    static_cast<double>(std::max<int64_t>(0, unix_millis(reset) - now_ms)) / 3.6e6);
            }
        }
        into.push_back(std::move(families.remaining));
        into.push_back(std::move(families.most));
        into.push_back(std::move(families.hours));
    };
    const auto text = [](const governance::Entity& e, std::string_view name) {
        const auto value = e.doc[name].as_string();
        return std::string(value.empty() ? "None" : value);
    };
    add(EntityKind::key, ScopeKind::key, budget_families("api_key", "key"),
        [&](const governance::Entity& e) {
            return observe::Labels{{"hashed_api_key", shown_key(e.id)},
                                   {"api_key_alias", text(e, "key_alias")}};
        });
    add(EntityKind::team, ScopeKind::team, budget_families("team", "team"),
        [&](const governance::Entity& e) {
            return observe::Labels{{"team", e.id}, {"team_alias", text(e, "team_alias")}};
        });
    add(EntityKind::user, ScopeKind::user, budget_families("user", "user"),
        [&](const governance::Entity& e) {
            return observe::Labels{{"user", e.id}};
        });
    add(EntityKind::organization, ScopeKind::organization, budget_families("org", "organization"),
        [&](const governance::Entity& e) {
            return observe::Labels{{"org_id", e.id}, {"org_alias", text(e, "organization_alias")}};
        });
    into.push_back(single("litellm_total_users", "Users that are known",
                          static_cast<double>(directory.count(EntityKind::user))));
    into.push_back(single("litellm_teams_count", "Teams that are known",
                          static_cast<double>(directory.count(EntityKind::team))));
    into.push_back(single("belay_keys", "Virtual keys that are known",
                          static_cast<double>(directory.count(EntityKind::key))));
    into.push_back(single("belay_governed_scopes", "Scopes whose spend or rate is counted",
                          static_cast<double>(needs_.governor.size())));
}

// What keys and teams may still ask for within the minute.
void Observability::gather_rates(std::vector<Family>& into) const {
    Family requests{"belay_rate_limit_remaining_requests",
                    "Requests that a scope may make within the minute",
                    MetricType::gauge,
                    {},
                    {}};
    Family tokens{"belay_rate_limit_remaining_tokens",
                  "Tokens that a scope may use within the minute",
                  MetricType::gauge,
                  {},
                  {}};
    Family model_requests{"litellm_remaining_api_key_requests_for_model",
                          "Requests that a key may make for a model within the minute",
                          MetricType::gauge,
                          {},
                          {}};
    Family model_tokens{"litellm_remaining_api_key_tokens_for_model",
                        "Tokens that a key may use for a model within the minute",
                        MetricType::gauge,
                        {},
                        {}};
    const Mono now = system_clock().mono();
    const auto left = [](int64_t limit, int64_t used) {
        return static_cast<double>(std::max<int64_t>(0, limit - used));
    };
    std::set<std::string> teams;
    const auto add = [&](const governance::Scope& scope, const governance::Caller& caller) {
        const bool key = scope.kind == ScopeKind::key;
        if (!key && (scope.kind != ScopeKind::team || !teams.insert(scope.id).second)) {
            return;
        }
        const governance::Limits& limits = scope.limits;
        if (limits.rpm || limits.tpm) {
            const observe::Labels labels{
                {"scope", std::string(governance::scope_kind_name(scope.kind))},
                {"id", key ? shown_key(scope.id) : scope.id},
                {"alias", key ? caller.key_alias : caller.team_alias}};
            const auto used = needs_.governor.minute(scope.kind, scope.id, {}, now);
            if (limits.rpm) {
                requests.add(labels, left(*limits.rpm, used.requests));
            }
            if (limits.tpm) {
                tokens.add(labels, left(*limits.tpm, used.tokens));
            }
        }
        for (const auto& model : limits.models) {
            if (!key || (!model.rpm && !model.tpm)) {
                continue;
            }
            const observe::Labels labels{{"hashed_api_key", shown_key(scope.id)},
                                         {"api_key_alias", caller.key_alias},
                                         {"model", model.model}};
            const auto used = needs_.governor.minute(scope.kind, scope.id, model.model, now);
            if (model.rpm) {
                model_requests.add(labels, left(*model.rpm, used.requests));
            }
            if (model.tpm) {
                model_tokens.add(labels, left(*model.tpm, used.tokens));
            }
        }
    };
    for (const auto& key : needs_.directory.list(EntityKind::key)) {
        const auto caller = needs_.directory.caller(key->id);
        if (caller == nullptr || requests.samples.size() >= kRowsMost ||
            tokens.samples.size() >= kRowsMost || model_requests.samples.size() >= kRowsMost ||
            model_tokens.samples.size() >= kRowsMost) {
            continue;
        }
        for (const auto& scope : caller->scopes) {
            add(scope, *caller);
        }
    }
    for (Family* family : {&requests, &tokens, &model_requests, &model_tokens}) {
        into.push_back(std::move(*family));
    }
}

void Observability::gather_deployments(std::vector<Family>& into,
                                       const observe::RequestMetrics* seen) const {
    const auto table = needs_.table();
    Family state{"litellm_deployment_state",
                 "0 healthy, 1 its last attempt failed, 2 it rests",
                 MetricType::gauge,
                 {},
                 {}};
    Family rpm{
        "litellm_deployment_rpm_limit", "Requests a minute it may have", MetricType::gauge, {}, {}};
    Family tpm{
        "litellm_deployment_tpm_limit", "Tokens a minute it may have", MetricType::gauge, {}, {}};
    const Mono now = system_clock().mono();
    for (const auto& deployment : table->deployments) {
        if (deployment->from_wildcard || state.samples.size() >= kRowsMost) {
            continue;
        }
        const auto* known = seen != nullptr ? seen->seen(deployment->id) : nullptr;
        const observe::Labels labels{
            {"litellm_model_name", deployment->model},
            {"model_id", deployment->id},
            {"api_base", known != nullptr && !known->api_base.empty() ? known->api_base : "None"},
            {"api_provider", deployment->provider}};
        const bool rests = needs_.health.look(*deployment, now).cooling;
        state.add(labels, rests ? 2 : known != nullptr && known->failed ? 1 : 0);
        if (deployment->rpm) {
            rpm.add(labels, static_cast<double>(*deployment->rpm));
        }
        if (deployment->tpm) {
            tpm.add(labels, static_cast<double>(*deployment->tpm));
        }
    }
    into.push_back(std::move(state));
    into.push_back(std::move(rpm));
    into.push_back(std::move(tpm));
    Family resting{"belay_resting_seconds",
                   "Seconds that a model still rests after failures",
                   MetricType::gauge,
                   {},
                   {}};
    for (const auto& row : needs_.health.rows(now)) {
        if (resting.samples.size() >= kRowsMost) {
            break;
        }
        resting.add({{"model_group", row.group},
                     {"model_id", row.deployment_id},
                     {"litellm_model_name", row.model},
                     {"account", row.seat},
                     {"cause", std::string(routing::cause_name(row.cause))}},
                    std::chrono::duration<double>(row.until - now).count());
    }
    into.push_back(std::move(resting));
}

void Observability::gather_account(std::vector<Family>& into) const {
    const auto gauge = [](std::string_view name, std::string_view help) {
        return Family{std::string(name), std::string(help), MetricType::gauge, {}, {}};
    };
    Family state = gauge("belay_copilot_account_state",
                         "1 for the state that a Copilot sign-in is in; account \"default\" is the "
                         "process's own");
    Family failing = gauge("belay_copilot_refresh_failing",
                           "1 while the last refresh of a Copilot token has failed");
    Family expires =
        gauge("belay_copilot_token_expires_timestamp_seconds", "When a Copilot token ends");
    Family models = gauge("belay_copilot_models", "Models that Copilot lists");
    Family remaining = gauge("belay_copilot_quota_remaining",
                             "What is left of an allowance: AI credits or requests, by `unit`");
    Family entitlement =
        gauge("belay_copilot_quota_entitlement", "What an allowance was at its beginning");
    Family percent = gauge("belay_copilot_quota_remaining_percent", "The same in percent");
    Family over = gauge("belay_copilot_quota_overage_used", "What was used beyond an allowance");
    Family reset =
        gauge("belay_copilot_quota_reset_timestamp_seconds", "When an allowance begins anew");
    const auto add = [&](const std::string& id, const accounts::AccountView& view) {
        const observe::Labels whose{{"account", id}};
        for (const auto phase : {accounts::Phase::starting, accounts::Phase::signed_out,
                                 accounts::Phase::signed_in, accounts::Phase::needs_login,
                                 accounts::Phase::refused, accounts::Phase::unreachable}) {
            state.add({{"account", id}, {"state", std::string(phase_name(phase))}},
                      view.phase == phase ? 1 : 0);
        }
        failing.add(whose, view.offline ? 1 : 0);
        if (view.token_expires_at != Wall::min()) {
            expires.add(whose, static_cast<double>(unix_seconds(view.token_expires_at)));
        }
        if (view.catalogue != nullptr) {
            models.add(whose, static_cast<double>(view.catalogue->models.size()));
        }
        for (const auto& quota : view.quotas) {
            if (quota.unlimited || quota.placeholder) {
                continue;
            }
            const observe::Labels labels{{"account", id},
                                         {"quota", quota.id},
                                         {"unit", quota.credits ? "credits" : "requests"}};
            remaining.add(labels, quota.remaining);
            entitlement.add(labels, quota.entitlement);
            percent.add(labels, quota.percent_remaining);
            over.add(labels, quota.overage_used);
            if (quota.reset_at != Wall::min()) {
                reset.add(labels, static_cast<double>(unix_seconds(quota.reset_at)));
            }
        }
    };
    if (const auto view = needs_.account(); view != nullptr) {
        add("default", *view);
    }
    for (const auto& [id, view] : needs_.persons()) {
        if (view != nullptr && state.samples.size() < kRowsMost) {
            add(id, *view);
        }
    }
    for (Family* family :
         {&state, &failing, &expires, &models, &remaining, &entitlement, &percent, &over, &reset}) {
        into.push_back(std::move(*family));
    }
}

void Observability::gather_ledger(std::vector<Family>& into) const {
    const ledger::Stats stats = needs_.ledger.stats();
    const auto count = [&](std::string_view name, std::string_view help, uint64_t value,
                           MetricType type = MetricType::counter) {
        into.push_back(single(name, help, static_cast<double>(value), type));
    };
    count("belay_ledger_appended_total", "Records that the ledger was given", stats.appended);
    count("belay_ledger_saved_total", "Records that are in the database", stats.saved);
    count("belay_ledger_refused_total", "Records that the database refused at first",
          stats.spilled);
    count("belay_ledger_dropped_total", "Records that are lost", stats.dropped);
    count("belay_ledger_waiting", "Records that are not in the database yet", stats.waiting,
          MetricType::gauge);
    count("belay_ledger_failing", "1 while the database refuses records", stats.failing ? 1 : 0,
          MetricType::gauge);
    if (needs_.payloads != nullptr) {
        const auto kept = needs_.payloads->stats();
        count("belay_payloads_saved_total", "Requests whose prompt and reply were kept",
              kept.saved);
        count("belay_payloads_dropped_total", "Requests whose prompt and reply could not be kept",
              kept.dropped);
        count("belay_payloads_waiting", "Requests whose prompt and reply are not kept yet",
              kept.waiting, MetricType::gauge);
    }
}

void Observability::gather_process(std::vector<Family>& into) const {
    into.push_back(single("litellm_in_flight_requests", "Requests that are being answered",
                          static_cast<double>(needs_.requests_in_flight())));
    into.push_back(single("belay_connections", "Open client connections",
                          static_cast<double>(needs_.connections())));
    into.push_back(single("belay_event_loops", "Event loops that serve requests",
                          static_cast<double>(needs_.loops.size())));
    Family lag{"belay_event_loop_lag_seconds",
               "Seconds until a loop did what it was asked now",
               MetricType::gauge,
               {},
               {}};
    gather_lag(needs_.loops, lag);
    into.push_back(std::move(lag));
    Family info{"belay_build_info", "1, with the version", MetricType::gauge, {}, {}};
    info.add({{"version", std::string(kVersion)}}, 1);
    into.push_back(std::move(info));

    long pages = 0;
    long resident = 0;
    std::ifstream("/proc/self/statm") >> pages >> resident;
    const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    into.push_back(single("process_virtual_memory_bytes", "Virtual memory in bytes",
                          static_cast<double>(pages) * page));
    into.push_back(single("process_resident_memory_bytes", "Resident memory in bytes",
                          static_cast<double>(resident) * page));
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds_of = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    into.push_back(single("process_cpu_seconds_total", "Seconds of CPU used",
                          seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
                          MetricType::counter));
    into.push_back(
        single("process_open_fds", "Open files and sockets", static_cast<double>(count_files())));
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    into.push_back(single("process_max_fds", "Files and sockets that may be open",
                          static_cast<double>(limit.rlim_cur)));
    into.push_back(single("process_start_time_seconds", "When the process began",
                          static_cast<double>(started_ms_) / 1e3));
}

}  // namespace belay::app
