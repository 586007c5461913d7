#pragma once
// What Redis says, as a value, and what it is told: the protocol (RESP2) by hiredis' reader and
// formatter, of which nothing else is used. Bounded; for one connection of one loop.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct redisReader;

namespace belay::redis {

struct Reply {
    enum class Kind : uint8_t { nil, integer, text, status, error, array };
    Kind kind = Kind::nil;
    int64_t number = 0;
    std::string text;
    std::vector<Reply> items;

    [[nodiscard]] bool is_error() const { return kind == Kind::error; }
    // Of an integer, or of a text that is one; 0 otherwise.
    [[nodiscard]] int64_t as_int() const;
    // The i-th item, or one that is nil.
    [[nodiscard]] const Reply& at(size_t i) const;
};

class Parser {
  public:
    static constexpr size_t kMostBytes = 16 << 20;  // of one reply
    static constexpr size_t kMostItems = 1 << 16;   // of one array

    Parser();
    ~Parser();
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;

    // Takes what has arrived. False when it is no reply, or one beyond the bounds: the connection
    // is of no use any more.
    [[nodiscard]] bool feed(std::string_view bytes);
    // The next whole reply; nothing while more bytes are needed.
    [[nodiscard]] Result<std::optional<Reply>> next();

  private:
    struct Free {
        void operator()(redisReader* reader) const;
    };
    std::unique_ptr<redisReader, Free> reader_;
};

// Appends the command to `out` as the server reads it.
void write_command(std::string& out, const std::vector<std::string_view>& words);

}  // namespace belay::redis
