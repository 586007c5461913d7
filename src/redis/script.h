#pragma once
// A Lua script that the server runs whole, found there by its SHA-1 once it knows it.
#include <string>
#include <string_view>

namespace belay::redis {

class Script {
  public:
    explicit Script(std::string text);
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const std::string& sha1() const { return sha1_; }  // lower-case hex

  private:
    std::string text_;
    std::string sha1_;
};

}  // namespace belay::redis
