#include "store/postgres_url.h"

#include <algorithm>
#include <array>

#include "wire/url.h"

namespace belay::store {

namespace {

constexpr size_t kUrlBytes = 8192;

// What may be given after '?' and goes to libpq as it is.
constexpr std::array<std::string_view, 27> kPassed = {"application_name",
                                                      "channel_binding",
                                                      "connect_timeout",
                                                      "gssencmode",
                                                      "host",
                                                      "hostaddr",
                                                      "keepalives",
                                                      "keepalives_count",
                                                      "keepalives_idle",
                                                      "keepalives_interval",
                                                      "options",
                                                      "passfile",
                                                      "port",
                                                      "require_auth",
                                                      "requirepeer",
                                                      "service",
                                                      "ssl_max_protocol_version",
                                                      "ssl_min_protocol_version",
                                                      "sslcert",
                                                      "sslcrl",
                                                      "sslkey",
                                                      "sslmode",
                                                      "sslpassword",
                                                      "sslrootcert",
                                                      "sslsni",
                                                      "target_session_attrs",
                                                      "tcp_user_timeout"};

// What Prisma's client understands and has no meaning for this one.
constexpr std::array<std::string_view, 9> kPrisma = {
    "connection_limit",      "pool_timeout", "pgbouncer",   "socket_timeout",
    "statement_cache_size",  "sslaccept",    "sslidentity", "max_idle_connection_lifetime",
    "single_use_connections"};

template <size_t N>
bool has(const std::array<std::string_view, N>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

Error refused(std::string_view what) {
    return caller_error(Kind::invalid_request, "database_url: " + std::string(what),
                        "database_url");
}

bool is_port(std::string_view text) {
    return text.empty() ||
           (text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos);
}

std::string_view take_until(std::string_view& text, std::string_view stops) {
    const size_t end = std::min(text.find_first_of(stops), text.size());
    const std::string_view part = text.substr(0, end);
    text.remove_prefix(end);
    return part;
}

class Reader {
  public:
    explicit Reader(std::string_view rest) : rest_(rest) {}

    Result<PostgresUrl> read() {
        std::string_view authority = take_until(rest_, "/?#");
        const size_t at = authority.rfind('@');
        if (at != std::string_view::npos) {
            read_user(authority.substr(0, at));
            authority.remove_prefix(at + 1);
        }
        if (rest_.find('@') != std::string_view::npos) {
            return refused("a '/', '?' or '#' in the password has to be written %2F, %3F, %23");
        }
        TRY(read_hosts(authority));
        if (rest_.starts_with('/')) {
            rest_.remove_prefix(1);
            set("dbname", percent_decode(take_until(rest_, "?#")));
        }
        if (rest_.starts_with('#')) {
            return refused("'#' in it has to be written %23");
        }
        TRY(read_parameters());
        return std::move(url_);
    }

  private:
    void read_user(std::string_view info) {
        const std::string_view user = take_until(info, ":");
        set("user", percent_decode(user));
        if (!info.empty()) {
            url_.password = Secret(percent_decode(info.substr(1)));
        }
    }

    Result<void> read_hosts(std::string_view list) {
        std::string hosts;
        std::string ports;
        for (bool first = true; first || !list.empty(); first = false) {
            std::string_view host = take_until(list, ",");
            list.remove_prefix(list.empty() ? 0 : 1);
            std::string_view port;
            if (const size_t colon = host.rfind(':');
                colon != std::string_view::npos && host.find(']', colon) == host.npos) {
                port = host.substr(colon + 1);
                host = host.substr(0, colon);
            }
            if (host.starts_with('[') && host.ends_with(']')) {
                host = host.substr(1, host.size() - 2);
            }
            if (!is_port(port)) {
                return refused(
                    "after the host there is no port number; a '/', '?', '#', ':' or '@' in the "
                    "password has to be written %2F, %3F, %23, %3A, %40");
            }
            hosts += (first ? "" : ",") + percent_decode(host);
            ports += (first ? "" : ",") + std::string(port);
        }
        set("host", std::move(hosts));
        if (ports.find_first_not_of(',') != std::string::npos) {
            set("port", std::move(ports));
        }
        return {};
    }

    Result<void> read_parameters() {
        while (!rest_.empty() && rest_.front() != '#') {
            rest_.remove_prefix(1);  // '?' or '&'
            std::string_view pair = take_until(rest_, "&#");
            const std::string name = percent_decode(take_until(pair, "="));
            const std::string value = percent_decode(pair.substr(pair.empty() ? 0 : 1));
            TRY(read_parameter(name, value));
        }
        if (!rest_.empty()) {
            return refused("'#' in it has to be written %23");
        }
        return {};
    }

    Result<void> read_parameter(const std::string& name, const std::string& value) {
        const bool endless = name == "connect_timeout" && value == "0";
        if (name.empty() || has(kPrisma, name) || endless) {
            return {};
        }
        if (name == "schema") {
            return read_schema(value);
        }
        if (name == "ssl" && (value == "true" || value == "1")) {
            set("sslmode", "require");
            return {};
        }
        if (name == "user" || name == "dbname") {
            set(name, value);
            return {};
        }
        if (name == "password") {
            url_.password = Secret(value);
            return {};
        }
        if (!has(kPassed, name)) {
            // The name may be a piece of a password with a '?' in it.
            return refused("a parameter after '?' is unknown to PostgreSQL's client");
        }
        set(name, value);
        return {};
    }

    Result<void> read_schema(const std::string& value) {
        if (value.size() > 63 || value.find('\0') != std::string::npos) {
            return refused("the parameter schema is no name of a schema");
        }
        url_.schema = value;
        return {};
    }

    // Later ones win, as with libpq.
    void set(const std::string& name, std::string value) {
        if (value.empty()) {
            return;
        }
        for (auto& setting : url_.settings) {
            if (setting.first == name) {
                setting.second = std::move(value);
                return;
            }
        }
        url_.settings.emplace_back(name, std::move(value));
    }

    std::string_view rest_;
    PostgresUrl url_;
};

}  // namespace

std::string PostgresUrl::describe() const {
    const auto find = [this](std::string_view name) -> std::string {
        for (const auto& setting : settings) {
            if (setting.first == name) {
                return setting.second;
            }
        }
        return {};
    };
    const std::string port = find("port");
    return find("host") + (port.empty() ? "" : ":" + port) + "/" + find("dbname");
}

Result<PostgresUrl> parse_postgres_url(std::string_view text) {
    for (const std::string_view scheme : {"postgresql://", "postgres://"}) {
        if (text.starts_with(scheme) && text.size() <= kUrlBytes) {
            if (text.find('\0') != std::string_view::npos ||
                percent_decode(text).find('\0') != std::string::npos) {
                return refused("it has a NUL byte");
            }
            return Reader(text.substr(scheme.size())).read();
        }
    }
    return refused("it has to begin with postgresql:// (and to be shorter than 8 KiB)");
}

}  // namespace belay::store
