#include "net/resolver.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <cstring>

namespace belay::net {
namespace {

constexpr auto kFresh = std::chrono::seconds(60);
constexpr auto kStale = std::chrono::hours(1);
constexpr size_t kMaxKnown = 256;
constexpr size_t kMaxJobs = 1024;

void set_port(Address& address, uint16_t port) {
    if (address.v6()) {
        reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
    } else {
        reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
    }
}

bool parse_literal(const std::string& host, Address& address) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        address.size = sizeof(sockaddr_in);
        return true;
    }
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        address.size = sizeof(sockaddr_in6);
        return true;
    }
    return false;
}

std::vector<Address> lookup(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* found = nullptr;
    std::vector<Address> addresses;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
        return addresses;
    }
    for (addrinfo* a = found; a != nullptr && addresses.size() < 8; a = a->ai_next) {
        Address address;
        std::memcpy(&address.storage, a->ai_addr, a->ai_addrlen);
        address.size = a->ai_addrlen;
        addresses.push_back(address);
    }
    freeaddrinfo(found);
    return addresses;
}

}  // namespace

struct Resolver::Job {
    std::string host;
    Loop* loop = nullptr;
    Waiter waiter;
    std::vector<Address> addresses;  // written before the loop is told
    bool done = false;
};

Resolver::~Resolver() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& t : threads_) {
        t.join();
    }
}

void Resolver::start_threads() {
    while (threads_.size() < 2) {
        threads_.emplace_back([this] { work(); });
    }
}

void Resolver::work() {
    while (true) {
        std::shared_ptr<Job> job;
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
            if (stopping_) {
                return;
            }
            job = std::move(jobs_.front());
            jobs_.pop_front();
        }
        job->addresses = lookup(job->host);
        if (!job->addresses.empty()) {
            std::lock_guard lock(mutex_);
            if (known_.size() >= kMaxKnown) {
                known_.erase(known_.begin());
            }
            known_[job->host] = {job->addresses, std::chrono::steady_clock::now()};
        }
        Loop* loop = job->loop;
        loop->post([job = std::move(job)] {
            job->done = true;
            job->loop->wake(job->waiter, Wake::ready);
        });
    }
}

Task<Result<std::vector<Address>>> Resolver::resolve(Loop& loop, std::string host, uint16_t port,
                                                     Mono deadline) {
    std::vector<Address> addresses;
    Address literal;
    if (parse_literal(host == "localhost" ? "127.0.0.1" : host, literal)) {
        set_port(literal, port);
        addresses.push_back(literal);
        if (host == "localhost") {
            Address six;
            (void)parse_literal("::1", six);
            set_port(six, port);
            addresses.push_back(six);
        }
        co_return addresses;
    }
    auto job = std::make_shared<Job>();
    {
        std::lock_guard lock(mutex_);
        const auto known = known_.find(host);
        if (known != known_.end() && loop.now() - known->second.fetched < kFresh) {
            addresses = known->second.addresses;
        } else if (jobs_.size() < kMaxJobs) {
            job->host = host;
            job->loop = &loop;
            jobs_.push_back(job);
            start_threads();
        }
    }
    if (addresses.empty() && job->loop != nullptr) {
        wake_.notify_one();
        co_await loop.sleep_until(deadline, &job->waiter);
        addresses = job->done ? job->addresses : addresses;
        if (addresses.empty()) {
            std::lock_guard lock(mutex_);
            const auto known = known_.find(host);
            if (known != known_.end() && loop.now() - known->second.fetched < kStale) {
                addresses = known->second.addresses;
            }
        }
    }
    if (addresses.empty()) {
        co_return upstream_error(Kind::upstream_unavailable,
                                 "Connection error. The name " + host + " could not be resolved");
    }
    for (Address& a : addresses) {
        set_port(a, port);
    }
    co_return addresses;
}

}  // namespace belay::net
