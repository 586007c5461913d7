#pragma once
// `belay login`: what the terminal says while a sign-in goes on. Told from the account's views, in
// order; each thing is said once. Pure: the caller prints, waits and stops.
#include <string>
#include <string_view>

#include "accounts/service.h"
#include "base/clock.h"

namespace belay::accounts {

enum class LoginEnd : uint8_t { going, signed_in, failed };

class LoginStory {
  public:
    enum class Colour : uint8_t { none, ansi };
    explicit LoginStory(Colour colour) : colour_(colour) {}

    // What is to be printed for this view (whole lines), "" when there is nothing new.
    [[nodiscard]] std::string tell(const AccountView& view, Mono now);
    [[nodiscard]] LoginEnd end() const { return end_; }

  private:
    [[nodiscard]] std::string tell_flow(const AccountView& view);
    [[nodiscard]] std::string tell_account(const AccountView& view, Mono now);
    [[nodiscard]] std::string bold(std::string_view text) const;

    Colour colour_;
    LoginEnd end_ = LoginEnd::going;
    DeviceFlow::State last_ = DeviceFlow::State::idle;
    bool opened_ = false;
    bool live_ = false;  // our flow has begun
    bool offline_ = false;
    bool slowed_ = false;
    bool checking_ = false;
    Mono signed_in_at_ = Mono::max();
};

// "octocat, Copilot Pro+, 5,120 of 7,000 credits left (73 %), resets 1 Oct, 31 models": one line
// for the start-up text; says what is missing when nobody is signed in.
[[nodiscard]] std::string describe_account(const AccountView& view);

// Control bytes replaced: text from outside cannot move the cursor or colour the screen.
[[nodiscard]] std::string plain_text(std::string_view text);

}  // namespace belay::accounts
