// The part of a call that asks whether its caller may make it: which models, how much, how fast.
#include <algorithm>

#include "gateway/auth.h"
#include "gateway/lines.h"
#include "gateway/relay.h"

namespace belay::gateway {
namespace {

// A request whose bound does not fit beside those that run, but might once they are settled, waits:
// a bound is much more than most answers cost.
constexpr milliseconds kRoomPatience{30'000};
constexpr milliseconds kRoomStep{5};

std::string_view denied_type(governance::ScopeKind whose) {
    switch (whose) {
        case governance::ScopeKind::team:
        case governance::ScopeKind::team_member:
            return "team_model_access_denied";
        case governance::ScopeKind::user:
            return "user_model_access_denied";
        case governance::ScopeKind::organization:
            return "org_model_access_denied";
        default:
            return "key_model_access_denied";
    }
}

std::string_view limit_type_header(std::string_view limit_type) {
    return limit_type == "max_parallel_requests" ? "concurrent_requests" : limit_type;
}

std::string limit_scope(const governance::Refusal& refusal) {
    std::string_view name = governance::scope_kind_name(refusal.scope);
    if (refusal.model.empty()) {
        return std::string(name);
    }
    name = refusal.scope == governance::ScopeKind::key ? "key" : name;
    return "model_per_" + std::string(name);
}

void line(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

void Call::name_caller() {
    const governance::Caller& caller = *caller_;
    record_.key_alias = caller.key_alias;
    if (caller.is_master) {
        return;
    }
    record_.key_fingerprint = caller.key_hash;
    record_.user = caller.user_id;
    record_.team = caller.team_id;
    record_.organization = caller.organization_id;
    for (const auto& tag : caller.tags) {
        if (record_.tags.size() < ledger::kMaxTags) {
            record_.tags.push_back(tag);
        }
    }
}

std::unique_ptr<Error> Call::check_access() {
    const std::string_view model = asked_->facts.model;
    const auto* list =
        governance::forbids_model(*caller_, model, routing::asked_group(*asked_->plan));
    if (list == nullptr) {
        return nullptr;
    }
    auto error = std::make_unique<Error>(caller_error(
        Kind::forbidden,
        "The requested model '" + std::string(model) +
            "' is not available for this API key, or the model name is invalid. Check the models "
            "available to you and try again.",
        "model"));
    error->code = denied_type(list->whose);
    return error;
}

// Takes the reservation, or says why not; `later`: it may fit when others are settled.
std::unique_ptr<Error> Call::reserve(bool& later) {
    later = false;
    if (services_.governor == nullptr) {
        return nullptr;
    }
    const auto& facts = asked_->facts;
    const accounts::CataloguePtr catalogue = account_ != nullptr ? account_->catalogue() : nullptr;
    const Ceiling& ceiling = worker_.bounds.of(snapshot_, catalogue, facts.model);
    if (ceiling.unknown && caller_->has_budget && snapshot_->refuse_unpriced) {
        leave_out_unpriced(!ceiling.asked_unknown);
    }
    const std::string_view customer_id =
        record_.end_user.empty() ? std::string_view(facts.user) : record_.end_user;
    std::shared_ptr<const governance::Scope> customer;
    if (!customer_id.empty() && services_.directory != nullptr) {
        customer = services_.directory->customer(customer_id);
    }
    prompt_guess_ = text_tokens(facts);
    const int64_t prompt = prompt_bound(ceiling, prompt_guess_);
    const int64_t output = client_ == protocols::Api::embeddings ? 0 : output_bound(facts, ceiling);
    std::vector<std::shared_ptr<const governance::Scope>> tags;
    if (services_.directory != nullptr) {
        for (const auto* list : {&facts.controls.tags, &std::as_const(record_.tags)}) {
            for (const auto& tag : *list) {
                if (auto scope = services_.directory->tag(tag)) {
                    tags.push_back(std::move(scope));
                }
            }
        }
    }
    const bool by_a_person = facts.initiator == protocols::Initiator::user;
    governance::Ask ask{.caller = *caller_,
                        .model = routing::asked_group(*asked_->plan),
                        .customer = customer.get(),
                        .tags = tags.empty() ? nullptr : &tags,
                        .bound = cost_bound(ceiling, prompt, output),
                        .tokens = prompt + likely_output(facts, ceiling),
                        .premium_milli = by_a_person ? ceiling.premium_milli : 0,
                        .free_model = ceiling.free,
                        .parts = services_.shared == nullptr ? 1 : services_.shared->parts(),
                        .now_ms = unix_millis(services_.clock.wall()),
                        .now = now()};
    governance::Refusal refusal;
    auto taken = services_.governor->reserve(ask, &refusal);
    if (!taken && refusal.limit_type == "budget" && !refusal.could_fit_later) {
        // Nothing else runs on what is left: an answer that is cut to it never overspends.
        const int64_t affordable = output_for(ceiling, refusal.money_left, prompt);
        if (affordable >= least_output(ceiling) && affordable < output) {
            ask.bound = cost_bound(ceiling, prompt, affordable);
            auto cut = services_.governor->reserve(ask, &refusal);
            if (cut) {
                output_cap_ = affordable;
                taken = std::move(cut);
            }
        }
    }
    if (taken) {
        reservation_ = std::move(*taken);
        if (services_.shared != nullptr) {
            asking_ = std::make_unique<Asking>(Asking{std::move(customer), std::move(tags), ask});
            asking_->ask.tags = asking_->tags.empty() ? nullptr : &asking_->tags;
        }
        return nullptr;
    }
    later = refusal.could_fit_later;
    limit_hit_ = std::make_unique<governance::Refusal>(std::move(refusal));
    return std::make_unique<Error>(std::move(taken).error());
}

// A budget means nothing where nobody knows what a call costs.
void Call::leave_out_unpriced(bool asked_fits) {
    routing::exclude(
        *asked_->plan,
        [catalogue = account_ != nullptr ? account_->catalogue() : nullptr](
            const routing::Deployment& deployment, std::string_view model) {
            return is_priced(deployment, std::string(model), catalogue.get())
                       ? std::string()
                       : std::string(
                             "its price is not known and this key has a budget (set "
                             "input_cost_per_token and output_cost_per_token in its "
                             "model_info, 0 for free, or general_settings."
                             "unknown_price)");
        },
        asked_fits);
}

net::Task<std::unique_ptr<Error>> Call::wait_for_room() {
    const Mono until = now() + kRoomPatience;
    std::unique_ptr<Error> refusal;
    bool later = true;
    reply_.on_client_gone(&Call::on_gone, this);
    while (later && now() < until && !gone()) {
        const Mono again = now() + kRoomStep;
        co_await worker_.loop.sleep_until(again, &sleeping_);
        refusal = reserve(later);
    }
    co_return refusal;
}

void Call::settle_reservation() {
    if (prompt_guess_ > 0 && record_.status == ledger::Status::success) {
        worker_.bounds.learn(record_.asked, prompt_guess_, record_.usage.prompt(),
                             record_.usage.output);
    }
    if (seat_ != nullptr) {
        seat_->hold.release();
    }
    reservation_.settle(record_.cost, record_.usage.total(), record_.premium_milli);
    settle_together();
}

// LiteLLM's P0 and P1 lines about the key: spend, limits, and what is left of them.
void Call::add_limit_lines(Lines& lines) const {
    if (services_.governor == nullptr || caller_->scopes.empty()) {
        return;
    }
    const governance::Scope& key = caller_->scopes.front();
    if (key.kind != governance::ScopeKind::key) {
        return;
    }
    const governance::Limits& limits = key.limits;
    const NanoCredits spent =
        limit_hit_ == nullptr
            ? reservation_.key_spend()
            : services_.governor->standing(governance::ScopeKind::key, key.id).spent;
    lines.usd("x-litellm-key-spend: ", add(spent, record_.cost));
    if (!limits.budgets.empty()) {
        lines.usd("x-litellm-key-max-budget: ", limits.budgets.front().most);
    }
    if (limits.tpm) {
        lines.number("x-litellm-key-tpm-limit: ", *limits.tpm);
    }
    if (limits.rpm) {
        lines.number("x-litellm-key-rpm-limit: ", *limits.rpm);
    }
    const governance::RateState& rates = reservation_.rates();
    const int64_t reset_s = (rates.resets_in_ms + 999) / 1000;
    if (rates.limit_requests) {
        lines.number("x-ratelimit-limit-requests: ", *rates.limit_requests);
        lines.number("x-ratelimit-remaining-requests: ", rates.remaining_requests.value_or(0));
        lines.number("x-ratelimit-reset-requests: ", reset_s, "s");
    }
    if (rates.limit_tokens) {
        lines.number("x-ratelimit-limit-tokens: ", *rates.limit_tokens);
        lines.number("x-ratelimit-remaining-tokens: ", rates.remaining_tokens.value_or(0));
        lines.number("x-ratelimit-reset-tokens: ", reset_s, "s");
    }
}

void Call::add_refusal_lines(std::string& lines) const {
    if (limit_hit_ == nullptr || limit_hit_->limit_type == "budget") {
        return;
    }
    line(lines, "rate_limit_type", limit_type_header(limit_hit_->limit_type));
    if (limit_hit_->resets_at_ms > 0) {
        line(lines, "reset_at", std::to_string((limit_hit_->resets_at_ms + 999) / 1000));
    }
    // Which scope it was: LiteLLM's x-ratelimit-<scope>-... names.
    const std::string scope = limit_scope(*limit_hit_);
    const std::string what =
        "-" + (limit_hit_->limit_type.empty() ? "requests" : limit_hit_->limit_type);
    line(lines, "x-ratelimit-" + scope + "-limit" + what, std::to_string(limit_hit_->limit));
    line(lines, "x-ratelimit-" + scope + "-remaining" + what,
         std::to_string(std::max<int64_t>(limit_hit_->remaining, 0)));
}

}  // namespace belay::gateway
