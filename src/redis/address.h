#pragma once
// Where a Redis is and how to sign in there: from a URL or from parts.
//
//   redis://[user[:password]@]host[:port][/db]      plain TCP
//   rediss://...                                    TLS
//   unix://[user[:password]@]/path/of.sock[?db=n]   a Unix socket
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace belay::redis {

struct Address {
    std::string host = "127.0.0.1";  // or the path of a socket
    uint16_t port = 6379;
    bool tls = false;
    std::string username;  // "" = Redis' default user
    Secret password;       // "" = none
    int db = 0;

    [[nodiscard]] bool is_socket() const { return host.starts_with('/'); }
    // For people: without the password.
    [[nodiscard]] std::string shown() const;
};

// The error's message says what is wrong, without the text (it may hold a password).
[[nodiscard]] Result<Address> parse_redis_url(std::string_view text);

}  // namespace belay::redis
