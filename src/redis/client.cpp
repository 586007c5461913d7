#include "redis/client.h"

#include <algorithm>
#include <utility>

#include "base/ids.h"

namespace belay::redis {
namespace {

Error away() { return upstream_error(Kind::upstream_unavailable, "Redis is away"); }

}  // namespace

Client::Client(net::Loop& loop, std::shared_ptr<net::ClientContext> context, ClientOptions options)
    : loop_(loop),
      options_(std::move(options)),
      link_(loop, std::move(context), options_.address) {}

Client::~Client() = default;

void Client::start() { loop_.spawn(keep()); }

void Client::stop() {
    stopping_ = true;
    late_.disarm();
    link_.close();
    loop_.wake(sleeping_, net::Wake::cancelled);
    fail_all(away());
}

net::Task<void> Client::keep() {
    while (!stopping_) {
        const Mono began = loop_.now();
        Result<void> opened = co_await link_.open(began + options_.connect);
        if (stopping_) {
            break;
        }
        if (opened) {
            become(State::open, opened);
            Error lost = co_await read_all();
            if (stopping_) {
                break;
            }
            const bool tired = failures_ >= options_.failures_most;
            failures_ = 0;
            // One that served well is asked again at once, commands wait for it meanwhile.
            if (!tired && loop_.now() - began > options_.probe) {
                become(State::connecting, opened);
                fail_all(lost);
                continue;
            }
            opened = std::move(lost);
        }
        become(State::away, opened);
        fail_all(opened.error());
        const double jitter = 0.9 + 0.2 * quick_random_unit();
        const auto pause = std::chrono::duration_cast<Mono::duration>(options_.probe * jitter);
        const Mono again = loop_.now() + pause;
        co_await loop_.sleep_until(again, &sleeping_);
    }
    link_.close();
}

void Client::become(State state, const Result<void>& why) {
    const State before = std::exchange(state_, state);
    up_.store(state != State::away, std::memory_order_relaxed);
    if (state == State::open) {
        failures_ = 0;
    }
    if (hook_ && before != state && state != State::connecting) {
        hook_(why);
    }
    if (state == State::open) {
        send_queued();
    }
}

net::Task<Error> Client::read_all() {
    while (true) {
        Result<Reply> reply = co_await link_.read(Mono::max());
        if (!reply) {
            co_return std::move(reply).error();
        }
        take(std::move(reply));
    }
}

void Client::take(Result<Reply> reply) {
    if (pending_.empty()) {
        link_.close();  // an answer to nothing: out of step
        return;
    }
    Pending first = std::move(pending_.front());
    pending_.pop_front();
    watch();
    if (first.done == nullptr) {
        return;
    }
    failures_ = 0;
    if (reply->is_error()) {
        first.done(upstream_error(Kind::upstream_rejected, reply->text));
    } else {
        first.done(std::move(reply));
    }
}

void Client::send(const std::vector<std::string_view>& words, Done done) {
    if (stopping_ || state_ == State::away) {
        done(away());
        return;
    }
    if (queued_.size() + pending_.size() >= options_.queue_most) {
        done(gateway_error(Kind::upstream_unavailable, "too many commands wait for Redis"));
        return;
    }
    Pending one{std::move(done), loop_.now() + options_.deadline, {}};
    write_command(one.bytes, words);
    if (state_ == State::connecting) {
        queued_.push_back(std::move(one));
        watch();
        return;
    }
    if (!link_.write(one.bytes)) {
        one.done(away());
        return;
    }
    one.bytes = {};
    pending_.push_back(std::move(one));
    watch();
}

void Client::send_queued() {
    for (auto& one : std::exchange(queued_, {})) {
        if (!link_.write(one.bytes)) {
            one.done(away());
            continue;
        }
        one.bytes = {};
        pending_.push_back(std::move(one));
    }
    watch();
}

void Client::fail_all(const Error& why) {
    auto lost = std::exchange(pending_, {});
    if (state_ != State::connecting) {
        for (auto& one : std::exchange(queued_, {})) {
            lost.push_back(std::move(one));
        }
    }
    watch();
    for (auto& one : lost) {
        if (one.done != nullptr) {
            one.done(why);
        }
    }
}

// The timer stands at the first deadline: they come in the order of the commands.
void Client::watch() {
    late_.disarm();
    const auto first_waiting = [](const std::deque<Pending>& list) {
        return std::find_if(list.begin(), list.end(),
                            [](const Pending& one) { return one.done != nullptr; });
    };
    Mono first = Mono::max();
    for (const auto* list : {&pending_, &queued_}) {
        if (const auto at = first_waiting(*list); at != list->end()) {
            first = std::min(first, at->deadline);
        }
    }
    if (first != Mono::max() && !stopping_) {
        late_.arm(
            loop_, first, [](void* self) { static_cast<Client*>(self)->on_late(); }, this);
    }
}

void Client::on_late() {
    const Mono now = loop_.now();
    std::vector<Done> late;
    for (auto& one : pending_) {
        if (one.done != nullptr && one.deadline <= now) {
            late.push_back(std::exchange(one.done, nullptr));
        }
    }
    while (!queued_.empty() && queued_.front().deadline <= now) {
        late.push_back(std::move(queued_.front().done));
        queued_.pop_front();
    }
    failures_ += static_cast<int>(late.size());
    if (state_ == State::open && failures_ >= options_.failures_most) {
        link_.close();  // read_all() ends
    }
    watch();
    for (auto& done : late) {
        done(upstream_error(Kind::timeout, "Redis did not answer in time"));
    }
}

void Client::run(const Script& script, std::vector<std::string> keys, std::vector<std::string> args,
                 Done done) {
    struct Call {
        std::vector<std::string> keys, args;
        Done done;
        [[nodiscard]] std::vector<std::string_view> words(std::string_view verb,
                                                          std::string_view what,
                                                          const std::string& count) const {
            std::vector<std::string_view> out{verb, what, count};
            out.insert(out.end(), keys.begin(), keys.end());
            out.insert(out.end(), args.begin(), args.end());
            return out;
        }
    };
    auto call = std::make_shared<Call>(Call{std::move(keys), std::move(args), std::move(done)});
    const std::string count = std::to_string(call->keys.size());
    send(call->words("EVALSHA", script.sha1(), count),
         [this, call, count, &script](Result<Reply> reply) {
             const bool unknown = !reply && reply.error().kind == Kind::upstream_rejected &&
                                  reply.error().message.starts_with("NOSCRIPT");
             if (unknown) {
                 send(call->words("EVAL", script.text(), count), std::move(call->done));
             } else {
                 call->done(std::move(reply));
             }
         });
}

}  // namespace belay::redis
