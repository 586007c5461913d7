#pragma once
// One connection to PostgreSQL: statements with a deadline, results that free themselves. A
// connection that missed a deadline or was cut is not alive() and has to be thrown away. One thread
// at a time.
//
// Errors: `code` is the server's SQLSTATE, "" when the server could not be asked; `detail` has its
// words, scrubbed.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/libpq.h"
#include "store/postgres_url.h"

namespace belay::store {

class PgResult {
  public:
    PgResult(const Libpq& pq, PGresult* result) : pq_(&pq), result_(result, pq.PQclear) {}

    [[nodiscard]] int rows() const { return pq_->PQntuples(result_.get()); }
    [[nodiscard]] bool is_null(int row, int column) const;
    [[nodiscard]] std::string_view text(int row, int column) const;
    [[nodiscard]] int64_t integer(int row, int column) const;  // 0 when it is none
    // The same of a binary answer: smallint, integer, bigint.
    [[nodiscard]] int64_t number(int row, int column) const;

  private:
    const Libpq* pq_;
    std::unique_ptr<PGresult, void (*)(PGresult*)> result_;
};

// A parameter of a statement. Text ends with a NUL behind its bytes, as std::string's does.
struct PgParameter {
    std::string_view bytes;
    bool is_binary = false;  // a bytea
    PgParameter(const std::string& text) : bytes(text) {}
    static PgParameter binary(std::string_view bytes) {
        PgParameter parameter;
        parameter.bytes = bytes;
        parameter.is_binary = true;
        return parameter;
    }

  private:
    PgParameter() = default;
};

class PgConnection {
  public:
    // Tries each host of the URL for at most `timeout` and takes the first that accepts writes.
    [[nodiscard]] static Result<PgConnection> open(const PostgresUrl& url, seconds timeout);

    // Any number of statements, without parameters; the result of the last one.
    [[nodiscard]] Result<PgResult> run(const std::string& sql, Mono deadline);
    // The results of all of them.
    [[nodiscard]] Result<std::vector<PgResult>> run_all(const std::string& sql, Mono deadline);
    // One statement with $1, $2, ... as text.
    [[nodiscard]] Result<PgResult> query(const char* sql,
                                         const std::vector<std::string>& parameters, Mono deadline);

    // The same with an answer in PostgreSQL's binary formats: for PgResult::number() and bytes.
    [[nodiscard]] Result<PgResult> query_binary(const std::string& sql,
                                                const std::vector<PgParameter>& parameters,
                                                Mono deadline);

    [[nodiscard]] bool alive() const { return alive_; }
    [[nodiscard]] std::string_view parameter(const char* name) const;  // "server_encoding"

  private:
    PgConnection(const Libpq& pq, PGconn* connection)
        : pq_(&pq), connection_(connection, pq.PQfinish) {}

    [[nodiscard]] Result<std::vector<PgResult>> finish(int sent, Mono deadline);
    [[nodiscard]] Result<void> flush(Mono deadline);
    [[nodiscard]] Result<PGresult*> next(Mono deadline);
    [[nodiscard]] Result<void> wait(short events, Mono deadline);
    [[nodiscard]] Error lost();
    [[nodiscard]] Error error_of(const PGresult* result) const;

    const Libpq* pq_;
    std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
    bool alive_ = true;
};

// An array as PostgreSQL reads it; an absent item is NULL.
[[nodiscard]] std::string render_array(const std::vector<std::optional<std::string_view>>& items);
// A name in SQL: "my ""schema""".
[[nodiscard]] std::string quote_name(std::string_view name);

}  // namespace belay::store
