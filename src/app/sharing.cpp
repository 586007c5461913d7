#include "app/sharing.h"

#include <future>

#include "base/log.h"

namespace belay::app {
namespace {

std::vector<net::Loop*> all_loops(const Sharing::Needs& needs) {
    std::vector<net::Loop*> loops{&needs.control};
    loops.insert(loops.end(), needs.workers.begin(), needs.workers.end());
    return loops;
}

redis::MetersOptions options_of(const RedisSettings& settings) {
    redis::MetersOptions options;
    options.client.address = *settings.address;
    options.client.deadline = settings.deadline;
    options.name_space = settings.name_space;
    return options;
}

void run_and_wait(net::Loop& loop, const std::function<void()>& work) {
    std::promise<void> done;
    loop.post([&] {
        work();
        done.set_value();
    });
    done.get_future().wait();
}

}  // namespace

Sharing::Sharing(const RedisSettings& settings, Needs needs)
    : needs_(std::move(needs)),
      meters_(options_of(settings), needs_.governor, all_loops(needs_), needs_.context),
      instances_(meters_, needs_.governor, needs_.control, needs_.context, *settings.address,
                 {.on_entities = needs_.on_entities,
                  .on_cooldown = [this](const redis::Cooldown& cooldown) { hear(cooldown); },
                  .on_new_store = needs_.on_new_store}) {
    log::remember_secret(settings.address->password.reveal());
    needs_.governor.share();
    needs_.health.on_change([this](const routing::Health::Change& change) {
        instances_.tell({.key = change.key,
                         .deployment_id = change.row.deployment_id,
                         .group = change.row.group,
                         .model = change.row.model,
                         .seat = change.row.seat,
                         .cause = std::string(routing::cause_name(change.row.cause)),
                         .rest = std::chrono::duration_cast<milliseconds>(change.rest)});
    });
}

Sharing::~Sharing() {
    needs_.health.on_change(nullptr);
    if (started_) {
        run_and_wait(needs_.control, [] {});  // what was posted since stop()
    }
}

void Sharing::start() {
    started_ = true;
    for (net::Loop* loop : all_loops(needs_)) {
        loop->post([this] { meters_.start_here(); });
    }
    needs_.control.post([this] { instances_.start(); });
}

void Sharing::stop() {
    run_and_wait(needs_.control, [this] { instances_.stop(); });
    for (net::Loop* loop : all_loops(needs_)) {
        run_and_wait(*loop, [this] { meters_.stop_here(); });
    }
    // What that has woken runs to its end.
    for (net::Loop* loop : all_loops(needs_)) {
        run_and_wait(*loop, [] {});
    }
}

void Sharing::hear(const redis::Cooldown& cooldown) {
    if (cooldown.rest.count() == 0) {
        needs_.health.lift(cooldown.key);
        return;
    }
    const auto cause = routing::parse_cause(cooldown.cause);
    if (cause) {
        needs_.health.adopt({.key = cooldown.key,
                             .row = {.deployment_id = cooldown.deployment_id,
                                     .group = cooldown.group,
                                     .model = cooldown.model,
                                     .seat = cooldown.seat,
                                     .cause = *cause},
                             .rest = cooldown.rest},
                            needs_.control.now());
    }
}

}  // namespace belay::app
