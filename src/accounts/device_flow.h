#pragma once
// The device authorization flow (RFC 8628 as GitHub speaks it): what the two replies mean, and a
// state machine that says when to ask next. GitHub reports errors with status 200, so the body
// decides. Obeys `interval` with a margin, `slow_down` for good, `expires_in` as a hard stop; a
// network failure or a 5xx is "still pending, offline". One live flow, few starts an hour. Pure:
// time comes in, requests are made by the owner (accounts/service).
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

namespace belay::accounts {

struct DeviceCode {
    Secret device_code;
    std::string user_code;  // ABCD-1234; only characters that a person can type
    seconds expires_in{900};
    seconds interval{5};
};

// Errors: upstream_unavailable (5xx, no JSON: try again) or upstream_rejected with GitHub's code.
[[nodiscard]] Result<DeviceCode> parse_device_code(int status, std::string_view body);

struct PollAnswer {
    enum class Kind : uint8_t { success, pending, slow_down, expired, denied, failed };
    Kind kind = Kind::pending;
    Secret access_token;              // success
    std::optional<seconds> interval;  // slow_down, when the reply names it
    std::string code;                 // GitHub's error code
    std::string text;                 // for people
};

[[nodiscard]] Result<PollAnswer> parse_poll(int status, std::string_view body);

class DeviceFlow {
  public:
    enum class State : uint8_t {
        idle,      // never started, or cancelled
        starting,  // asking for a code (or, offline, about to ask again)
        waiting,   // a person is to enter the code
        success,
        expired,
        denied,
        failed,  // `problem` says why
    };

    // Takes up a new flow, or fails: too many starts (rate_limited, retry_after). A live flow is
    // left alone and is no failure.
    [[nodiscard]] Result<void> begin(Mono now, std::string owner);
    void cancel();

    // When the owner should act: ask for a code (starting) or poll (waiting). nullopt: nothing to
    // do.
    [[nodiscard]] std::optional<Mono> next_at() const;
    // A request is under way; next_at() is silent until its answer comes.
    void on_asked() { asking_ = true; }
    void on_started(Result<DeviceCode> answer, Mono now);
    // The access token, once.
    [[nodiscard]] std::optional<Secret> on_poll(Result<PollAnswer> answer, Mono now);
    // The finished flow was for an account that may not be used here.
    void refuse(std::string why) { finish(State::failed, std::move(why)); }
    // Ends a flow whose time is over; true when that changed something.
    bool tick(Mono now);

    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] bool live() const;
    [[nodiscard]] bool offline() const { return offline_; }
    [[nodiscard]] bool slowed() const { return slowed_; }
    [[nodiscard]] const std::string& user_code() const { return code_.user_code; }
    [[nodiscard]] const Secret& device_code() const { return code_.device_code; }
    [[nodiscard]] const std::string& owner() const { return owner_; }
    [[nodiscard]] const std::string& problem() const { return problem_; }
    [[nodiscard]] Mono expires_at() const { return expires_at_; }
    [[nodiscard]] seconds interval() const { return interval_; }
    // Tells one flow from the next, so that a late answer is dropped.
    [[nodiscard]] uint64_t number() const { return number_; }

    static constexpr size_t kStartsPerHour = 5;
    static constexpr seconds kMargin{1};

  private:
    void finish(State state, std::string problem = {});

    State state_ = State::idle;
    DeviceCode code_;
    std::string owner_;
    std::string problem_;
    seconds interval_{5};
    Mono expires_at_{};
    Mono next_{};
    uint64_t number_ = 0;
    uint32_t failures_ = 0;
    bool asking_ = false;
    bool offline_ = false;
    bool slowed_ = false;
    std::deque<Mono> starts_;
};

}  // namespace belay::accounts
