#pragma once
// HTTP POST for threads that may wait: one event loop with a client of its own, so that a slow
// receiver never holds a loop of the gateway.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/http_client.h"
#include "net/loops.h"

namespace belay::observe {

class Poster {
  public:
    // `context` has the proxy and the certificates of the process.
    explicit Poster(std::shared_ptr<net::ClientContext> context);
    ~Poster();  // after the last post()
    Poster(const Poster&) = delete;
    Poster& operator=(const Poster&) = delete;

    using Headers = std::vector<std::pair<std::string, std::string>>;
    // The reply's status; an Error when there was none. Not from a loop; at most kPatience.
    static constexpr milliseconds kPatience{5'000};
    [[nodiscard]] Result<int> post(const std::string& url, Headers headers, std::string body);

  private:
    net::Loops loops_{1};
    std::unique_ptr<net::HttpClient> client_;
    std::unique_ptr<net::ClientFetcher> fetcher_;
};

}  // namespace belay::observe
