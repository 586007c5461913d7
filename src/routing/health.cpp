// Cooldowns. A row exists only for a target that has failed lately, so the common path is one
// atomic load. A row's life: failing (counts within a minute) -> cooling -> probing (half open) ->
// gone on success, or cooling again for longer.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <tuple>
#include <unordered_map>

#include "routing/plan.h"

namespace belay::routing {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr seconds kWindow{60};         // failures are counted per minute, as LiteLLM does
constexpr int kFewestRequests = 5;     // below this a rate says nothing
constexpr int kLonelyRequests = 1000;  // an only target cools after this many failures in a row
constexpr seconds kProbeLease{10};     // a probe that hangs blocks others no longer
constexpr seconds kQuotaLeast{60};
constexpr hours kQuotaMost{24 * 31};
constexpr minutes kQuotaUnstated{5};  // then one probe asks again
constexpr minutes kModelGone{10};
constexpr seconds kCredentialRefused{60};  // doubled each time, up to:
constexpr minutes kCredentialMost{10};
constexpr hours kRetryAfterMost{1};
constexpr minutes kTransientMost{2};
constexpr size_t kMostRows = 4096;

enum class Class : uint8_t { good, neutral, quota, gone, refused, limited, missing, transient };

Class class_of(Cause cause) {
    switch (cause) {
        case Cause::success:
            return Class::good;
        case Cause::quota_month:
        case Cause::quota_session:
        case Cause::quota_week:
        case Cause::quota_budget:
            return Class::quota;
        case Cause::model_unavailable:
            return Class::gone;
        case Cause::token_expired:
        case Cause::auth:
        case Cause::forbidden:
            return Class::refused;
        case Cause::rate_limited:
            return Class::limited;
        case Cause::not_found:
            return Class::missing;
        case Cause::overloaded:
        case Cause::server_error:
        case Cause::malformed:
        case Cause::timeout:
        case Cause::connection:
        case Cause::wrong_host:
            return Class::transient;
        case Cause::wrong_endpoint:
        case Cause::context_too_long:
        case Cause::content_refused:
        case Cause::bad_parameter:
        case Cause::vision_header:
        case Cause::bad_request:
        case Cause::too_large:
        case Cause::item_id_mismatch:
        case Cause::api_version:
        case Cause::stale_connection:
        case Cause::cancelled:
            return Class::neutral;
    }
    return Class::neutral;
}

struct State {
    std::string deployment_id, group, model, seat;
    Mono window{};
    int total = 0;
    int failed = 0;
    bool open = false;  // cooling, or cooled and not yet proved well
    Mono until{};
    Mono probe_until{};
    Cause cause = Cause::success;
    int openings = 0;  // in a row
};

std::string key_of(const Deployment& deployment, std::string_view upstream_model,
                   std::string_view seat) {
    const bool many = deployment.model.find('*') != std::string::npos;
    std::string key = many ? deployment.id + '\n' + std::string(upstream_model) : deployment.id;
    if (!seat.empty()) {
        key.append("\n@").append(seat);
    }
    return key;
}

Health::Row to_row(const State& row) {
    return {.deployment_id = row.deployment_id,
            .group = row.group,
            .model = row.model,
            .seat = row.seat,
            .cause = row.cause,
            .until = row.until};
}

// Tells at the end of its scope what has changed, if anything has.
struct Teller {
    const std::function<void(const Health::Change&)>& hook;
    const Health::Change& change;
    ~Teller() {
        if (!change.key.empty()) {
            hook(change);
        }
    }
};

Mono::duration to_mono(Wall::duration span) {
    return std::chrono::duration_cast<Mono::duration>(span);
}

Mono::duration quota_wait(const Outcome& outcome, Wall wall) {
    Mono::duration wait = kQuotaUnstated;
    if (outcome.resets_at) {
        wait = to_mono(*outcome.resets_at - wall);
    } else if (outcome.retry_after) {
        wait = std::min<seconds>(*outcome.retry_after, kQuotaMost);
    }
    return std::clamp<Mono::duration>(wait, kQuotaLeast, kQuotaMost);
}

Mono::duration configured_wait(const Deployment& deployment, const Settings& settings) {
    const double s = deployment.cooldown_time.value_or(settings.cooldown_time).count();
    return std::chrono::duration_cast<Mono::duration>(
        std::chrono::duration<double>(std::clamp(s, 0.0, 86400.0 * 31)));
}

Mono::duration wait_for(const Deployment& deployment, const Outcome& outcome,
                        const Settings& settings, int openings, Wall wall) {
    const int doubling = std::min(openings, 10);
    switch (class_of(outcome.cause)) {
        case Class::quota:
            return quota_wait(outcome, wall);
        case Class::gone:
            return kModelGone;
        case Class::refused:
            return std::min<Mono::duration>(kCredentialRefused * (1 << doubling), kCredentialMost);
        default:
            break;
    }
    if (outcome.retry_after && outcome.retry_after->count() > 0) {
        return std::clamp<Mono::duration>(std::min<seconds>(*outcome.retry_after, kRetryAfterMost),
                                          seconds(1), kRetryAfterMost);
    }
    const Mono::duration once = configured_wait(deployment, settings);
    return std::max(once, std::min<Mono::duration>(once * (doubling + 1), kTransientMost));
}

// LiteLLM's rules, with two additions: what has nothing to fall back on is never shut off for a
// transient fault, and connection faults count like other transient ones.
bool must_cool(const State& row, const Outcome& outcome, const Settings& settings,
               size_t group_size) {
    const Class what = class_of(outcome.cause);
    if (what == Class::quota || what == Class::gone || what == Class::refused) {
        return true;
    }
    if (settings.allowed_fails) {
        return row.failed > *settings.allowed_fails;
    }
    const bool alone = group_size < 2;
    if (what == Class::limited) {
        return !alone || outcome.retry_after.value_or(seconds(0)).count() > 0;
    }
    if (what == Class::missing) {
        return true;
    }
    if (alone) {
        return row.total >= kLonelyRequests && row.failed == row.total;
    }
    return row.total >= kFewestRequests && row.failed * 2 > row.total;
}

}  // namespace

struct Health::Impl {
    mutable std::mutex mutex;
    std::unordered_map<std::string, State> rows;
    std::atomic<size_t> size{0};
    std::atomic<int> retry_tokens{kFullBudget};  // in fifths
    std::function<void(const Change&)> hook;

    static constexpr int kFullBudget = 500;  // 100 retries
    static constexpr int kStartBudget = 50;  // 10 retries

    // Rows whose last word is an hour old say nothing about now.
    void prune(Mono now) {
        std::erase_if(rows, [&](const auto& entry) {
            const State& row = entry.second;
            return std::max({row.until, row.window, row.probe_until}) + hours(1) < now;
        });
        if (rows.size() >= kMostRows) {
            rows.erase(rows.begin());
        }
    }
};

Health::Health() : impl_(std::make_unique<Impl>()) { impl_->retry_tokens = Impl::kStartBudget; }
Health::~Health() = default;

Health::Cooling Health::look(const Deployment& deployment, Mono now,
                             std::string_view upstream_model, std::string_view seat) const {
    if (impl_->size.load(std::memory_order_acquire) == 0) {
        return {};
    }
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->rows.find(key_of(deployment, upstream_model, seat));
    if (found == impl_->rows.end() || !found->second.open) {
        return {};
    }
    const State& row = found->second;
    Cooling out;
    out.cause = row.cause;
    out.probe = row.probe_until <= now;
    // After its time a target cools on for everybody but the one who probes it.
    out.cooling = row.until > now || !out.probe;
    out.until = std::max(row.until, out.probe ? row.until : row.probe_until);
    return out;
}

bool Health::claim_probe(const Deployment& deployment, Mono now, std::string_view upstream_model,
                         std::string_view seat) {
    if (impl_->size.load(std::memory_order_acquire) == 0) {
        return true;
    }
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->rows.find(key_of(deployment, upstream_model, seat));
    if (found == impl_->rows.end() || !found->second.open) {
        return true;
    }
    if (found->second.probe_until > now) {
        return false;
    }
    found->second.probe_until = now + kProbeLease;
    return true;
}

void Health::report(const Deployment& deployment, const Outcome& outcome, const Settings& settings,
                    size_t group_size, Mono now, Wall wall, std::string_view upstream_model,
                    std::string_view seat) {
    const Class what = class_of(outcome.cause);
    const bool fine = what == Class::good || what == Class::neutral;
    if (fine && impl_->size.load(std::memory_order_acquire) == 0) {
        return;
    }
    if (!fine && (settings.disable_cooldowns ||
                  configured_wait(deployment, settings) == Mono::duration::zero())) {
        return;
    }
    Change change;  // told when the lock is given back
    const Teller teller{impl_->hook, change};
    const std::lock_guard lock(impl_->mutex);
    const std::string key = key_of(deployment, upstream_model, seat);
    auto found = impl_->rows.find(key);
    if (fine) {
        if (found == impl_->rows.end()) {
            return;
        }
        // A neutral outcome gives the probe back; only a success proves anything.
        State& row = found->second;
        row.probe_until = {};
        if (what == Class::good && (row.open || now - row.window >= kWindow)) {
            if (row.open && impl_->hook) {
                change = {key, to_row(row), {}};
            }
            impl_->rows.erase(found);
            impl_->size.store(impl_->rows.size(), std::memory_order_release);
        } else if (what == Class::good) {
            row.total += 1;
        }
        return;
    }
    if (found == impl_->rows.end()) {
        if (impl_->rows.size() >= kMostRows) {
            impl_->prune(now);
        }
        State row;
        row.deployment_id = deployment.id;
        row.group = deployment.group;
        row.seat = seat;
        row.model = upstream_model.empty() ? deployment.model : std::string(upstream_model);
        row.window = now;
        found = impl_->rows.emplace(key, std::move(row)).first;
        impl_->size.store(impl_->rows.size(), std::memory_order_release);
    }
    State& row = found->second;
    if (now - row.window >= kWindow) {
        row.window = now;
        row.total = row.failed = 0;
    }
    row.total += 1;
    row.failed += 1;
    row.probe_until = {};
    const bool was_probe = row.open && row.until <= now;
    if (!was_probe && !must_cool(row, outcome, settings, group_size)) {
        return;
    }
    const Mono until = now + wait_for(deployment, outcome, settings, row.openings, wall);
    // A late transient fault must not shorten a quota's rest.
    if (!row.open || until > row.until) {
        row.until = until;
        row.cause = outcome.cause;
    }
    row.openings += row.open && !was_probe ? 0 : 1;
    row.open = true;
    if (impl_->hook && row.until > now) {
        change = {key, to_row(row), row.until - now};
    }
}

void Health::on_change(std::function<void(const Change&)> hook) { impl_->hook = std::move(hook); }

void Health::adopt(const Change& change, Mono now) {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->rows.size() >= kMostRows && !impl_->rows.contains(change.key)) {
        impl_->prune(now);
    }
    State& row = impl_->rows[change.key];
    if (row.deployment_id.empty()) {
        row.deployment_id = change.row.deployment_id;
        row.group = change.row.group;
        row.model = change.row.model;
        row.seat = change.row.seat;
        row.window = now;
    }
    const Mono until = now + std::min<Mono::duration>(change.rest, kQuotaMost);
    if (!row.open || until > row.until) {
        row.until = until;
        row.cause = change.row.cause;
    }
    row.openings += row.open ? 0 : 1;
    row.open = true;
    impl_->size.store(impl_->rows.size(), std::memory_order_release);
}

void Health::lift(const std::string& key) {
    const std::lock_guard lock(impl_->mutex);
    impl_->rows.erase(key);
    impl_->size.store(impl_->rows.size(), std::memory_order_release);
}

void Health::admit_request() {
    // At the brim, where a healthy process stands, this writes nothing.
    if (impl_->retry_tokens.load(std::memory_order_relaxed) < Impl::kFullBudget) {
        impl_->retry_tokens.fetch_add(1, std::memory_order_relaxed);
    }
}

bool Health::take_retry() {
    int tokens = impl_->retry_tokens.load(std::memory_order_relaxed);
    while (tokens >= 5) {
        if (impl_->retry_tokens.compare_exchange_weak(tokens, tokens - 5,
                                                      std::memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void Health::clear() {
    const std::lock_guard lock(impl_->mutex);
    impl_->rows.clear();
    impl_->size.store(0, std::memory_order_release);
}

std::vector<Health::Row> Health::rows(Mono now) const {
    std::vector<Health::Row> out;
    const std::lock_guard lock(impl_->mutex);
    for (const auto& [key, row] : impl_->rows) {
        if (row.open && row.until > now) {
            out.push_back(
                {row.deployment_id, row.group, row.model, row.seat, row.cause, row.until});
        }
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
        return std::tie(a.group, a.deployment_id, a.model, a.seat) <
               std::tie(b.group, b.deployment_id, b.model, b.seat);
    });
    return out;
}

}  // namespace belay::routing
