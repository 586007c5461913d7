#include "accounts/login_cli.h"

#include <algorithm>

namespace belay::accounts {
namespace {

std::string quota_of(const AccountView& view) {
    User user;
    user.quotas = view.quotas;
    const Quota* main = user.main_quota();
    return main == nullptr ? std::string() : describe_quota(*main);
}

size_t usable_models(const AccountView& view) {
    if (view.catalogue == nullptr) {
        return 0;
    }
    const auto& models = view.catalogue->models;
    return static_cast<size_t>(
        std::count_if(models.begin(), models.end(), [](const Model& m) { return m.enabled(); }));
}

std::string describe_end(const AccountView& view) {
    switch (view.device) {
        case DeviceFlow::State::expired:
            return "The code has expired. Run `belay login` again for a new one.\n";
        case DeviceFlow::State::denied:
            return "The sign-in was cancelled at GitHub. Nothing was changed.\n";
        case DeviceFlow::State::failed:
            return plain_text(view.device_problem) + "\n";
        case DeviceFlow::State::idle:
            return "The sign-in was stopped.\n";
        case DeviceFlow::State::starting:
        case DeviceFlow::State::waiting:
        case DeviceFlow::State::success:
            return {};
    }
    return {};
}

}  // namespace

std::string LoginStory::bold(std::string_view text) const {
    return colour_ == Colour::ansi ? "\x1b[1m" + std::string(text) + "\x1b[0m" : std::string(text);
}

std::string LoginStory::tell(const AccountView& view, Mono now) {
    if (end_ != LoginEnd::going) {
        return {};
    }
    std::string text;
    if (!opened_) {
        opened_ = true;
        if (view.phase == Phase::signed_in && !view.login.empty()) {
            text += "Signed in as " + plain_text(view.login) +
                    "; a new sign-in takes its place when it succeeds.\n";
        }
    }
    text += tell_flow(view);
    if (live_ && view.device == DeviceFlow::State::success) {
        text += tell_account(view, now);
    }
    return text;
}

std::string LoginStory::tell_flow(const AccountView& view) {
    using State = DeviceFlow::State;
    std::string text;
    const bool changed = view.device != last_;
    const bool alive = view.device == State::starting || view.device == State::waiting;
    if (changed && view.device == State::waiting) {
        text += "\n  Your code    " + bold(plain_text(view.user_code)) + "\n  Enter it at  " +
                bold(plain_text(view.verification_url)) +
                "\n\nWaiting for you to confirm there. Ctrl+C stops.\n";
    }
    if (alive && view.device_offline != offline_) {
        text += view.device_offline ? "GitHub cannot be reached; trying again by itself.\n"
                                    : "GitHub answers again.\n";
    }
    if (alive && view.device_slowed && !slowed_) {
        text += "GitHub asked for a slower pace; still waiting.\n";
    }
    if (!alive && view.device != State::success &&
        (live_ ? changed : !view.device_problem.empty())) {
        end_ = LoginEnd::failed;
        text += live_ ? describe_end(view) : plain_text(view.device_problem) + "\n";
    }
    live_ = live_ || alive;
    offline_ = alive && view.device_offline;
    slowed_ = view.device_slowed;
    last_ = view.device;
    return text;
}

std::string LoginStory::tell_account(const AccountView& view, Mono now) {
    switch (view.phase) {
        case Phase::starting:
        case Phase::unreachable:
            if (!checking_) {
                checking_ = true;
                return "GitHub has let you in. Checking Copilot ...\n";
            }
            return {};
        case Phase::refused:
        case Phase::needs_login: {
            end_ = LoginEnd::failed;
            std::string text =
                bold(plain_text(view.problem.title)) + "\n" + plain_text(view.problem.text) + "\n";
            return view.problem.url.empty() ? text : text + plain_text(view.problem.url) + "\n";
        }
        case Phase::signed_in: {
            // Plan and models follow within a second or two; without them the sign-in is good too.
            signed_in_at_ = std::min(signed_in_at_, now);
            const bool known = !view.login.empty() && view.catalogue != nullptr;
            if (!known && now < signed_in_at_ + seconds(5)) {
                return {};
            }
            end_ = LoginEnd::signed_in;
            std::string text = "\n" + bold("On belay.") + " " + describe_account(view) + "\n";
            for (const std::string& warning : view.warnings) {
                text += plain_text(warning) + "\n";
            }
            return text;
        }
        case Phase::signed_out:
            return {};
    }
    return {};
}

std::string describe_account(const AccountView& view) {
    switch (view.phase) {
        case Phase::signed_out:
            return "not signed in";
        case Phase::starting:
            return "signing in ...";
        case Phase::needs_login:
            return "GitHub asks for a new sign-in";
        case Phase::refused:
            return "refused: " + plain_text(view.problem.title);
        case Phase::unreachable:
            return "GitHub cannot be reached; trying again by itself";
        case Phase::signed_in:
            break;
    }
    std::string text = view.login.empty() ? "signed in" : plain_text(view.login);
    if (!view.plan.empty()) {
        text += ", Copilot " + plain_text(view.plan);
    }
    if (const std::string quota = quota_of(view); !quota.empty()) {
        text += ", " + plain_text(quota);
    }
    if (const size_t count = usable_models(view); count > 0) {
        text += ", " + std::to_string(count) + (count == 1 ? " model" : " models");
    }
    return text;
}

std::string plain_text(std::string_view text) {
    std::string out(text);
    std::replace_if(
        out.begin(), out.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return out;
}

}  // namespace belay::accounts
