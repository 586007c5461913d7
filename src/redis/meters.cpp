#include "redis/meters.h"

#include <algorithm>
#include <cstdlib>

#include "base/ids.h"
#include "base/log.h"
#include "redis/scripts.h"

namespace belay::redis {
namespace {

using governance::SharedAnswer;
using governance::SharedHold;
using governance::SharedRow;
using governance::SharedState;
using governance::SharedUse;

constexpr milliseconds kTick{1'000};
constexpr int kMostTries = 4;
constexpr size_t kRenewStep = 100;
constexpr size_t kStateNumbers = 7;

std::string number(int64_t value) { return std::to_string(value); }

std::string write_seeds(const SharedRow& row) {
    std::string out;
    for (const auto& bucket : row.seed_rates) {
        out +=
            number(bucket.age) + ":" + number(bucket.requests) + ":" + number(bucket.tokens) + ";";
    }
    return out;
}

std::string seeded_word(const SharedRow& row) { return !row.seeded ? "0" : row.heard ? "2" : "1"; }

void add_take_args(std::vector<std::string>& args, const SharedRow& row) {
    const std::string seeded = seeded_word(row);
    switch (row.kind) {
        case SharedRow::Kind::money:
            for (auto& text :
                 {std::string("b"), number(row.most), std::string(row.refuse_at_equal ? "1" : "0"),
                  number(row.bound), number(row.premium_most), number(row.premium), seeded,
                  number(row.seed_spent), number(row.seed_premium), number(row.generation)}) {
                args.push_back(text);
            }
            return;
        case SharedRow::Kind::rate:
            for (auto& text : {std::string("r"), number(row.rpm), number(row.tpm), number(row.need),
                               number(row.tokens), seeded, write_seeds(row), std::string(),
                               std::string(), std::string()}) {
                args.push_back(text);
            }
            return;
        case SharedRow::Kind::slots:
            args.emplace_back("s");
            args.push_back(number(row.slots_most));
            args.resize(args.size() + 8);
            return;
    }
}

void add_settle_args(std::vector<std::string>& args, const SharedRow& row) {
    switch (row.kind) {
        case SharedRow::Kind::money:
            for (auto& text :
                 {std::string("b"), number(row.bound), number(row.premium), seeded_word(row),
                  number(row.seed_spent), number(row.seed_premium), number(row.generation)}) {
                args.push_back(text);
            }
            return;
        case SharedRow::Kind::rate:
            args.emplace_back("r");
            args.push_back(number(row.tokens));
            args.resize(args.size() + 5);
            return;
        case SharedRow::Kind::slots:
            args.emplace_back("s");
            args.resize(args.size() + 6);
            return;
    }
}

std::string member_of(const SharedHold& hold, const SharedRow& row) {
    return row.kind == SharedRow::Kind::slots
               ? hold.id
               : hold.id + ":" + number(row.bound) + ":" + number(row.premium);
}

std::string_view limit_name(std::string_view told) {
    for (const std::string_view name :
         {"budget", "premium", "requests", "tokens", "max_parallel_requests"}) {
        if (name == told) {
            return name;
        }
    }
    return {};
}

SharedState state_of(const SharedRow& row, const Reply& reply, size_t at) {
    const auto value = [&](size_t i) { return reply.at(at + i).as_int(); };
    SharedState state;
    switch (row.kind) {
        case SharedRow::Kind::money:
            state.spent = value(0) + value(1);
            state.reserved = std::max<int64_t>(value(2), 0);
            state.premium_spent = value(3) + value(4);
            state.premium_reserved = std::max<int64_t>(value(5), 0);
            state.generation = value(6);
            break;
        case SharedRow::Kind::rate:
            state.requests = value(0);
            state.tokens = value(1);
            state.wait_ms = value(2);
            break;
        case SharedRow::Kind::slots:
            state.slots = value(0);
            state.wait_ms = 1000;
            break;
    }
    return state;
}

// Nothing, when it is no answer to take().
std::optional<SharedAnswer> read_answer(const std::vector<SharedRow>& rows, const Reply& reply) {
    if (reply.items.size() != 3 + rows.size() * kStateNumbers) {
        return std::nullopt;
    }
    SharedAnswer answer;
    const int64_t refused = reply.at(1).as_int();
    answer.refused_by = limit_name(reply.at(0).text);
    if (refused < 0 || static_cast<size_t>(refused) > rows.size() ||
        (refused == 0) != answer.refused_by.empty()) {
        return std::nullopt;
    }
    answer.verdict = refused == 0 ? SharedAnswer::Verdict::granted : SharedAnswer::Verdict::refused;
    answer.row = refused == 0 ? 0 : static_cast<size_t>(refused - 1);
    answer.second = reply.at(2).as_int();
    for (size_t i = 0; i < rows.size(); ++i) {
        answer.states.push_back(state_of(rows[i], reply, 3 + i * kStateNumbers));
    }
    return answer;
}

bool says(const Result<Reply>& reply, std::string_view word) {
    return reply.ok() && reply->items.size() == 1 && reply->at(0).text == word;
}

}  // namespace

struct Meters::Taking {
    Part& part;
    SharedHold& hold;
    Done done;
    int tries = 0;
    bool was_late = false;
};

Meters::Meters(MetersOptions options, governance::Governor& governor,
               const std::vector<net::Loop*>& loops, std::shared_ptr<net::ClientContext> context)
    : options_(std::move(options)),
      governor_(governor),
      keys_(options_.name_space),
      instance_(random_hex(8)) {
    for (net::Loop* loop : loops) {
        parts_.push_back(std::make_unique<Part>(*loop, context, options_.client));
    }
}

Meters::~Meters() = default;

Meters::Part* Meters::find_here() const {
    for (const auto& part : parts_) {
        if (&part->loop == net::Loop::current()) {
            return part.get();
        }
    }
    return nullptr;
}

Meters::Part& Meters::here() const {
    Part* part = find_here();
    if (part == nullptr) {
        std::abort();  // asked from a thread that is none of its loops
    }
    return *part;
}

Client& Meters::client_here() { return here().client; }
size_t Meters::owed_here() { return here().owed.size(); }
void Meters::forget_store_here() { here().knows_store = false; }

std::string Meters::next_id() {
    return instance_ + "-" + std::to_string(last_id_.fetch_add(1, std::memory_order_relaxed));
}

void Meters::start_here() {
    Part& part = here();
    part.running = true;
    const bool speaks = &part == parts_.front().get();  // one of them is enough for the log
    part.client.on_change([this, &part, speaks](const Result<void>& state) {
        part.knows_store = false;
        const std::string where = options_.client.address.shown();
        if (state.ok()) {
            if (speaks) {
                log::write(log::Level::info, "redis.up", "Redis is there", {{"redis", where}});
            }
            if (std::exchange(part.was_away, false)) {
                part.calm_at = part.loop.now() + options_.calm;
            }
            tell_all(part);
            return;
        }
        part.was_away = true;
        if (speaks) {
            log::write(log::Level::warn, "redis.away",
                       "Redis is away: each instance goes on with its part of every limit",
                       {{"redis", where}, {"reason", state.error().message}});
        }
    });
    part.renewed = part.loop.now();
    part.client.start();
    tick(part);
}

void Meters::stop_here() {
    Part& part = here();
    part.running = false;
    part.timer.disarm();
    part.client.on_change(nullptr);
    part.client.stop();
}

int64_t Meters::parts() const { return is_calm() ? 1 : alive_.load(std::memory_order_relaxed); }

bool Meters::is_calm() const {
    const Part& part = here();
    return part.client.is_up() && part.loop.now() >= part.calm_at;
}

void Meters::set_alive(int64_t count) {
    count = std::max<int64_t>(count, 1);
    if (is_calm() || count > alive_.load()) {
        alive_.store(count);
    }
}

// A command first, since only an open connection knows which server it leads to.
void Meters::with_store(std::function<void(bool)> then) {
    Part& part = here();
    if (part.knows_store) {
        then(true);
        return;
    }
    part.client.send({"PING"}, [this, &part, then = std::move(then)](Result<Reply> pong) mutable {
        if (!pong) {
            then(false);
            return;
        }
        part.client.run(store_script(), {keys_.plain("store")},
                        {part.client.run_id(), random_hex(8)},
                        [this, &part, then = std::move(then)](Result<Reply> reply) {
                            if (reply.ok() && !reply->at(0).text.empty()) {
                                mark_.learn(reply->at(0).text);
                                part.knows_store = true;
                            }
                            then(part.knows_store);
                        });
    });
}

// --- Taking

void Meters::take(SharedHold& hold, Done done) {
    hold.id = next_id();
    if (!is_calm()) {
        mark_.miss();
        done(SharedAnswer());
        return;
    }
    try_take(std::make_shared<Taking>(Taking{here(), hold, std::move(done)}));
}

void Meters::give_up(const std::shared_ptr<Taking>& taking) {
    mark_.miss();
    taking->done(SharedAnswer());
}

void Meters::try_take(const std::shared_ptr<Taking>& taking) {
    if (++taking->tries > kMostTries) {
        give_up(taking);
        return;
    }
    with_store([this, taking](bool known) {
        if (!known) {
            give_up(taking);
            return;
        }
        if (const auto term = mark_.current(); taking->hold.term.store != term.store) {
            taking->hold.term = term;
            governor_.seed(taking->hold.rows, term);
        }
        std::vector<std::string> keys{keys_.plain("store")};
        std::vector<std::string> args{mark_.value(), instance_, number(taking->hold.term.number),
                                      taking->hold.id, number(options_.lease.count())};
        for (const SharedRow& row : taking->hold.rows) {
            keys.push_back(keys_.counters(row));
            keys.push_back(keys_.holds(row));
            add_take_args(args, row);
        }
        taking->part.client.run(
            take_script(), std::move(keys), std::move(args),
            [this, taking](Result<Reply> reply) { on_taken(taking, std::move(reply)); });
    });
}

void Meters::on_taken(const std::shared_ptr<Taking>& taking, Result<Reply> reply) {
    if (!reply) {
        // Once more: what was granted and not heard of is not granted twice.
        if (reply.error().kind == Kind::timeout && !std::exchange(taking->was_late, true)) {
            try_take(taking);
        } else {
            give_up(taking);
        }
        return;
    }
    if (says(reply, "store")) {
        taking->part.knows_store = false;
        try_take(taking);
        return;
    }
    if (says(reply, "unknown")) {
        governor_.seed(taking->hold.rows, taking->hold.term);
        try_take(taking);
        return;
    }
    auto answer = read_answer(taking->hold.rows, *reply);
    if (!answer) {
        give_up(taking);
        return;
    }
    if (answer->verdict == SharedAnswer::Verdict::granted) {
        taking->hold.taken = true;
        taking->hold.second = answer->second;
        taking->part.open.insert(&taking->hold);
    }
    taking->done(std::move(*answer));
}

// --- Settling

void Meters::settle(std::unique_ptr<SharedHold> hold, SharedUse use) {
    Part* at = find_here();
    if (at == nullptr) {
        return;  // the loops have ended: the hold ends with its lease
    }
    Part& part = *at;
    part.open.erase(hold.get());
    if (!hold->taken && use.cost == 0 && use.premium == 0) {
        return;  // a hold that was granted unheard ends with its lease
    }
    governor_.owe(hold->rows, use);
    part.owed.push_back({std::move(hold), use});
    if (part.owed.size() > options_.owed_most && !part.owed.front().sent) {
        part.owed.pop_front();
    }
    tell(part, std::prev(part.owed.end()));
}

void Meters::tell(Part& part, std::list<Owed>::iterator owed) {
    if (!part.running || !part.client.is_up() || owed->sent) {
        return;
    }
    owed->sent = true;
    with_store([this, &part, owed](bool known) {
        if (!known) {
            owed->sent = false;
            return;
        }
        SharedHold& hold = *owed->hold;
        const SharedUse& use = owed->use;
        if (const auto term = mark_.current(); hold.term.store != term.store) {
            hold.term = term;
            governor_.seed_money_of(hold.rows, term);
        }
        std::vector<std::string> keys{keys_.plain("store"), keys_.plain("changed"),
                                      keys_.plain("d:" + hold.id)};
        std::vector<std::string> args{mark_.value(),          instance_,           hold.id,
                                      hold.taken ? "1" : "0", number(hold.second), number(use.cost),
                                      number(use.tokens),     number(use.premium)};
        for (const SharedRow& row : hold.rows) {
            keys.push_back(keys_.counters(row));
            keys.push_back(keys_.holds(row));
            add_settle_args(args, row);
        }
        part.client.run(
            settle_script(), std::move(keys), std::move(args),
            [this, &part, owed](const Result<Reply>& reply) { on_told(part, owed, reply); });
    });
}

void Meters::on_told(Part& part, std::list<Owed>::iterator owed, const Result<Reply>& reply) {
    owed->sent = false;
    if (says(reply, "done")) {
        governor_.paid(owed->hold->rows, owed->use, owed->hold->term);
        part.owed.erase(owed);
        return;
    }
    if (says(reply, "store")) {
        part.knows_store = false;
    }
    if (says(reply, "store") || says(reply, "unknown")) {
        governor_.seed_money_of(owed->hold->rows, owed->hold->term);
        if (++owed->tries % kMostTries != 0) {
            tell(part, owed);
        }
    }
    // Otherwise the next tick tells it again; it counts once whatever became of this one.
}

void Meters::tick(Part& part) {
    if (part.client.is_up()) {
        tell_all(part);
        if (part.loop.now() - part.renewed >= options_.lease / 3) {
            part.renewed = part.loop.now();
            renew(part);
        }
    }
    part.timer.arm(
        part.loop, part.loop.now() + kTick,
        [](void* at) {
            auto* self = static_cast<Meters*>(at);
            self->tick(self->here());
        },
        this);
}

void Meters::tell_all(Part& part) {
    for (auto owed = part.owed.begin(); owed != part.owed.end();) {
        tell(part, owed++);
    }
}

void Meters::renew(Part& part) {
    std::vector<std::string> keys;
    std::vector<std::string> args;
    const auto flush = [&] {
        if (!keys.empty()) {
            args.insert(args.begin(), number(options_.lease.count()));
            part.client.run(renew_script(), std::exchange(keys, {}), std::exchange(args, {}),
                            [](const Result<Reply>&) {});
        }
    };
    for (const SharedHold* hold : part.open) {
        for (const SharedRow& row : hold->rows) {
            if (row.kind != SharedRow::Kind::rate) {
                keys.push_back(keys_.holds(row));
                args.push_back(member_of(*hold, row));
            }
        }
        if (keys.size() >= kRenewStep) {
            flush();
        }
    }
    flush();
}

}  // namespace belay::redis
