#include "governance/memory_meters.h"

#include <algorithm>

namespace belay::governance {

// --- MemoryStore

void MemoryStore::set_away(bool away) {
    const std::lock_guard lock(mutex_);
    away_ = away;
}

void MemoryStore::forget() {
    const std::lock_guard lock(mutex_);
    counters_.clear();
    ++number_;
}

int64_t MemoryStore::Counter::reserved() const {
    int64_t sum = 0;
    for (const auto& [id, one] : held) {
        sum += one.bound;
    }
    return sum;
}

int64_t MemoryStore::Counter::premium_reserved() const {
    int64_t sum = 0;
    for (const auto& [id, one] : held) {
        sum += one.premium;
    }
    return sum;
}

MemoryStore::Counter& MemoryStore::counter(const SharedRow& row) {
    Counter& counter = counters_[{static_cast<int>(row.kind), static_cast<int>(row.scope_kind),
                                  row.id, row.model, row.duration, row.ends_ms}];
    const int64_t now = now_ms_();
    std::erase_if(counter.held, [&](const auto& one) { return one.second.until_ms <= now; });
    counter.rate.advance(now / 1000);
    return counter;
}

bool MemoryStore::ready(const SharedRow& row, const std::string& instance, SharedTerm term) {
    Counter& c = counter(row);
    const std::string who =
        row.kind == SharedRow::Kind::rate ? instance + "." + std::to_string(term.number) : instance;
    if (row.kind == SharedRow::Kind::slots || c.told.contains(who)) {
        return true;
    }
    if (row.kind == SharedRow::Kind::rate) {
        for (const auto& bucket : row.seed_rates) {
            c.rate.correct(c.rate.head() - bucket.age, bucket.requests, bucket.tokens);
        }
        if (row.seeded) {
            c.told.insert(who);
        }
        return true;
    }
    if (!row.seeded) {
        return false;
    }
    const bool heard = row.heard && c.known;
    if (!c.known) {
        c.known = true;
        c.generation = row.generation;
    }
    if (row.generation >= c.generation) {
        const int64_t added = heard ? c.added : 0;
        const int64_t premium_added = heard ? c.premium_added : 0;
        c.base = std::max(c.base, row.seed_spent - added);
        c.premium_base = std::max(c.premium_base, row.seed_premium - premium_added);
    }
    c.told.insert(who);
    return true;
}

SharedState MemoryStore::state_of(const SharedRow& row) {
    const Counter& c = counter(row);
    SharedState state;
    state.spent = c.base + c.added;
    state.reserved = c.reserved();
    state.premium_spent = c.premium_base + c.premium_added;
    state.premium_reserved = c.premium_reserved();
    state.generation = c.generation;
    state.requests = c.rate.requests();
    state.tokens = c.rate.tokens();
    state.slots = static_cast<int64_t>(c.held.size());
    return state;
}

std::string_view MemoryStore::judge(const SharedRow& row, SharedState& state) {
    const Counter& c = counter(row);
    const auto wait = [&](RateWindow::What what, int64_t need, int64_t limit) {
        state.wait_ms = c.rate.second_with_room(what, need, limit) * 1000 - now_ms_();
    };
    if (row.kind == SharedRow::Kind::money) {
        const int64_t used = state.spent + state.reserved;
        const bool strict = row.bound > 0 || row.refuse_at_equal;
        const bool fits =
            strict ? used + row.bound <= row.most && !(row.refuse_at_equal && used >= row.most)
                   : used <= row.most;
        if (row.most != SharedRow::kNone && !fits) {
            return "budget";
        }
        const int64_t premium = state.premium_spent + state.premium_reserved + row.premium;
        const bool over = row.premium > 0 && premium > row.premium_most;
        return row.premium_most != SharedRow::kNone && over ? "premium" : "";
    }
    if (row.kind == SharedRow::Kind::rate) {
        if (row.rpm != SharedRow::kNone && state.requests + 1 > row.rpm) {
            wait(RateWindow::What::requests, 1, row.rpm);
            return "requests";
        }
        if (row.tpm != SharedRow::kNone && (row.tpm == 0 || state.tokens > row.tpm - row.need)) {
            wait(RateWindow::What::tokens, row.need, row.tpm);
            return "tokens";
        }
        return "";
    }
    return state.slots + 1 > row.slots_most ? "max_parallel_requests" : "";
}

SharedAnswer MemoryStore::take(const SharedHold& hold) {
    SharedAnswer answer;
    answer.verdict = SharedAnswer::Verdict::granted;
    answer.second = now_ms_() / 1000;
    for (size_t i = 0; i < hold.rows.size(); ++i) {
        answer.states.push_back(state_of(hold.rows[i]));
        const std::string_view why = judge(hold.rows[i], answer.states.back());
        if (!why.empty() && answer.verdict == SharedAnswer::Verdict::granted) {
            answer.verdict = SharedAnswer::Verdict::refused;
            answer.row = i;
            answer.refused_by = why;
        }
    }
    if (answer.verdict != SharedAnswer::Verdict::granted) {
        return answer;
    }
    answer.states.clear();
    for (const SharedRow& row : hold.rows) {
        Counter& c = counter(row);
        if (row.kind == SharedRow::Kind::rate) {
            c.rate.add(1, row.tokens);
        } else {
            c.held[hold.id] = {row.bound, row.premium, now_ms_() + lease_ms_};
        }
        answer.states.push_back(state_of(row));
    }
    return answer;
}

void MemoryStore::settle(const SharedHold& hold, const SharedUse& use) {
    for (const SharedRow& row : hold.rows) {
        Counter& c = counter(row);
        c.held.erase(hold.id);
        if (row.kind == SharedRow::Kind::money) {
            c.added += use.cost;
            c.premium_added += use.premium;
        } else if (row.kind == SharedRow::Kind::rate && hold.taken) {
            c.rate.correct_tokens(hold.second, use.tokens - row.tokens);
        }
    }
}

// --- MemoryMeters

SharedTerm MemoryMeters::term() {
    const std::lock_guard lock(store_.mutex_);
    if (std::exchange(missed_, false)) {
        ++term_.number;
    }
    return term_;
}

int64_t MemoryMeters::parts() const {
    const std::lock_guard lock(store_.mutex_);
    return store_.away_ ? instances_ : 1;
}

bool MemoryMeters::ready(SharedHold& hold, bool taking) {
    auto& rows = hold.rows;
    if (term_.store != store_.number_) {
        term_.store = store_.number_;
        ++term_.number;
    }
    if (hold.term.store != term_.store) {
        hold.term = term_;
        if (taking) {
            governor_.seed(rows, term_);
        }
    }
    const auto is_ready = [&](const SharedRow& row) {
        return store_.ready(row, instance_, hold.term);
    };
    if (!std::all_of(rows.begin(), rows.end(), is_ready)) {
        governor_.seed_money_of(rows, term_);
    }
    return std::all_of(rows.begin(), rows.end(), is_ready);
}

void MemoryMeters::take(SharedHold& hold, Done done) {
    SharedAnswer answer;
    {
        const std::lock_guard lock(store_.mutex_);
        hold.id = instance_ + "-" + std::to_string(++last_id_);
        if (store_.away_ || !ready(hold, true)) {
            missed_ = true;
        } else {
            tell();
            answer = store_.take(hold);
            hold.taken = answer.verdict == SharedAnswer::Verdict::granted;
            hold.second = answer.second;
        }
    }
    done(std::move(answer));
}

void MemoryMeters::settle(std::unique_ptr<SharedHold> hold, SharedUse use) {
    const std::lock_guard lock(store_.mutex_);
    if (!hold->taken && use.cost == 0 && use.premium == 0) {
        return;
    }
    governor_.owe(hold->rows, use);
    owed_.emplace_back(std::move(hold), use);
    if (!store_.away_) {
        tell();
    }
}

void MemoryMeters::tell_owed() {
    const std::lock_guard lock(store_.mutex_);
    if (!store_.away_) {
        tell();
    }
}

void MemoryMeters::tell() {
    for (auto& [hold, use] : std::exchange(owed_, {})) {
        if (ready(*hold, false)) {
            store_.settle(*hold, use);
            governor_.paid(hold->rows, use, hold->term);
        } else {
            owed_.emplace_back(std::move(hold), use);
        }
    }
}

}  // namespace belay::governance
