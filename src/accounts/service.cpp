#include "accounts/service.h"

#include "accounts/core.h"

namespace belay::accounts {

Result<AccountOptions> plan_account(const json::Value& config, const EnvLookup& env) {
    AccountOptions options;
    const auto profiles = TRY(parse_profiles(config["profiles"]));
    std::string name(config["profile"].as_string("vscode"));
    if (auto from_env = env("GITHUB_COPILOT_PROFILE"); from_env && !from_env->empty()) {
        name = *from_env;
    }
    const Profile profile = TRY(find_profile(profiles, name));
    options.profile = TRY(apply_env(profile, env));
    EndpointSettings settings;
    settings.domain = config["domain"].as_string("github.com");
    options.endpoints = TRY(plan_endpoints(read_endpoint_env(std::move(settings), env)));
    options.vault = TRY(read_vault_env(env));
    return options;
}

AccountService::AccountService(net::Loop& loop, net::Fetcher& fetcher, const Clock& clock,
                               AccountOptions options)
    : clock_(clock), core_(std::make_shared<Core>(loop, fetcher, clock, std::move(options))) {}

AccountService::~AccountService() { core_->stop(); }

void AccountService::on_change(std::function<void(const AccountView&)> hook) {
    core_->on_change = std::move(hook);
}

void AccountService::start() { core_->start(); }
void AccountService::stop() { core_->stop(); }
void AccountService::tick() { core_->tick(); }
Mono AccountService::next_due() const { return core_->next_due(); }

CredentialPtr AccountService::current(Mono now) const { return core_->current(now); }
AccountViewPtr AccountService::view() const { return core_->view(); }

net::Task<Result<CredentialPtr>> AccountService::acquire(Mono deadline) {
    return Core::wait(core_, {}, deadline);
}

net::Task<Result<CredentialPtr>> AccountService::refresh_after_401(uint64_t generation,
                                                                   Mono deadline) {
    return Core::wait(core_, {Core::Ask::Why::rejected, generation}, deadline);
}

net::Task<Result<CredentialPtr>> AccountService::refresh_after_421(uint64_t generation,
                                                                   Mono deadline) {
    return Core::wait(core_, {Core::Ask::Why::wrong_host, generation}, deadline);
}

CataloguePtr AccountService::catalogue() const {
    const CataloguePtr known = core_->view()->catalogue;
    const Wall now = clock_.wall();
    if (known != nullptr && known->fetched_at + core_->catalogue_life() <= now) {
        core_->loop().post([core = core_] { core->ask_for_models(); });
    }
    return known;
}

namespace {

bool is_fresh(const CataloguePtr& list, Wall now, seconds life) {
    return list != nullptr && list->fetched_at + life > now;
}

}  // namespace

net::Task<Result<CataloguePtr>> AccountService::list_models(Mono deadline) {
    const std::shared_ptr<Core> core = core_;
    if (is_fresh(core->view()->catalogue, core->clock().wall(), core->catalogue_life())) {
        co_return core->view()->catalogue;
    }
    auto credential = co_await Core::wait(core, Core::Ask{}, deadline);
    if (!credential.ok()) {
        co_return std::move(credential).error();
    }
    const Core::Ask for_models{Core::Ask::Why::models, 0};
    auto loaded = co_await Core::wait(core, for_models, deadline);
    // An old list is better than none.
    if (CataloguePtr list = core->view()->catalogue; list != nullptr) {
        co_return list;
    }
    if (!loaded.ok()) {
        co_return std::move(loaded).error();
    }
    co_return upstream_error(Kind::upstream_unavailable, "Copilot gave no list of models");
}

SeatMeter& AccountService::meter() const { return core_->meter(); }

bool AccountService::wants_quota(Mono now) const { return core_->wants_quota(now); }

void AccountService::note_quota(std::string_view header_name, std::string_view value) {
    if (auto quota = parse_quota_header(header_name, value)) {
        core_->loop().post(
            [core = core_, q = std::move(*quota)]() mutable { core->note_quota(std::move(q)); });
    }
}

void AccountService::sign_in(std::string owner, Replace replace) {
    core_->loop().post([core = core_, o = std::move(owner), replace]() mutable {
        core->sign_in(std::move(o), replace);
    });
}

void AccountService::confirm(std::string owner) {
    core_->loop().post([core = core_, o = std::move(owner)] { core->confirm(o); });
}

void AccountService::cancel_sign_in(std::string owner) {
    core_->loop().post([core = core_, o = std::move(owner)] { core->cancel_sign_in(o); });
}

void AccountService::sign_out() {
    core_->loop().post([core = core_] { core->sign_out(); });
}

}  // namespace belay::accounts
