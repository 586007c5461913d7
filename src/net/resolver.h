#pragma once
// Names to addresses, off the loops: getaddrinfo on two helper threads, answers kept a minute, a
// stale answer used for up to an hour while the resolver fails. Literal addresses and localhost
// need no thread.
#include <sys/socket.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/task.h"

namespace belay::net {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] bool v6() const { return storage.ss_family == AF_INET6; }
};

class Resolver {
  public:
    Resolver() = default;
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    // On the calling loop. Addresses in the order the system prefers.
    Task<Result<std::vector<Address>>> resolve(Loop& loop, std::string host, uint16_t port,
                                               Mono deadline);

  private:
    struct Job;
    struct Known {
        std::vector<Address> addresses;
        Mono fetched{};
    };
    void start_threads();
    void work();

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::shared_ptr<Job>> jobs_;
    std::map<std::string, Known, std::less<>> known_;
    std::vector<std::thread> threads_;
    bool stopping_ = false;
};

}  // namespace belay::net
