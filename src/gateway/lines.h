#pragma once
// Header lines written into room that was measured before: every answer has these.
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/money_text.h"

namespace belay::gateway {

// Names come with their colon and space.
class Lines {
  public:
    explicit Lines(size_t room) : out_(room, '\0'), at_(out_.data()) {}
    void text(std::string_view text) {
        std::memcpy(at_, text.data(), text.size());
        at_ += text.size();
    }
    void line(std::string_view name, std::string_view value) {
        text(name);
        text(value);
        text("\r\n");
    }
    void number(std::string_view name, int64_t value, std::string_view unit = {}) {
        text(name);
        if (value >= 0 && value <= 9) {
            *at_++ = static_cast<char>('0' + value);
        } else {
            at_ = std::to_chars(at_, at_ + kNumber, value).ptr;
        }
        text(unit);
        text("\r\n");
    }
    void usd(std::string_view name, NanoCredits amount) {
        text(name);
        at_ = write_usd(at_, amount);
        text("\r\n");
    }
    std::string take() {
        out_.resize(static_cast<size_t>(at_ - out_.data()));
        return std::move(out_);
    }

    static constexpr size_t kNumber = 20;  // bytes of the longest number

  private:
    std::string out_;
    char* at_;
};

}  // namespace belay::gateway
