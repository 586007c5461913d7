#pragma once
// For the simulator's own tests: a world with a hand-set clock, requests in one line, and readers
// that put streams back together the way a tolerant client does.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/world.h"
#include "wire/json.h"
#include "wire/sse.h"

namespace belay::sim::testing {

inline const Wall kStart = from_unix_seconds(1'790'000'000);  // 2026-09-21

struct Bench {
    explicit Bench(std::string_view scenario = "{}")
        : world(*parse_scenario(*json::parse(scenario)), "http://127.0.0.1:7000") {}

    World world;
    Wall now = kStart;
    Headers extra;  // added to every model call
    std::string account = "pro_plus";

    Reply send(std::string_view method, std::string_view target, std::string_view body = {},
               Headers headers = {}) {
        Request r;
        r.method = method;
        r.target = target;
        r.headers = std::move(headers);
        r.body = body;
        return world.handle(r, now, Mono{});
    }

    Reply control(std::string_view target, std::string_view body) {
        return send("POST", target, body);
    }

    // A model call with a good token and identity.
    Reply call(std::string_view path, std::string_view body) {
        if (token.empty()) {
            token = world.issue_token(account, now);
        }
        Headers headers = {{"Authorization", "Bearer " + token},
                           {"Editor-Version", "vscode/1.104.3"},
                           {"Copilot-Integration-Id", "vscode-chat"}};
        headers.insert(headers.end(), extra.begin(), extra.end());
        return send("POST", path, body, std::move(headers));
    }

    json::Value state() { return json_of(send("GET", "/_sim/state")); }

    static json::Value json_of(const Reply& reply) {
        auto v = json::parse(reply.body());
        return v.ok() ? std::move(*v) : json::Value();
    }

    std::string token;
};

struct Event {
    std::string name;
    std::string data;
    [[nodiscard]] json::Value json() const {
        auto v = json::parse(data);
        return v.ok() ? std::move(*v) : json::Value();
    }
};

// The events of a streamed reply; what is cut off inside an event is not one.
inline std::vector<Event> events_of(const Reply& reply) {
    std::vector<Event> events;
    sse::Parser parser;
    sse::Event e;
    for (const auto& part : reply.parts) {
        if (!parser.feed(part.bytes).ok()) {
            return events;
        }
        while (parser.next(e)) {
            events.push_back({std::string(e.name), std::string(e.data)});
        }
    }
    return events;
}

// All text deltas of a chat stream in order.
inline std::string chat_text(const std::vector<Event>& events) {
    std::string text;
    for (const auto& e : events) {
        text += e.json()["choices"][0]["delta"]["content"].as_string();
    }
    return text;
}

}  // namespace belay::sim::testing
