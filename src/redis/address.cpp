#include "redis/address.h"

#include <charconv>
#include <optional>

#include "wire/url.h"

namespace belay::redis {
namespace {

constexpr int kMostDb = 16'383;

Error bad(std::string what) {
    return caller_error(Kind::invalid_request,
                        "this is no address of a Redis: " + std::move(what) +
                            "; write redis://user:password@host:6379/0, rediss:// for TLS, or "
                            "unix:///path/of.sock");
}

std::optional<int> to_number(std::string_view text, int most) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0 ||
        value > most) {
        return std::nullopt;
    }
    return value;
}

// "user:password@" at the front, taken off.
void take_user(std::string_view& rest, Address& address, size_t end_of_authority) {
    const size_t at = rest.substr(0, end_of_authority).rfind('@');
    if (at == std::string_view::npos) {
        return;
    }
    const std::string_view user = rest.substr(0, at);
    const size_t colon = user.find(':');
    address.username = percent_decode(user.substr(0, colon));
    if (colon != std::string_view::npos) {
        address.password = Secret(percent_decode(user.substr(colon + 1)));
    }
    rest.remove_prefix(at + 1);
}

Result<void> take_host(std::string_view host, Address& address) {
    std::string_view port;
    if (host.starts_with('[')) {
        const size_t end = host.find(']');
        if (end == std::string_view::npos) {
            return bad("the bracket of its IPv6 address is open");
        }
        port = host.substr(end + 1);
        host = host.substr(1, end - 1);
        if (!port.empty() && !port.starts_with(':')) {
            return bad("something stands behind the IPv6 address");
        }
        port.remove_prefix(port.empty() ? 0 : 1);
    } else if (const size_t colon = host.find(':'); colon != std::string_view::npos) {
        port = host.substr(colon + 1);
        host = host.substr(0, colon);
    }
    if (!host.empty()) {
        address.host = std::string(host);
    }
    if (!port.empty()) {
        const auto number = to_number(port, 65'535);
        if (!number || *number == 0) {
            return bad("the port is no number from 1 to 65535");
        }
        address.port = static_cast<uint16_t>(*number);
    }
    return {};
}

Result<void> take_db(std::string_view text, Address& address) {
    if (text.empty()) {
        return {};
    }
    const auto number = to_number(text, kMostDb);
    if (!number) {
        return bad("the database is no number");
    }
    address.db = *number;
    return {};
}

}  // namespace

std::string Address::shown() const {
    if (is_socket()) {
        return host;
    }
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Address> parse_redis_url(std::string_view text) {
    const size_t colon = text.find("://");
    const std::string_view scheme = text.substr(0, colon);
    Address address;
    if (colon == std::string_view::npos ||
        (scheme != "redis" && scheme != "rediss" && scheme != "unix")) {
        return bad("it begins with neither redis://, rediss:// nor unix://");
    }
    address.tls = scheme == "rediss";
    std::string_view rest = text.substr(colon + 3);
    std::string query;
    if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
        query = std::string(rest.substr(mark + 1));
        rest = rest.substr(0, mark);
    }
    if (scheme == "unix") {
        take_user(rest, address, rest.size());
        if (!rest.starts_with('/')) {
            return bad("the path of its socket does not begin with '/'");
        }
        address.host = percent_decode(rest);
        TRY(take_db(query_value(query, "db"), address));
        return address;
    }
    take_user(rest, address, rest.find('/', rest.rfind('@') == rest.npos ? 0 : rest.rfind('@')));
    const size_t slash = rest.find('/');
    TRY(take_host(rest.substr(0, slash), address));
    TRY(take_db(slash == rest.npos ? std::string_view() : rest.substr(slash + 1), address));
    TRY(take_db(query_value(query, "db"), address));
    return address;
}

}  // namespace belay::redis
