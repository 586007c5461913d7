#pragma once
// Opens a TCP connection to a host, or one to a Unix socket: its addresses one after another,
// within a deadline. TLS is started by the caller (Conn::start_tls).
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/conn.h"
#include "net/loop.h"
#include "net/resolver.h"
#include "net/task.h"

namespace belay::net {

struct DialLimits {
    milliseconds resolve{5'000};
    milliseconds connect{3'000};
};

// `host`: a name, an address, or the path of a Unix socket ("/run/x.sock"; then `port` says
// nothing). `cancelled` may be null; once it is true, the attempt ends with Kind::cancelled at its
// next step.
[[nodiscard]] Task<Result<std::unique_ptr<Conn>>> dial(Loop& loop, Resolver& resolver,
                                                       std::string host, uint16_t port,
                                                       DialLimits limits, Mono deadline,
                                                       const bool* cancelled = nullptr);

}  // namespace belay::net
