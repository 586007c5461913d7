#include "store/postgres.h"

#include <poll.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "base/log.h"

namespace belay::store {

namespace {

Error unreachable(std::string_view detail) {
    return gateway_error(Kind::upstream_unavailable, "the database cannot be reached",
                         log::scrub(detail));
}

void ignore_notice(void*, const char*) {}

// Names and values as libpq wants them, owned by others; a later one replaces an earlier one.
class Settings {
  public:
    void add(const char* name, const char* value) {
        names_.push_back(name);
        values_.push_back(value);
    }
    [[nodiscard]] const char* const* names() {
        names_.push_back(nullptr);
        return names_.data();
    }
    [[nodiscard]] const char* const* values() {
        values_.push_back(nullptr);
        return values_.data();
    }

  private:
    std::vector<const char*> names_;
    std::vector<const char*> values_;
};

PGconn* connect(const Libpq& pq, const PostgresUrl& url, const std::string& timeout) {
    Settings settings;
    settings.add("application_name", "belay");
    settings.add("connect_timeout", timeout.c_str());
    // A standby cannot be written to: with several hosts, the one that can is looked for.
    settings.add("target_session_attrs", "read-write");
    settings.add("gssencmode", "disable");
    settings.add("keepalives_idle", "10");
    settings.add("keepalives_interval", "5");
    settings.add("keepalives_count", "3");
    settings.add("tcp_user_timeout", "20000");
    for (const auto& [name, value] : url.settings) {
        settings.add(name.c_str(), value.c_str());
    }
    if (!url.password.empty()) {
        settings.add("password", url.password.reveal().c_str());
    }
    settings.add("client_encoding", "UTF8");
    return pq.PQconnectdbParams(settings.names(), settings.values(), 0);
}

}  // namespace

bool PgResult::is_null(int row, int column) const {
    return pq_->PQgetisnull(result_.get(), row, column) != 0;
}

std::string_view PgResult::text(int row, int column) const {
    return {pq_->PQgetvalue(result_.get(), row, column),
            static_cast<size_t>(pq_->PQgetlength(result_.get(), row, column))};
}

int64_t PgResult::integer(int row, int column) const {
    const std::string_view digits = text(row, column);
    int64_t number = 0;
    (void)std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return number;
}

int64_t PgResult::number(int row, int column) const {
    const std::string_view bytes = text(row, column);
    if (bytes.empty()) {
        return 0;
    }
    uint64_t number = (static_cast<unsigned char>(bytes.front()) & 0x80U) != 0 ? ~uint64_t{0} : 0;
    for (const char byte : bytes) {
        number = number << 8U | static_cast<unsigned char>(byte);
    }
    return static_cast<int64_t>(number);
}

Result<PgConnection> PgConnection::open(const PostgresUrl& url, seconds timeout) {
    const Libpq& pq = *TRY(Libpq::load());
    PgConnection connection(pq, connect(pq, url, std::to_string(timeout.count())));
    PGconn* handle = connection.connection_.get();
    if (handle == nullptr || pq.PQstatus(handle) != CONNECTION_OK) {
        return unreachable(handle != nullptr ? pq.PQerrorMessage(handle) : "out of memory");
    }
    pq.PQsetNoticeProcessor(handle, ignore_notice, nullptr);
    // Sending waits in flush(), where the deadline is known.
    if (pq.PQsetnonblocking(handle, 1) != 0) {
        return connection.lost();
    }
    return connection;
}

Result<PgResult> PgConnection::run(const std::string& sql, Mono deadline) {
    std::vector<PgResult> results = TRY(run_all(sql, deadline));
    return std::move(results.back());
}

Result<std::vector<PgResult>> PgConnection::run_all(const std::string& sql, Mono deadline) {
    return finish(pq_->PQsendQuery(connection_.get(), sql.c_str()), deadline);
}

Result<PgResult> PgConnection::query(const char* sql, const std::vector<std::string>& parameters,
                                     Mono deadline) {
    std::vector<const char*> values;
    values.reserve(parameters.size());
    for (const std::string& parameter : parameters) {
        values.push_back(parameter.c_str());
    }
    std::vector<PgResult> results =
        TRY(finish(pq_->PQsendQueryParams(connection_.get(), sql, static_cast<int>(values.size()),
                                          nullptr, values.data(), nullptr, nullptr, 0),
                   deadline));
    return std::move(results.back());
}

Result<PgResult> PgConnection::query_binary(const std::string& sql,
                                            const std::vector<PgParameter>& parameters,
                                            Mono deadline) {
    constexpr Oid kBytea = 17;
    std::vector<const char*> values;
    std::vector<Oid> types;
    std::vector<int> lengths;
    std::vector<int> formats;
    for (const PgParameter& parameter : parameters) {
        // An empty view may have no address, which would be NULL.
        values.push_back(parameter.bytes.data() != nullptr ? parameter.bytes.data() : "");
        types.push_back(parameter.is_binary ? kBytea : 0);
        lengths.push_back(static_cast<int>(parameter.bytes.size()));
        formats.push_back(parameter.is_binary ? 1 : 0);
    }
    std::vector<PgResult> results = TRY(finish(
        pq_->PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()),
                               types.data(), values.data(), lengths.data(), formats.data(), 1),
        deadline));
    return std::move(results.back());
}

std::string_view PgConnection::parameter(const char* name) const {
    const char* value = pq_->PQparameterStatus(connection_.get(), name);
    return value != nullptr ? value : "";
}

// All results are taken, for only then the connection is ready again; the first error counts.
Result<std::vector<PgResult>> PgConnection::finish(int sent, Mono deadline) {
    if (sent != 1) {
        return lost();
    }
    TRY(flush(deadline));
    std::vector<PgResult> results;
    std::optional<Error> error;
    while (PGresult* result = TRY(next(deadline))) {
        const ExecStatusType status = pq_->PQresultStatus(result);
        results.emplace_back(*pq_, result);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && !error) {
            error = error_of(result);
        }
    }
    if (pq_->PQstatus(connection_.get()) != CONNECTION_OK) {
        alive_ = false;
    }
    if (error) {
        return std::move(*error);
    }
    if (results.empty()) {
        return lost();
    }
    return results;
}

Result<void> PgConnection::flush(Mono deadline) {
    for (;;) {
        const int left = pq_->PQflush(connection_.get());
        if (left == 0) {
            return {};
        }
        if (left < 0) {
            return lost();
        }
        // The server may want to be read before it reads on.
        TRY(wait(POLLIN | POLLOUT, deadline));
        if (pq_->PQconsumeInput(connection_.get()) == 0) {
            return lost();
        }
    }
}

Result<PGresult*> PgConnection::next(Mono deadline) {
    while (pq_->PQisBusy(connection_.get()) != 0) {
        TRY(wait(POLLIN, deadline));
        if (pq_->PQconsumeInput(connection_.get()) == 0) {
            return lost();
        }
    }
    return pq_->PQgetResult(connection_.get());
}

Result<void> PgConnection::wait(short events, Mono deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - system_clock().mono());
        pollfd socket{pq_->PQsocket(connection_.get()), events, 0};
        const int ready = left.count() > 0 ? ::poll(&socket, 1, static_cast<int>(left.count())) : 0;
        if (ready > 0) {
            return {};
        }
        if (ready == 0) {
            alive_ = false;
            return unreachable("it did not answer in time");
        }
        if (errno != EINTR) {
            return lost();
        }
    }
}

Error PgConnection::lost() {
    alive_ = false;
    return unreachable(pq_->PQerrorMessage(connection_.get()));
}

Error PgConnection::error_of(const PGresult* result) const {
    const char* code = pq_->PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* text = pq_->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (code == nullptr) {
        return unreachable(pq_->PQresultErrorMessage(result));
    }
    Error error = gateway_error(Kind::internal, "the database refused a statement",
                                log::scrub(text != nullptr ? text : ""));
    error.code = code;
    return error;
}

std::string render_array(const std::vector<std::optional<std::string_view>>& items) {
    std::string out = "{";
    for (const auto& item : items) {
        out += out.size() > 1 ? "," : "";
        if (!item) {
            out += "NULL";
            continue;
        }
        out += '"';
        for (const char c : *item) {
            if (c == '"' || c == '\\') {
                out += '\\';
            }
            out += c;
        }
        out += '"';
    }
    return out + "}";
}

std::string quote_name(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        out += c == '"' ? "\"\"" : std::string(1, c);
    }
    return out + "\"";
}

}  // namespace belay::store
