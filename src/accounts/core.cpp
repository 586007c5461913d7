#include "accounts/core.h"

#include <algorithm>

#include "base/ids.h"
#include "base/log.h"

namespace belay::accounts {
namespace {

constexpr seconds kVaultCheck{2};

std::atomic<uint64_t> next_id{1};

int64_t ns(Mono t) { return t.time_since_epoch().count(); }

}  // namespace

AccountService::Core::Core(net::Loop& loop, net::Fetcher& fetcher, const Clock& clock,
                           AccountOptions options)
    : loop_(loop),
      fetcher_(fetcher),
      clock_(clock),
      options_(std::move(options)),
      profile_(std::make_shared<const Profile>(options_.profile)),
      vault_(options_.vault),
      id_(next_id.fetch_add(1)) {
    // What start() will find, so that a start-up text printed before it does not say otherwise.
    auto first = std::make_shared<AccountView>();
    first->account = options_.account;
    if (auto stored = vault_.load(); stored.ok()) {
        keep_warnings(stored->warnings);
        first->phase = stored->github_token.empty() ? Phase::signed_out : Phase::starting;
    }
    view_ = std::move(first);
}

// --- control loop: life

void AccountService::Core::start() {
    running_ = true;
    reload();
    plan_timer();
}

void AccountService::Core::stop() {
    running_ = false;
    timer_.disarm();
    ++epoch_;  // answers still under way change nothing
    flow_.cancel();
    const Error over = gateway_error(Kind::cancelled, "Belay is shutting down");
    resolve_all(waiting_, over);
    resolve_all(waiting_models_, over);
}

void AccountService::Core::tick() {
    if (!running_) {
        return;
    }
    const Mono now = clock_.mono();
    if (now >= vault_check_at_) {
        look_for_outside_change();
    }
    if (flow_.tick(now)) {
        publish();
    }
    if (now >= pending_until_) {
        drop_pending();
        publish();
    }
    if (const auto at = flow_.next_at(); at && now >= *at) {
        flow_.on_asked();
        loop_.spawn(flow_.state() == DeviceFlow::State::starting
                        ? run_device_start(shared_from_this(), flow_.number())
                        : run_device_poll(shared_from_this(), flow_.number()));
    }
    const bool wanted = used_.load(std::memory_order_relaxed) || phase_ == Phase::unreachable;
    if (now >= refresh_at_ && wanted && !exchanging_ && !obstacle()) {
        exchange();
    }
    if (credential_ != nullptr && now >= credential_->expires_at) {
        lapse();
    }
    if (holds_valid() && wanted && now >= user_at_ + options_.user_life) {
        load_account();
    }
    plan_timer();
}

// The token's time is over without a successor. Nothing is wrong: the next request fetches one.
void AccountService::Core::lapse() {
    credential_ = nullptr;
    publish_credential(nullptr);
    if (github_token_.empty() && phase_ == Phase::signed_in) {
        phase_ = Phase::signed_out;  // it was LiteLLM's api-key.json without a GitHub token
    }
    publish();
}

Mono AccountService::Core::next_due() const {
    if (!running_) {
        return Mono::max();
    }
    Mono due = vault_check_at_;
    if (const auto at = flow_.next_at()) {
        due = std::min(due, *at);
    }
    return due;
}

void AccountService::Core::plan_timer() {
    if (!running_) {
        return;
    }
    const auto wait = std::max(next_due() - clock_.mono(), Mono::duration(milliseconds(1)));
    timer_.arm(
        loop_, std::chrono::steady_clock::now() + wait,
        [](void* self) { static_cast<Core*>(self)->tick(); }, this);
}

// --- control loop: state

void AccountService::Core::reload() {
    vault_check_at_ = clock_.mono() + kVaultCheck;
    auto loaded = vault_.load();
    if (!loaded.ok()) {
        log::write(log::Level::error, "account.files_unsafe", loaded.error().message);
        ++epoch_;
        github_token_ = {};
        phase_ = Phase::signed_out;
        problem_ = {Problem::What::refused,
                    "unsafe_files",
                    "The stored sign-in is not used",
                    loaded.error().message,
                    "",
                    {}};
        publish();
        return;
    }
    Stored& stored = *loaded;
    keep_warnings(stored.warnings);
    const bool same = !github_token_.empty() && stored.github_token.equals(github_token_.reveal());
    if (!same) {
        adopt(std::move(stored.github_token), std::move(stored.source_name),
              stored.source == Stored::Source::environment);
    }
    // A token that LiteLLM (or our last run) fetched is as good as a new one.
    const Wall wall = clock_.wall();
    auto token =
        stored.api_key_json.empty() ? std::nullopt : parse_stored_token(stored.api_key_json, wall);
    // A Copilot token that stands beside a GitHub token just changed may still be the old
    // account's.
    const bool trusted = same || !loaded_;
    loaded_ = true;
    const bool newer =
        token && trusted &&
        (credential_ == nullptr || clock_.mono() + token->life > credential_->expires_at);
    if (newer && !direct_) {
        sku_ = token->sku;
        token_expires_ = wall + token->life;
        const std::string base = checked_base(token->api_base);
        set_credential(std::move(token->token), base, false, token->life);
        phase_ = Phase::signed_in;
        resolve_all(waiting_, Result<CredentialPtr>(credential_));
        load_account();
    } else if (!same && !github_token_.empty()) {
        phase_ = Phase::starting;
        exchange();
    }
    publish();
}

void AccountService::Core::look_for_outside_change() {
    const Mono now = clock_.mono();
    if (now < vault_check_at_) {
        return;
    }
    vault_check_at_ = now + kVaultCheck;
    if (vault_.changed_outside()) {
        log::write(log::Level::info, "account.files_changed",
                   "the stored sign-in was changed by another program; reading it again");
        reload();
    }
}

void AccountService::Core::adopt(Secret github_token, std::string source, bool given) {
    log::remember_secret(github_token.reveal());
    ++epoch_;
    exchanging_ = user_loading_ = models_loading_ = false;
    github_token_ = std::move(github_token);
    source_ = std::move(source);
    given_ = given;
    direct_ = !profile_->exchange;
    base_index_ = 0;
    credential_ = nullptr;
    stale_ = offline_ = false;
    failures_ = strikes_ = 0;
    retry_at_ = catalogue_retry_at_ = Mono::min();
    refresh_at_ = Mono::max();
    problem_ = {};
    notice_.clear();
    sku_.clear();
    user_.reset();
    user_base_.clear();
    quotas_.clear();
    catalogue_ = nullptr;
    phase_ = github_token_.empty() ? Phase::signed_out : Phase::starting;
    publish_credential(nullptr);
    // Whoever waited for the old account gets an answer from the new one, or none.
    if (github_token_.empty()) {
        resolve_all(waiting_, to_error(problem_));
        resolve_all(waiting_models_, to_error(problem_));
    }
}

void AccountService::Core::set_credential(Secret token, std::string base, bool direct,
                                          seconds life) {
    const Mono now = clock_.mono();
    log::remember_secret(token.reveal());
    auto credential = std::make_shared<Credential>();
    credential->token = std::move(token);
    credential->api_base = std::move(base);
    credential->direct = direct;
    credential->generation = ++generation_;
    credential->profile = profile_;
    credential->account = options_.account;
    credential->expires_at = direct ? Mono::max() : now + life;
    refresh_at_ = direct ? Mono::max() : plan_refresh(now, life, jitter());
    minted_at_ = now;
    credential_ = credential;
    stale_ = offline_ = false;
    failures_ = 0;
    retry_at_ = Mono::min();
    problem_ = {};
    used_.store(false, std::memory_order_relaxed);
    publish_credential(std::move(credential));
}

void AccountService::Core::publish_credential(CredentialPtr credential) {
    refresh_due_ns_.store(ns(refresh_at_), std::memory_order_relaxed);
    nudged_.store(false, std::memory_order_relaxed);
    std::lock_guard lock(mutex_);
    published_ = std::move(credential);
    version_.fetch_add(1, std::memory_order_release);
}

void AccountService::Core::keep_problem(Problem problem) {
    retry_at_ = clock_.mono() + plan_backoff(++failures_, problem.retry_after, jitter());
    problem_ = std::move(problem);
    // The next look at an early refresh comes with the end of the pause.
    refresh_due_ns_.store(ns(retry_at_), std::memory_order_relaxed);
    nudged_.store(false, std::memory_order_relaxed);
}

void AccountService::Core::keep_warnings(const std::vector<std::string>& warnings) {
    for (const std::string& warning : warnings) {
        log::write(log::Level::warn, "account.file_repaired", warning);
        warn(warning);
    }
}

void AccountService::Core::warn(std::string text) {
    if (warnings_.size() < 8 &&
        std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end()) {
        warnings_.push_back(std::move(text));
    }
}

double AccountService::Core::jitter() const {
    return options_.jitter ? options_.jitter() : quick_random_unit();
}

std::string AccountService::Core::checked_base(const std::string& announced) {
    if (announced.empty()) {
        return options_.endpoints.api_base;
    }
    auto base = check_announced_base(options_.endpoints, announced);
    if (!base.ok()) {
        log::write(log::Level::warn, "account.base_ignored", base.error().message);
        warn(base.error().message);
        return options_.endpoints.api_base;
    }
    return std::move(base).value();
}

void AccountService::Core::note_quota(Quota quota) {
    merge_quota(quotas_, std::move(quota));
    meter_quotas();
    publish();
}

// What the account's main allowance says, for callers with a floor.
void AccountService::Core::meter_quotas() {
    User user;
    user.quotas = quotas_;
    const Quota* main = user.main_quota();
    SeatMeter::Left left;
    if (main != nullptr && !main->unlimited && !main->placeholder && main->entitlement > 0) {
        const bool credits = main->credits || (user_ && user_->credits);
        left.unit = credits ? SeatMeter::Unit::credits : SeatMeter::Unit::requests;
        left.amount = static_cast<int64_t>(main->remaining * (credits ? 1e9 : 1e3));
    }
    meter_.set(left);
}

void AccountService::Core::sign_in(std::string owner, Replace replace) {
    if (!running_) {
        return;
    }
    if (!flow_.live()) {
        replace_ = replace;
        drop_pending();
    }
    (void)flow_.begin(clock_.mono(), std::move(owner));  // a refusal stands in the view
    tick();
    publish();
}

void AccountService::Core::confirm(const std::string& owner) {
    if (running_ && flow_.owner() == owner && !pending_token_.empty()) {
        Secret token = std::move(pending_token_);
        drop_pending();
        take_sign_in(std::move(token));
        publish();
    }
}

void AccountService::Core::drop_pending() {
    pending_token_ = {};
    pending_login_.clear();
    pending_until_ = Mono::max();
}

void AccountService::Core::cancel_sign_in(const std::string& owner) {
    if (flow_.owner() == owner) {
        flow_.cancel();
        drop_pending();
        publish();
        plan_timer();
    }
}

void AccountService::Core::sign_out() {
    flow_.cancel();
    drop_pending();
    if (auto gone = vault_.forget(); !gone.ok()) {
        warn(gone.error().message);
    }
    adopt({}, {}, false);
    log::write(log::Level::info, "account.signed_out", "the stored sign-in was removed");
    publish();
}

void AccountService::Core::publish() {
    auto v = std::make_shared<AccountView>();
    v->revision = ++revision_;
    v->account = options_.account;
    v->phase = phase_;
    v->device = flow_.state();
    v->device_owner = flow_.owner();
    v->user_code = flow_.user_code();
    v->verification_url = options_.endpoints.verification_url;
    v->device_problem = flow_.problem();
    v->device_offline = flow_.offline();
    v->device_slowed = flow_.slowed();
    v->pending_login = pending_login_;
    if (flow_.state() == DeviceFlow::State::waiting) {
        v->code_expires_at = clock_.wall() + std::chrono::duration_cast<Wall::duration>(
                                                 flow_.expires_at() - clock_.mono());
    }
    if (user_) {
        v->login = user_->login;
        v->plan = user_->plan;
        v->credits = user_->credits;
    }
    v->sku = sku_;
    v->source = source_;
    v->notice = notice_;
    v->api_base = credential_ ? credential_->api_base : std::string();
    v->profile = profile_->name;
    v->quotas = quotas_;
    v->warnings = warnings_;
    v->catalogue = catalogue_;
    v->problem = problem_;
    v->token_expires_at = token_expires_;
    v->direct = direct_;
    v->offline = offline_;
    {
        std::lock_guard lock(mutex_);
        view_ = v;
    }
    if (on_change) {
        on_change(*v);
    }
}

}  // namespace belay::accounts
