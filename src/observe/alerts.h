#pragma once
// Alerts on their way to people: each thing is told once, not once a request; too many at a time
// are told together in one message. Slack gets {"text": ...}, a webhook LiteLLM's event body.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "observe/batch_sink.h"
#include "observe/hub.h"
#include "wire/json.h"

namespace belay::observe {

enum class Urgency : uint8_t { low, medium, high };

struct Alert {
    std::string type;  // LiteLLM's alert type: "budget_alerts"; chooses who is told
    std::string key;   // what makes it the same alert as one before
    Urgency urgency = Urgency::medium;
    std::string text;         // for people; no secret, no prompt
    std::string event;        // of the webhook's body: "budget_crossed"
    std::string event_group;  // "key", "team", ..., "proxy"
    json::Value facts;        // further members of the webhook's body
    int64_t repeat_ms = 3'600'000;
};

class AlertCenter {
  public:
    static constexpr size_t kPerWindow = 20;  // messages to one place before a digest
    static constexpr int64_t kWindowMs = 600'000;
    static constexpr size_t kKnownMost = 10'000;  // alerts that are remembered

    AlertCenter(const AlertSettings& settings, const BatchSink::Post& post);

    // False when it is not wanted, or was told already.
    bool raise(const Alert& alert, int64_t now_ms);
    // Whatever raise() was told of this key is over: it may be told again at once.
    void clear(std::string_view key);
    void tick(int64_t now_ms);  // the digest, when its time has come
    void finish(int64_t now_ms);
    void collect(std::vector<Family>& into) const;

  private:
    struct Place {
        std::unique_ptr<BatchSink> sink;
        size_t sent = 0;                     // in this window
        std::map<std::string, size_t> left;  // type to how many are for the digest
        std::vector<std::string> examples;
    };
    [[nodiscard]] bool wanted(std::string_view type) const;
    Place& place(const std::string& url, std::string_view name);
    void say(Place& place, const Alert& alert);
    void send_digests();

    AlertSettings settings_;
    BatchSink::Post post_;
    std::map<std::string, int64_t, std::less<>> known_;  // key to when it may be told again
    std::map<std::string, Place> slack_;                 // by URL
    std::unique_ptr<BatchSink> webhook_;
    int64_t window_ms_ = 0;
    std::map<std::string, uint64_t> raised_;  // by type
};

}  // namespace belay::observe
