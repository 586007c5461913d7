// The part of a call that decides together with other instances: after the local governor has said
// yes, and before the first upstream byte.
#include "gateway/relay_shared.h"

#include "gateway/relay.h"

namespace belay::gateway {
namespace {

constexpr milliseconds kPatience{30'000};
constexpr milliseconds kStep{5};

}  // namespace

// The local reservation is held. What the store says is taken over by the governor, so that it
// answers for all instances: with the right text, with how long to wait, with what is left.
net::Task<std::unique_ptr<Error>> Call::reserve_together() {
    governance::SharedMeters& meters = *services_.shared;
    governance::Governor& governor = *services_.governor;
    const Mono until = now() + kPatience;
    while (true) {
        auto hold = std::make_unique<governance::SharedHold>();
        hold->term = meters.term();
        hold->rows = governor.shared_rows(asking_->ask, reservation_, hold->term);
        if (hold->rows.empty()) {
            co_return nullptr;
        }
        Together together{meters, *hold, worker_.loop, {}};
        const governance::SharedAnswer answer = co_await together;
        if (answer.verdict == governance::SharedAnswer::Verdict::granted) {
            governor.adopt(hold->rows, answer, hold->term, now(), &reservation_);
            shared_hold_ = std::move(hold);
            co_return nullptr;
        }
        if (answer.verdict == governance::SharedAnswer::Verdict::away) {
            governor.untell(reservation_);
            shared_hold_ = std::move(hold);
            auto refusal = co_await go_alone();
            co_return refusal;
        }
        governor.adopt(hold->rows, answer, hold->term, now(), &reservation_);
        auto why = refuse_together(*hold, answer);
        reservation_.undo();
        const bool money = answer.refused_by == "budget" || answer.refused_by == "premium";
        if (!money || now() >= until || gone()) {
            co_return why;
        }
        // Now that the governor knows: it refuses for good, or waits, or asks for a shorter answer.
        output_cap_ = 0;
        limit_hit_.reset();
        bool later = false;
        auto refusal = reserve(later);
        if (later) {
            refusal = co_await wait_for_room();
        } else if (refusal == nullptr) {
            reply_.on_client_gone(&Call::on_gone, this);
            const Mono again = now() + kStep;
            co_await worker_.loop.sleep_until(again, &sleeping_);
        }
        if (refusal != nullptr) {
            co_return refusal;
        }
    }
}

// The store is away. With only a part of every limit, the local answer may be another.
net::Task<std::unique_ptr<Error>> Call::go_alone() {
    if (services_.shared->parts() <= 1) {
        co_return nullptr;
    }
    reservation_.undo();
    output_cap_ = 0;
    bool later = false;
    auto refusal = reserve(later);
    if (later) {
        refusal = co_await wait_for_room();
    }
    co_return refusal;
}

std::unique_ptr<Error> Call::refuse_together(const governance::SharedHold& hold,
                                             const governance::SharedAnswer& answer) {
    auto hit = std::make_unique<governance::Refusal>();
    auto error = std::make_unique<Error>(governance::Governor::describe_shared(
        asking_->ask, hold.rows[answer.row], answer, hit.get()));
    limit_hit_ = std::move(hit);
    return error;
}

void Call::settle_together() {
    if (shared_hold_ == nullptr) {
        return;
    }
    for (governance::SharedRow& row : shared_hold_->rows) {
        row.scope = nullptr;
        row.model_limit = nullptr;
        row.window = nullptr;
    }
    services_.shared->settle(std::move(shared_hold_), {.cost = record_.cost.value,
                                                       .tokens = record_.usage.total(),
                                                       .premium = record_.premium_milli});
}

}  // namespace belay::gateway
