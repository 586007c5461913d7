// The part of a call that finds out whose Copilot seat may serve it. A person's seat serves that
// person alone: a caller with an account of their own uses that one or none, and callers with a
// floor leave the last of the allowance to others. What is refused here shuts Copilot's models out
// of the chain; its other models serve as the configuration says.
#include "gateway/relay.h"

namespace belay::gateway {
namespace {

std::shared_ptr<const Error> closed(Kind kind, std::string_view code, std::string message) {
    Error error = gateway_error(kind, std::move(message));
    error.code = code;
    return std::make_shared<const Error>(std::move(error));
}

bool is_signed_in(const accounts::AccountView& view) {
    return view.phase == accounts::Phase::signed_in || view.phase == accounts::Phase::starting ||
           view.phase == accounts::Phase::unreachable;
}

bool is_used_up(const accounts::AccountView& view) {
    accounts::User user;
    user.quotas = view.quotas;
    const accounts::Quota* main = user.main_quota();
    return main != nullptr && main->exhausted() && !main->overage_permitted;
}

std::string shown(const accounts::SeatMeter::Left& left) {
    if (left.unit == accounts::SeatMeter::Unit::credits) {
        return render_credits({std::max<int64_t>(left.amount, 0)}) + " AI credits";
    }
    return std::to_string(std::max<int64_t>(left.amount, 0) / 1000) + " premium requests";
}

}  // namespace

void Call::choose_seat(routing::Query& query) {
    seat_ = std::make_unique<Seat>();
    const auto restrictions = std::make_shared<routing::Restrictions>();
    query.restrictions = restrictions;
    if (!caller_->account.empty()) {
        restrictions->closed_seat = take_own_seat(*restrictions);
    } else if (snapshot_->default_seat == DefaultSeat::never && !caller_->is_master) {
        restrictions->closed_seat = closed(
            Kind::forbidden, "copilot_account_required",
            "Copilot's models need a GitHub Copilot account of your own here: connect it at " +
                services_.connect_url);
    }
    if (restrictions->closed_seat == nullptr && caller_->has_floor() && account_ != nullptr) {
        restrictions->closed_seat = hold_above_floor();
    }
}

std::shared_ptr<const Error> Call::take_own_seat(routing::Restrictions& restrictions) {
    seat_->own =
        services_.accounts != nullptr ? services_.accounts->find(caller_->account) : nullptr;
    const accounts::AccountViewPtr view = seat_->own != nullptr ? seat_->own->view() : nullptr;
    const bool signed_in = view != nullptr && is_signed_in(*view);
    if (snapshot_->default_seat == DefaultSeat::always && (!signed_in || is_used_up(*view))) {
        return nullptr;  // the operator lends their own
    }
    if (!signed_in) {
        return closed(Kind::upstream_unavailable, "copilot_sign_in_required",
                      "Your own GitHub Copilot account is not signed in: connect it again at " +
                          services_.connect_url);
    }
    account_ = seat_->own.get();
    restrictions.seat = caller_->account;
    return nullptr;
}

std::shared_ptr<const Error> Call::hold_above_floor() {
    const protocols::ChatFacts& facts = asked_->facts;
    const Ceiling& ceiling = worker_.bounds.of(snapshot_, account_->catalogue(), facts.model);
    const int64_t prompt = prompt_bound(ceiling, text_tokens(facts));
    const int64_t output =
        client_ == protocols::Api::embeddings ? 0 : likely_output(facts, ceiling);
    const bool by_a_person = facts.initiator == protocols::Initiator::user;
    const accounts::SeatMeter::Floors floors{caller_->credits_floor, caller_->premium_floor};
    const accounts::SeatMeter::Floors bound{cost_bound(ceiling, prompt, output).value,
                                            by_a_person ? ceiling.premium_milli : 0};
    accounts::SeatMeter& meter = account_->meter();
    if (meter.take(floors, bound, seat_->hold)) {
        return nullptr;
    }
    const accounts::SeatMeter::Left left = meter.left();
    const int64_t floor = left.unit == accounts::SeatMeter::Unit::credits ? floors.nano_credits
                                                                          : floors.premium_milli;
    return closed(Kind::budget_exhausted, "copilot_floor_reached",
                  "The last " + shown({left.unit, floor}) +
                      " of this Copilot account are kept from this key, and " + shown(left) +
                      " are left");
}

}  // namespace belay::gateway
