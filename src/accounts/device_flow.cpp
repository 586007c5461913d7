#include "accounts/device_flow.h"

#include <algorithm>

#include "wire/json.h"

namespace belay::accounts {
namespace {

std::string describe_oauth_error(std::string_view code, std::string_view description) {
    if (code == "device_flow_disabled") {
        return "This client id may not sign in by device code. Choose another profile.";
    }
    if (code == "incorrect_client_credentials" || code == "unauthorized_client") {
        return "GitHub does not know this client id. Check GITHUB_COPILOT_CLIENT_ID or the "
               "profile.";
    }
    if (code == "incorrect_device_code") {
        return "GitHub no longer knows this code. Start again.";
    }
    if (code == "unsupported_grant_type") {
        return "GitHub does not accept this kind of sign-in here. Check the configured addresses.";
    }
    std::string text = "GitHub answered \"" + std::string(code.substr(0, 60)) + "\"";
    if (!description.empty()) {
        text += ": " + std::string(description.substr(0, 200));
    }
    return text + ".";
}

std::optional<seconds> bounded_seconds(const json::Value& value, int64_t least, int64_t most) {
    auto n = value.as_int();
    if (!n && value.is_string()) {
        const std::string text(value.as_string().substr(0, 8));
        if (!text.empty() && text.find_first_not_of("0123456789") == std::string::npos) {
            n = std::stoll(text);
        }
    }
    if (!n || *n < 0) {
        return std::nullopt;
    }
    return seconds(std::clamp(*n, least, most));
}

Error unreachable(int status) {
    Error e = upstream_error(Kind::upstream_unavailable, "GitHub gave no usable answer");
    e.upstream_status = status;
    return e;
}

bool is_user_code(std::string_view code) {
    return code.size() >= 4 && code.size() <= 32 &&
           std::all_of(code.begin(), code.end(), [](char c) {
               return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                      c == '-';
           });
}

}  // namespace

Result<DeviceCode> parse_device_code(int status, std::string_view body) {
    const auto parsed = json::parse(body);
    if (status >= 500 || status == 429) {
        return unreachable(status);
    }
    if (!parsed.ok() || !parsed->is_object()) {
        if (status == 404) {
            Error e = upstream_error(Kind::upstream_rejected,
                                     describe_oauth_error("incorrect_client_credentials", {}));
            e.upstream_status = status;
            return e;
        }
        return unreachable(status);
    }
    const json::Value& v = parsed.value();
    const std::string_view device_code = v["device_code"].as_string();
    const std::string_view user_code = v["user_code"].as_string();
    if (device_code.empty() || device_code.size() > 512 || !is_user_code(user_code)) {
        const std::string_view code = v["error"].as_string("no device code in the reply");
        Error e = upstream_error(Kind::upstream_rejected,
                                 describe_oauth_error(code, v["error_description"].as_string()));
        e.code = code.substr(0, 60);
        e.upstream_status = status;
        return e;
    }
    DeviceCode code;
    code.device_code = Secret(std::string(device_code));
    code.user_code = user_code;
    code.expires_in = bounded_seconds(v["expires_in"], 30, 3600).value_or(seconds(900));
    code.interval = bounded_seconds(v["interval"], 1, 120).value_or(seconds(5));
    return code;
}

Result<PollAnswer> parse_poll(int status, std::string_view body) {
    if (status >= 500 || status == 429) {
        return unreachable(status);
    }
    const auto parsed = json::parse(body);
    if (!parsed.ok() || !parsed->is_object()) {
        return unreachable(status);
    }
    const json::Value& v = parsed.value();
    PollAnswer answer;
    const std::string_view token = v["access_token"].as_string();
    if (!token.empty() && token.size() <= 4096 &&
        std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
        answer.kind = PollAnswer::Kind::success;
        answer.access_token = Secret(std::string(token));
        return answer;
    }
    const std::string_view code = v["error"].as_string();
    if (code.empty()) {
        return unreachable(status);
    }
    using enum PollAnswer::Kind;
    answer.code = code.substr(0, 60);
    answer.kind = code == "authorization_pending"                      ? pending
                  : code == "slow_down"                                ? slow_down
                  : code == "expired_token" || code == "token_expired" ? expired
                  : code == "access_denied"                            ? denied
                                                                       : failed;
    if (answer.kind == slow_down) {
        answer.interval = bounded_seconds(v["interval"], 1, 300);
    }
    if (answer.kind == failed) {
        answer.text = describe_oauth_error(code, v["error_description"].as_string());
    }
    return answer;
}

bool DeviceFlow::live() const { return state_ == State::starting || state_ == State::waiting; }

Result<void> DeviceFlow::begin(Mono now, std::string owner) {
    if (live()) {
        return {};
    }
    while (!starts_.empty() && starts_.front() + std::chrono::hours(1) <= now) {
        starts_.pop_front();
    }
    if (starts_.size() >= kStartsPerHour) {
        const auto wait = starts_.front() + std::chrono::hours(1) - now;
        Error e = gateway_error(
            Kind::rate_limited,
            "Five sign-ins were started within the hour; GitHub asks for patience. Try again in " +
                std::to_string(std::chrono::duration_cast<std::chrono::minutes>(wait).count() + 1) +
                " minutes.");
        e.retry_after = std::chrono::duration_cast<seconds>(wait) + seconds(1);
        // The last flow's end stays on view with the reason why no new one begins.
        problem_ = e.message;
        return e;
    }
    starts_.push_back(now);
    state_ = State::starting;
    owner_ = std::move(owner);
    problem_.clear();
    code_ = {};
    next_ = now;
    expires_at_ = now + seconds(900);
    failures_ = 0;
    asking_ = offline_ = slowed_ = false;
    ++number_;
    return {};
}

void DeviceFlow::cancel() {
    if (live()) {
        finish(State::idle);
    }
}

void DeviceFlow::finish(State state, std::string problem) {
    state_ = state;
    problem_ = std::move(problem);
    code_ = {};
    asking_ = offline_ = slowed_ = false;
    ++number_;  // answers still under way belong to no flow
}

std::optional<Mono> DeviceFlow::next_at() const {
    if (!live()) {
        return std::nullopt;
    }
    return asking_ ? expires_at_ : std::min(next_, expires_at_);
}

void DeviceFlow::on_started(Result<DeviceCode> answer, Mono now) {
    asking_ = false;
    if (state_ != State::starting) {
        return;
    }
    if (answer.ok()) {
        code_ = std::move(answer).value();
        interval_ = code_.interval;
        expires_at_ = now + code_.expires_in;
        next_ = now + interval_ + kMargin;
        state_ = State::waiting;
        offline_ = false;
        failures_ = 0;
        return;
    }
    if (answer.error().kind == Kind::upstream_rejected) {
        finish(State::failed, answer.error().message);
        return;
    }
    // No answer: the same start is tried again, ever more slowly, until the flow's time is over.
    offline_ = true;
    next_ = now + std::min(seconds(30), seconds(2) * (1u << std::min(failures_++, 4u)));
}

std::optional<Secret> DeviceFlow::on_poll(Result<PollAnswer> answer, Mono now) {
    asking_ = false;
    if (state_ != State::waiting) {
        return std::nullopt;
    }
    offline_ = !answer.ok();
    if (answer.ok()) {
        switch (answer->kind) {
            case PollAnswer::Kind::success: {
                Secret token = std::move(answer->access_token);
                finish(State::success);
                return token;
            }
            case PollAnswer::Kind::pending:
                break;
            case PollAnswer::Kind::slow_down:
                // "the interval is increased by 5 seconds for this and all subsequent requests"
                interval_ = std::max(answer->interval.value_or(seconds(0)),
                                     interval_ + (answer->interval ? seconds(0) : seconds(5)));
                slowed_ = true;
                break;
            case PollAnswer::Kind::expired:
                finish(State::expired);
                return std::nullopt;
            case PollAnswer::Kind::denied:
                finish(State::denied);
                return std::nullopt;
            case PollAnswer::Kind::failed:
                finish(State::failed, std::move(answer->text));
                return std::nullopt;
        }
    }
    next_ = now + interval_ + kMargin;
    tick(now);
    return std::nullopt;
}

bool DeviceFlow::tick(Mono now) {
    if (!live() || now < expires_at_) {
        return false;
    }
    if (state_ == State::starting) {
        finish(State::failed, "GitHub could not be reached for 15 minutes. Check the network.");
    } else {
        finish(State::expired);
    }
    return true;
}

}  // namespace belay::accounts
