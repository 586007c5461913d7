#include "accounts/core.h"
#include "base/log.h"
#include "wire/json.h"

namespace belay::accounts {
namespace {

constexpr std::string_view kRestVersion = "2025-04-01";

Problem unreachable(const Error& error) {
    Problem p;
    p.what = Problem::What::transient;
    p.id = error.kind == Kind::timeout ? "timeout" : "network";
    p.title = "GitHub cannot be reached";
    p.text = "The network or GitHub is not answering (" + error.message.substr(0, 200) + ").";
    return p;
}

net::FetchRequest oauth_request(const std::string& url, const Profile& profile,
                                const json::Value& body) {
    net::FetchRequest request;
    request.method = "POST";
    request.url = url;
    request.headers = {{"Accept", "application/json"}, {"Content-Type", "application/json"}};
    if (const auto agent = profile_header(profile, "User-Agent"); !agent.empty()) {
        request.headers.emplace_back("User-Agent", agent);
    }
    request.body = json::dump(body);
    return request;
}

// A model list that is refused with these says that the account may not use Copilot this way.
bool is_refusal(int status) { return status == 403 || status == 404; }

}  // namespace

net::FetchRequest AccountService::Core::github_request(const std::string& url,
                                                       const Secret& token) const {
    net::FetchRequest request;
    request.url = url;
    request.headers = {{"Accept", "application/json"},
                       {"Authorization", "token " + token.reveal()}};
    for (const auto& header : profile_->headers) {
        request.headers.push_back(header);
    }
    if (profile_header(*profile_, "X-GitHub-Api-Version").empty()) {
        request.headers.emplace_back("X-GitHub-Api-Version", kRestVersion);
    }
    return request;
}

net::FetchRequest AccountService::Core::models_request(const std::string& base,
                                                       const Secret& bearer) const {
    net::FetchRequest request;
    request.url = base + "/models";
    request.headers = {{"Accept", "application/json"},
                       {"Authorization", "Bearer " + bearer.reveal()}};
    for (const auto& header : profile_->headers) {
        request.headers.push_back(header);
    }
    return request;
}

// --- the exchange

void AccountService::Core::exchange() {
    exchanging_ = true;
    nudged_.store(false, std::memory_order_relaxed);
    loop_.spawn(direct_ ? run_direct(shared_from_this(), epoch_)
                        : run_exchange(shared_from_this(), epoch_));
}

net::Task<void> AccountService::Core::run_exchange(std::shared_ptr<Core> self, uint64_t epoch) {
    net::FetchRequest request =
        self->github_request(self->options_.endpoints.exchange_url, self->github_token_);
    auto reply = co_await self->fetcher_.fetch(std::move(request));
    if (epoch != self->epoch_) {
        co_return;
    }
    if (!reply.ok()) {
        self->end_exchange(unreachable(reply.error()));
        co_return;
    }
    ExchangeAnswer answer = parse_exchange(reply->status, reply->body, reply->header("date"),
                                           reply->header("retry-after"), self->clock_.wall());
    if (answer.problem.what == Problem::What::no_exchange) {
        // This app's tokens are bearers themselves (opencode, Copilot CLI).
        self->direct_ = true;
        co_await run_direct(self, epoch);
        co_return;
    }
    if (answer.token) {
        self->accept_token(std::move(*answer.token), reply->body);
    }
    self->end_exchange(std::move(answer.problem));
}

void AccountService::Core::accept_token(ExchangedToken token, const std::string& body) {
    const bool first = phase_ != Phase::signed_in;
    const std::string base = checked_base(token.api_base);
    sku_ = token.sku;
    notice_ = token.notice;
    token_expires_ = clock_.wall() + token.life;
    set_credential(std::move(token.token), base, false, token.life);
    phase_ = Phase::signed_in;
    // Beside another account's stored sign-in a given token's successor would be that account's.
    const auto saved = given_ ? Result<void>() : vault_.save_api_key(body);
    if (!saved.ok()) {
        log::write(log::Level::warn, "account.not_saved", saved.error().message);
        warn(saved.error().message);
    }
    log::write(log::Level::debug, "account.token_refreshed", "Copilot token refreshed",
               {{"base", base}, {"life_s", static_cast<int64_t>(token.life.count())}});
    if (first || user_at_ + options_.user_life <= clock_.mono()) {
        load_account();
    }
}

// Every exchange ends here, once. `problem.what == none`: credential_ is new and good.
void AccountService::Core::end_exchange(Problem problem) {
    exchanging_ = false;
    const bool failed = problem.what != Problem::What::none;
    if (failed) {
        log::write(log::Level::warn, "account.refresh_failed", problem.title + ": " + problem.text,
                   {{"id", problem.id}});
        keep_problem(std::move(problem));
        offline_ = problem_.what == Problem::What::transient;
        if (stale_) {
            keep_or_drop_rejected();
        }
        if (problem_.what == Problem::What::needs_login) {
            phase_ = Phase::needs_login;
            if (given_) {
                problem_.text = "GitHub does not accept the token in " + source_ +
                                ". Set a valid one, or unset it and sign in.";
            }
        } else if (problem_.what == Problem::What::refused) {
            phase_ = Phase::refused;
            used_.store(false, std::memory_order_relaxed);  // asked again only when needed
            if (!user_) {
                load_account();  // to say whose account it is that has no Copilot
            }
        } else if (phase_ == Phase::starting) {
            phase_ = Phase::unreachable;
        }
        if (!holds_valid()) {
            refresh_at_ = retry_at_;
        }
        resolve_all(waiting_, to_error(problem_));
    } else {
        resolve_all(waiting_, Result<CredentialPtr>(credential_));
    }
    publish();
    plan_timer();
}

// The upstream rejected the token and no successor came. A passing failure leaves it in use (the
// rejection may have been about something else); a verdict on the account does not.
void AccountService::Core::keep_or_drop_rejected() {
    stale_ = false;
    if (!offline_) {
        credential_ = nullptr;
    }
    const Mono pause = retry_at_;
    publish_credential(credential_);
    refresh_due_ns_.store(pause.time_since_epoch().count(), std::memory_order_relaxed);
}

// Direct mode: the GitHub token is the bearer. Whether Copilot takes it is shown by the model list.
net::Task<void> AccountService::Core::run_direct(std::shared_ptr<Core> self, uint64_t epoch) {
    if (self->user_base_.empty()) {
        co_await run_user(self, epoch);
        if (epoch != self->epoch_) {
            co_return;
        }
    }
    const auto bases = candidate_bases(self->options_.endpoints, self->user_base_);
    for (size_t tried = 0; tried < bases.size(); ++tried) {
        const std::string& base = bases[(self->base_index_ + tried) % bases.size()];
        net::FetchRequest request = self->models_request(base, self->github_token_);
        auto reply = co_await self->fetcher_.fetch(std::move(request));
        if (epoch != self->epoch_) {
            co_return;
        }
        if (reply.ok() && reply->status == 421) {
            continue;  // another plan's host
        }
        if (!reply.ok()) {
            self->end_exchange(unreachable(reply.error()));
        } else if (reply->status == 401) {
            self->end_exchange(parse_exchange(401, {}, {}, {}, {}).problem);
        } else if (is_refusal(reply->status)) {
            self->end_exchange(describe_refusal("no_copilot_access", {}, {}, {}));
        } else if (auto list = parse_catalogue(reply->body); reply->status == 200 && list.ok()) {
            self->base_index_ = (self->base_index_ + tried) % bases.size();
            list->fetched_at = self->clock_.wall();
            self->catalogue_at_ = self->clock_.mono();
            self->catalogue_ = std::make_shared<const Catalogue>(std::move(list).value());
            self->set_credential(self->github_token_, base, true, kLifeMax);
            self->token_expires_ = Wall::max();
            self->phase_ = Phase::signed_in;
            self->end_exchange({});
        } else {
            Problem p = parse_exchange(reply->status == 200 ? 502 : reply->status, {}, {},
                                       reply->header("retry-after"), self->clock_.wall())
                            .problem;
            self->end_exchange(std::move(p));
        }
        co_return;
    }
    Error wrong = upstream_error(Kind::upstream_rejected, "every Copilot host answered 421");
    self->end_exchange(unreachable(wrong));
}

// 421 in direct mode: the next plan's host, with the same token.
void AccountService::Core::rotate_base() {
    const auto bases = candidate_bases(options_.endpoints, user_base_);
    base_index_ = (base_index_ + 1) % bases.size();
    set_credential(github_token_, bases[base_index_], true, kLifeMax);
    log::write(log::Level::info, "account.host_changed", "Copilot names another host",
               {{"base", bases[base_index_]}});
    publish();
}

// --- account and models

void AccountService::Core::load_account() {
    if (!user_loading_ && !github_token_.empty()) {
        loop_.spawn(run_user(shared_from_this(), epoch_));
    }
    ask_for_models();
}

net::Task<void> AccountService::Core::run_user(std::shared_ptr<Core> self, uint64_t epoch) {
    self->user_loading_ = true;
    self->user_at_ = self->clock_.mono();
    net::FetchRequest request =
        self->github_request(self->options_.endpoints.user_url, self->github_token_);
    auto reply = co_await self->fetcher_.fetch(std::move(request));
    if (epoch != self->epoch_) {
        co_return;
    }
    self->user_loading_ = false;
    if (!reply.ok() || reply->status != 200) {
        co_return;  // what is known stays; the next refresh asks again
    }
    if (auto user = parse_user(reply->body); user.ok()) {
        self->accept_user(std::move(user).value());
    }
}

void AccountService::Core::accept_user(User user) {
    const bool first = !user_ || user_->login != user.login;
    user_base_ = user.api_base;
    quotas_ = user.quotas;
    if (options_.refuse_login) {
        if (std::string why = options_.refuse_login(user.login); !why.empty()) {
            refuse_seat(std::move(why));
            return;
        }
    }
    user_ = std::move(user);
    meter_quotas();
    if (first && phase_ == Phase::signed_in) {
        log::write(log::Level::info, "account.signed_in",
                   "signed in to GitHub Copilot as " + user_->login + " (" + user_->plan + ")");
    }
    publish();
}

// A stored sign-in that belongs to another person here (a copied folder): it is not used.
void AccountService::Core::refuse_seat(std::string text) {
    log::write(log::Level::error, "account.seat_taken", text, {{"account", options_.account}});
    adopt({}, {}, false);
    problem_ = {Problem::What::refused, "seat_taken", "This seat is another user's",
                std::move(text),        "",           {}};
    phase_ = Phase::refused;
    publish();
}

void AccountService::Core::ask_for_models() {
    const Mono now = clock_.mono();
    const bool fresh = catalogue_ && catalogue_at_ + options_.catalogue_life > now;
    if (models_loading_ || fresh || !holds_valid() || now < catalogue_retry_at_ || !running_) {
        return;
    }
    models_loading_ = true;
    loop_.spawn(run_models(shared_from_this(), epoch_));
}

net::Task<void> AccountService::Core::run_models(std::shared_ptr<Core> self, uint64_t epoch) {
    const CredentialPtr credential = self->credential_;
    net::FetchRequest request = self->models_request(credential->api_base, credential->token);
    auto reply = co_await self->fetcher_.fetch(std::move(request));
    if (epoch != self->epoch_) {
        co_return;
    }
    self->models_loading_ = false;
    auto list = reply.ok() && reply->status == 200
                    ? parse_catalogue(reply->body)
                    : Result<Catalogue>(upstream_error(Kind::upstream_unavailable, "no list"));
    if (list.ok()) {
        list->fetched_at = self->clock_.wall();
        self->catalogue_at_ = self->clock_.mono();
        self->catalogue_ = std::make_shared<const Catalogue>(std::move(list).value());
        self->publish();
    } else {
        // The old list stays.
        self->catalogue_retry_at_ = self->clock_.mono() + seconds(30);
        log::write(log::Level::warn, "account.models_failed",
                   "the list of models could not be fetched",
                   {{"status", reply.ok() ? reply->status : 0}});
    }
    self->resolve_all(self->waiting_models_, Result<CredentialPtr>(credential));
}

// --- the device flow

net::FetchRequest AccountService::Core::device_start_request() const {
    json::Value body;
    body.set("client_id", profile_->client_id);
    body.set("scope", profile_->scope);
    return oauth_request(options_.endpoints.device_code_url, *profile_, body);
}

net::FetchRequest AccountService::Core::device_poll_request() const {
    json::Value body;
    body.set("client_id", profile_->client_id);
    body.set("device_code", flow_.device_code().reveal());
    body.set("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    return oauth_request(options_.endpoints.access_token_url, *profile_, body);
}

net::Task<void> AccountService::Core::run_device_start(std::shared_ptr<Core> self, uint64_t flow) {
    net::FetchRequest request = self->device_start_request();
    auto reply = co_await self->fetcher_.fetch(std::move(request));
    if (flow != self->flow_.number() || !self->running_) {
        co_return;
    }
    self->flow_.on_started(reply.ok() ? parse_device_code(reply->status, reply->body)
                                      : Result<DeviceCode>(std::move(reply).error()),
                           self->clock_.mono());
    self->publish();
    self->plan_timer();
}

net::Task<void> AccountService::Core::run_device_poll(std::shared_ptr<Core> self, uint64_t flow) {
    net::FetchRequest request = self->device_poll_request();
    auto reply = co_await self->fetcher_.fetch(std::move(request));
    if (flow != self->flow_.number() || !self->running_) {
        co_return;
    }
    auto token = self->flow_.on_poll(reply.ok() ? parse_poll(reply->status, reply->body)
                                                : Result<PollAnswer>(std::move(reply).error()),
                                     self->clock_.mono());
    self->publish();
    self->plan_timer();
    if (!token) {
        co_return;
    }
    const bool asks =
        self->replace_ == Replace::ask && self->user_ && self->phase_ == Phase::signed_in;
    if (asks || self->options_.refuse_login) {
        co_await run_compare(self, std::move(*token));
    } else {
        self->take_sign_in(std::move(*token));
        self->publish();
    }
}

// Whose sign-in is it? Another account's waits for its confirmation.
net::Task<void> AccountService::Core::run_compare(std::shared_ptr<Core> self, Secret token) {
    const uint64_t flow = self->flow_.number();
    log::remember_secret(token.reveal());
    net::FetchRequest request = self->github_request(self->options_.endpoints.user_url, token);
    auto reply = co_await self->fetcher_.fetch(std::move(request));
    if (flow != self->flow_.number() || !self->running_) {
        co_return;
    }
    auto user = reply.ok() && reply->status == 200
                    ? parse_user(reply->body)
                    : Result<User>(upstream_error(Kind::upstream_unavailable, "unknown"));
    const std::string login = user.ok() ? user->login : "an account that GitHub does not name";
    if (self->options_.refuse_login) {
        std::string why = user.ok() ? self->options_.refuse_login(login)
                                    : "GitHub did not say whose sign-in this is. Try again.";
        if (!why.empty()) {
            self->flow_.refuse(std::move(why));
            self->publish();
            co_return;
        }
        if (self->replace_ != Replace::ask || !self->user_ || self->phase_ != Phase::signed_in) {
            self->take_sign_in(std::move(token));
            self->publish();
            co_return;
        }
    }
    if (self->user_ && login == self->user_->login) {
        self->take_sign_in(std::move(token));
    } else {
        self->pending_token_ = std::move(token);
        self->pending_login_ = login;
        self->pending_until_ = self->clock_.mono() + seconds(600);
    }
    self->publish();
}

void AccountService::Core::take_sign_in(Secret token) {
    auto saved = vault_.save_github_token(token);
    adopt(std::move(token), vault_.options().access_token_file, false);
    if (!saved.ok()) {
        log::write(log::Level::error, "account.not_saved", saved.error().message);
        warn("The sign-in could not be kept: " + saved.error().message);
    }
    if (!vault_.options().env_token.empty()) {
        warn(vault_.options().env_name +
             " is set and will be used again after a restart; unset it to keep this sign-in");
    }
    exchange();
}

}  // namespace belay::accounts
