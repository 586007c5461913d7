#include "net/dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace belay::net {
namespace {

Result<std::vector<Address>> unix_address(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path) {
        return gateway_error(Kind::invalid_request, "the path of the socket is too long: " + path);
    }
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    Address address;
    std::memcpy(&address.storage, &name, sizeof name);
    address.size = sizeof name;
    return std::vector<Address>{address};
}

std::string name_of(const std::string& host, uint16_t port) {
    return host.starts_with('/') ? host : host + ":" + std::to_string(port);
}

}  // namespace

Task<Result<std::unique_ptr<Conn>>> dial(Loop& loop, Resolver& resolver, std::string host,
                                         uint16_t port, DialLimits limits, Mono deadline,
                                         const bool* cancelled) {
    auto resolved = unix_address(host);
    if (!host.starts_with('/')) {
        resolved = co_await resolver.resolve(loop, host, port,
                                             std::min(deadline, loop.now() + limits.resolve));
    }
    if (!resolved) {
        co_return std::move(resolved).error();
    }
    auto& addresses = *resolved;
    const auto is_cancelled = [cancelled] { return cancelled != nullptr && *cancelled; };
    const Mono until = std::min(deadline, loop.now() + limits.connect);
    std::string reason = "timed out";
    for (size_t i = 0; i < addresses.size(); ++i) {
        const Address& address = addresses[i];
        // A dead IPv6 path must not cost the user seconds: it gets a quarter of one while another
        // family is still to be tried (RFC 8305's idea, one at a time).
        bool other_family = false;
        for (size_t j = i + 1; j < addresses.size(); ++j) {
            other_family = other_family || addresses[j].v6() != address.v6();
        }
        const Mono limit = other_family ? std::min(until, loop.now() + milliseconds(250)) : until;
        const int fd =
            socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            reason = std::strerror(errno);
            continue;
        }
        const int on = 1;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const int started =
            ::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size);
        if (started != 0 && errno != EINPROGRESS) {
            reason = std::strerror(errno);
            ::close(fd);
            continue;
        }
        auto conn = std::make_unique<Conn>(loop, fd);
        if (started != 0) {
            if (co_await conn->connected(limit) != Wake::ready) {
                if (is_cancelled()) {
                    co_return upstream_error(Kind::cancelled, "cancelled");
                }
                continue;
            }
            int failure = 0;
            socklen_t size = sizeof failure;
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size);
            if (failure != 0) {
                reason = std::strerror(failure);
                continue;
            }
        }
        if (is_cancelled()) {
            co_return upstream_error(Kind::cancelled, "cancelled");
        }
        co_return conn;
    }
    co_return upstream_error(Kind::upstream_unavailable, "Connection error. Could not connect to " +
                                                             name_of(host, port) + ": " + reason);
}

}  // namespace belay::net
