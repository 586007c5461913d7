#pragma once
// One request, one whole reply, off the hot path: device flow, token exchange, account, catalogue.
// The port behind which those callers stand, so that a test answers in the network's place. The
// fetcher never follows redirects, verifies TLS, honours the proxy and CA settings of the process,
// and does what it is told about the address: who may be asked is decided by the caller.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/task.h"

namespace belay::net {

struct FetchRequest {
    std::string method = "GET";
    std::string url;  // absolute, http or https
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    milliseconds timeout{20'000};  // resolve, connect, send and the whole reply
    size_t body_max = 4u << 20;    // a longer reply is an error, not a cut text
};

struct FetchReply {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  // as received, trimmed
    std::string body;                                          // decoded when it was gzip

    // The first header of that name, ASCII case-insensitive; "" when absent.
    [[nodiscard]] std::string_view header(std::string_view name) const {
        for (const auto& [key, value] : headers) {
            if (key.size() == name.size() && equal_ignoring_case(key, name)) {
                return value;
            }
        }
        return {};
    }

  private:
    static bool equal_ignoring_case(std::string_view a, std::string_view b) {
        for (size_t i = 0; i < a.size(); ++i) {
            const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; };
            if (lower(a[i]) != lower(b[i])) {
                return false;
            }
        }
        return true;
    }
};

class Fetcher {
  public:
    virtual ~Fetcher() = default;
    // Any HTTP status is a reply. An Error means that there was none: Kind::upstream_unavailable
    // (resolve, connect, TLS, reset), Kind::timeout, Kind::upstream_malformed, Kind::too_large.
    virtual Task<Result<FetchReply>> fetch(FetchRequest request) = 0;
};

}  // namespace belay::net
