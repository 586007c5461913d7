#include "redis/instances.h"

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "redis/scripts.h"

namespace belay::redis {
namespace {

constexpr milliseconds kTick{1'000};
// Others have told what they owed, and their records are in the ledger.
constexpr milliseconds kRecount{3'000};
constexpr size_t kRaiseStep = 100;
constexpr int64_t kAliveMs = 5'000;
constexpr int64_t kOverlapMs = 2'000;  // changes that are asked for twice do no harm
constexpr int kMostChanges = 500;
constexpr size_t kWindowItems = 8;

std::vector<std::string_view> split(std::string_view text, char by, size_t most) {
    std::vector<std::string_view> parts;
    while (parts.size() + 1 < most) {
        const size_t at = text.find(by);
        if (at == std::string_view::npos) {
            break;
        }
        parts.push_back(text.substr(0, at));
        text.remove_prefix(at + 1);
    }
    parts.push_back(text);
    return parts;
}

int64_t to_int(std::string_view text) {
    Reply reply;
    reply.kind = Reply::Kind::text;
    reply.text = std::string(text);
    return reply.as_int();
}

}  // namespace

Instances::Instances(Meters& meters, governance::Governor& governor, net::Loop& loop,
                     std::shared_ptr<net::ClientContext> context, Address address, Hooks hooks)
    : meters_(meters),
      governor_(governor),
      loop_(loop),
      news_(loop, std::move(context), std::move(address)),
      hooks_(std::move(hooks)) {}

Instances::~Instances() = default;

void Instances::start() {
    running_ = true;
    loop_.spawn(listen());
    tick();
}

void Instances::stop() {
    running_ = false;
    timer_.disarm();
    news_.close();
    loop_.wake(sleeping_, net::Wake::cancelled);
}

// --- Once a second

void Instances::tick() {
    ask();
    if (loop_.now() >= recount_at_ && meters_.is_calm()) {
        recount_at_ = Mono::max();
        if (hooks_.on_new_store) {
            hooks_.on_new_store();
        }
    }
    timer_.arm(
        loop_, loop_.now() + kTick, [](void* self) { static_cast<Instances*>(self)->tick(); },
        this);
}

void Instances::ask() {
    if (asking_ || !running_ || !meters_.client_here().is_up()) {
        return;
    }
    asking_ = true;
    meters_.with_store([this](bool known) {
        if (!known) {
            asking_ = false;
            return;
        }
        if (const uint32_t store = meters_.mark().current().store; store != store_) {
            const uint32_t before = std::exchange(store_, store);
            since_ms_ = 0;
            last_cooldown_ = 0;
            recount_at_ = before == 0 ? Mono::max() : loop_.now() + kRecount;
        }
        send_set();
        const Keys& keys = meters_.keys();
        meters_.client_here().run(
            tick_script(),
            {keys.plain("store"), keys.plain("instances"), keys.plain("changed"),
             keys.plain("cool")},
            {meters_.mark().value(), meters_.instance(), std::to_string(kAliveMs),
             std::to_string(std::max<int64_t>(since_ms_ - kOverlapMs, 0)),
             std::to_string(last_cooldown_), std::to_string(kMostChanges)},
            [this](const Result<Reply>& reply) {
                asking_ = false;
                if (reply.ok()) {
                    on_answer(*reply);
                }
            });
    });
}

void Instances::on_answer(const Reply& reply) {
    if (reply.items.size() == 1) {
        meters_.forget_store_here();
        return;
    }
    since_ms_ = reply.at(0).as_int();
    meters_.set_alive(reply.at(1).as_int());
    hear_cooldowns(reply.at(2), since_ms_);
    if (meters_.is_calm()) {
        take_over(reply.at(3));
    }
}

// Budgets that others have spent from: what is known here stays true for when Redis goes away.
void Instances::take_over(const Reply& changed) {
    std::vector<governance::SharedRow> rows;
    governance::SharedAnswer answer;
    answer.verdict = governance::SharedAnswer::Verdict::granted;
    for (size_t i = 0; i + kWindowItems <= changed.items.size(); i += kWindowItems) {
        auto row = meters_.keys().parse_window(changed.at(i).text);
        if (!row) {
            continue;
        }
        const auto value = [&](size_t at) { return changed.at(i + at).as_int(); };
        governance::SharedState state;
        state.spent = value(1) + value(2);
        state.reserved = std::max<int64_t>(value(3), 0);
        state.premium_spent = value(4) + value(5);
        state.premium_reserved = std::max<int64_t>(value(6), 0);
        state.generation = value(7);
        rows.push_back(std::move(*row));
        answer.states.push_back(state);
    }
    if (!rows.empty()) {
        governor_.adopt(rows, answer, meters_.mark().current(), loop_.now());
    }
}

// --- What an administrator sets

void Instances::send_set() {
    for (const auto& one : governor_.take_set()) {
        set_everywhere(one);
    }
}

void Instances::set_everywhere(const governance::SharedSpend& one) {
    const Keys& keys = meters_.keys();
    meters_.client_here().run(
        set_script(), {keys.plain("store"), keys.plain("changed"), keys.counters(one.row)},
        {meters_.mark().value(), meters_.instance(), std::to_string(one.spent)},
        [this, one](const Result<Reply>& reply) {
            if (reply.ok() && reply->at(0).kind == Reply::Kind::integer) {
                governor_.set_done(one.row, reply->at(0).as_int());
            } else {
                governor_.set_again(one);
            }
        });
}

// --- What the ledger knows

void Instances::raise(std::vector<governance::SharedRow> rows) {
    loop_.post([this, rows = std::move(rows)] {
        if (!running_ || !meters_.client_here().is_up()) {
            return;
        }
        const Keys& keys = meters_.keys();
        for (size_t at = 0; at < rows.size(); at += kRaiseStep) {
            std::vector<std::string> names{keys.plain("store"), keys.plain("changed")};
            std::vector<std::string> args{meters_.mark().value()};
            for (size_t i = at; i < std::min(rows.size(), at + kRaiseStep); ++i) {
                names.push_back(keys.counters(rows[i]));
                args.push_back(std::to_string(rows[i].seed_spent));
                args.push_back(std::to_string(rows[i].seed_premium));
                args.push_back(std::to_string(rows[i].generation));
            }
            meters_.client_here().run(raise_script(), std::move(names), std::move(args),
                                      [](const Result<Reply>&) {});
        }
    });
}

// --- Cooldowns

void Instances::tell(Cooldown cooldown) {
    loop_.post([this, cooldown = std::move(cooldown)] {
        if (!running_ || !meters_.client_here().is_up()) {
            return;
        }
        const Keys& keys = meters_.keys();
        meters_.client_here().run(cool_script(),
                                  {keys.plain("cool"), keys.plain("seq"), keys.plain("news")},
                                  {meters_.instance(), cooldown.key,
                                   std::to_string(cooldown.rest.count()), cooldown.cause,
                                   cooldown.deployment_id + "\n" + cooldown.group + "\n" +
                                       cooldown.model + "\n" + cooldown.seat},
                                  [](const Result<Reply>&) {});
    });
}

void Instances::hear_cooldowns(const Reply& list, int64_t now_ms) {
    for (size_t i = 0; i + 2 <= list.items.size(); i += 2) {
        const auto parts = split(list.at(i + 1).text, '|', 5);
        if (parts.size() != 5) {
            continue;
        }
        last_cooldown_ = std::max(last_cooldown_, to_int(parts[1]));
        const auto names = split(parts[4], '\n', 4);
        if (parts[2] == meters_.instance() || names.size() != 4) {
            continue;
        }
        Cooldown cooldown;
        cooldown.key = list.at(i).text;
        cooldown.deployment_id = std::string(names[0]);
        cooldown.group = std::string(names[1]);
        cooldown.model = std::string(names[2]);
        cooldown.seat = std::string(names[3]);
        cooldown.cause = std::string(parts[3]);
        if (cooldown.cause != "lifted") {
            cooldown.rest = milliseconds(std::max<int64_t>(to_int(parts[0]) - now_ms, 0));
        }
        if (hooks_.on_cooldown && (cooldown.rest.count() > 0 || cooldown.cause == "lifted")) {
            hooks_.on_cooldown(cooldown);
        }
    }
}

// --- News

void Instances::tell_entities() {
    loop_.post([this] {
        if (running_ && meters_.client_here().is_up()) {
            const std::string channel = meters_.keys().plain("news");
            const std::string news = "entities " + meters_.instance();
            meters_.client_here().send({"PUBLISH", channel, news}, [](const Result<Reply>&) {});
            meters_.with_store([this](bool known) {
                if (known) {
                    send_set();
                }
            });
        }
    });
}

net::Task<void> Instances::listen() {
    while (running_) {
        const Mono opening = loop_.now() + kTick;
        Result<void> opened = co_await news_.open(opening);
        if (opened && running_) {
            std::string subscribe;
            write_command(subscribe, {"SUBSCRIBE", meters_.keys().plain("news")});
            bool open = news_.write(subscribe);
            while (open && running_) {
                Result<Reply> message = co_await news_.read(Mono::max());
                open = message.ok();
                if (open && running_) {
                    hear(*message);
                }
            }
        }
        if (!running_) {
            break;
        }
        const auto pause =
            std::chrono::duration_cast<Mono::duration>(kTick * (0.9 + 0.2 * quick_random_unit()));
        const Mono again = loop_.now() + pause;
        co_await loop_.sleep_until(again, &sleeping_);
    }
    news_.close();
}

void Instances::hear(const Reply& message) {
    if (message.at(0).text == "subscribe") {
        joined_.fetch_add(1);
        return;
    }
    const auto parts = split(message.at(2).text, ' ', 2);
    if (parts.size() != 2 || parts[1] == meters_.instance()) {
        return;
    }
    if (parts[0] == "entities" && hooks_.on_entities) {
        hooks_.on_entities();
    } else if (parts[0] == "cooldown") {
        ask();
    }
}

}  // namespace belay::redis
