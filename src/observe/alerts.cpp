#include "observe/alerts.h"

#include <algorithm>

#include "base/log.h"

namespace belay::observe {
namespace {

constexpr size_t kExamplesMost = 5;
constexpr std::string_view kDefaultPlace = "slack";

std::string_view urgency_word(Urgency urgency) {
    return urgency == Urgency::high ? "High" : urgency == Urgency::medium ? "Medium" : "Low";
}

std::string slack_text(const std::string& text) {
    json::Value body = json::Value::object();
    body.set("text", log::scrub(text));
    return json::dump(body);
}

// Members in LiteLLM's order; those that the alert says nothing of are null.
std::string webhook_body(const Alert& alert) {
    json::Value body = json::Value::object();
    for (const char* name : {"spend", "max_budget", "soft_budget", "token", "customer_id",
                             "user_id", "team_id", "team_alias", "organization_id", "user_email",
                             "key_alias", "projected_exceeded_date", "projected_spend"}) {
        body.set(name, alert.facts[name]);
    }
    body.set("event", alert.event);
    body.set("event_group", alert.event_group);
    body.set("event_message", log::scrub(alert.text));
    body.set("alert_type", alert.type);
    for (const auto& member : alert.facts.members()) {
        if (!body.has(member.key)) {
            body.set(member.key, member.value);
        }
    }
    return json::dump(body);
}

BatchSink::Options sink_options(std::string_view name, const std::string& url) {
    BatchSink::Options options;
    options.name = name;
    options.url = url;
    options.headers = {{"Content-Type", "application/json"}};
    options.batch_most = 1;
    options.every = milliseconds(0);
    options.items_most = 1'024;
    options.first_pause = milliseconds(1'000);
    return options;
}

}  // namespace

AlertCenter::AlertCenter(const AlertSettings& settings, const BatchSink::Post& post)
    : settings_(settings), post_(post) {
    if (settings_.webhook) {
        webhook_ = std::make_unique<BatchSink>(
            sink_options("webhook", settings_.webhook_url.reveal()), post_);
    }
}

bool AlertCenter::wanted(std::string_view type) const {
    return settings_.types.empty() ||
           std::find(settings_.types.begin(), settings_.types.end(), type) != settings_.types.end();
}

AlertCenter::Place& AlertCenter::place(const std::string& url, std::string_view name) {
    Place& at = slack_[url];
    if (at.sink == nullptr) {
        at.sink = std::make_unique<BatchSink>(sink_options(name, url), post_);
    }
    return at;
}

bool AlertCenter::raise(const Alert& alert, int64_t now_ms) {
    if (!wanted(alert.type)) {
        return false;
    }
    const auto known = known_.find(alert.key);
    if (known != known_.end() && now_ms < known->second) {
        return false;
    }
    if (known == known_.end() && known_.size() >= kKnownMost) {
        std::erase_if(known_, [&](const auto& row) { return row.second <= now_ms; });
        if (known_.size() >= kKnownMost) {
            return false;
        }
    }
    known_[alert.key] = now_ms + alert.repeat_ms;
    ++raised_[alert.type];
    log::write(log::Level::warn, "alert", alert.text, {{"type", alert.type}});
    if (settings_.slack) {
        const auto own = settings_.urls.find(alert.type);
        if (own != settings_.urls.end()) {
            for (const auto& url : own->second) {
                say(place(url, "slack:" + alert.type), alert);
            }
        } else if (!settings_.slack_url.empty()) {
            say(place(settings_.slack_url.reveal(), kDefaultPlace), alert);
        }
    }
    if (webhook_ != nullptr) {
        webhook_->offer(webhook_body(alert));
    }
    return true;
}

void AlertCenter::clear(std::string_view key) {
    if (const auto known = known_.find(key); known != known_.end()) {
        known_.erase(known);
    }
}

void AlertCenter::say(Place& at, const Alert& alert) {
    if (at.sent >= kPerWindow) {
        ++at.left[alert.type];
        if (at.examples.size() < kExamplesMost) {
            at.examples.push_back(alert.text);
        }
        return;
    }
    ++at.sent;
    at.sink->offer(slack_text("Belay alert: `" + alert.type + "`\nLevel: `" +
                              std::string(urgency_word(alert.urgency)) + "`\n\n" + alert.text));
}

void AlertCenter::tick(int64_t now_ms) {
    if (window_ms_ == 0) {
        window_ms_ = now_ms;
    }
    if (now_ms - window_ms_ < kWindowMs) {
        return;
    }
    window_ms_ = now_ms;
    send_digests();
}

void AlertCenter::finish(int64_t now_ms) {
    (void)now_ms;
    send_digests();
}

void AlertCenter::send_digests() {
    for (auto& [url, at] : slack_) {
        at.sent = 0;
        if (at.left.empty()) {
            continue;
        }
        size_t total = 0;
        std::string list;
        for (const auto& [type, count] : at.left) {
            total += count;
            list += "\n• " + std::to_string(count) + " × `" + type + "`";
        }
        std::string text = "Belay: " + std::to_string(total) + " more alerts" + list;
        for (const auto& example : at.examples) {
            text += "\n> " + example;
        }
        at.left.clear();
        at.examples.clear();
        at.sink->offer(slack_text(text));
    }
}

void AlertCenter::collect(std::vector<Family>& into) const {
    Family raised{"belay_alerts_total", "Alerts that were told", MetricType::counter, {}, {}};
    for (const auto& [type, count] : raised_) {
        raised.add({{"type", type}}, static_cast<double>(count));
    }
    into.push_back(std::move(raised));
}

}  // namespace belay::observe
