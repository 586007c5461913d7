#pragma once
// PostgreSQL's client library, loaded when a database_url asks for it: Belay is one file and starts
// without it. Functions have their own names and types (libpq's documentation, "libpq — C
// Library"): `pq.PQfinish(connection)`.
#include <libpq-fe.h>

#include "base/result.h"

namespace belay::store {

// clang-format off
#define BELAY_LIBPQ(X)                                                                        \
    X(PQconnectdbParams) X(PQstatus) X(PQfinish) X(PQerrorMessage) X(PQparameterStatus)       \
    X(PQsetNoticeProcessor) X(PQsetnonblocking) X(PQsocket) X(PQsendQuery)                    \
    X(PQsendQueryParams) X(PQflush) X(PQconsumeInput) X(PQisBusy) X(PQgetResult)              \
    X(PQresultStatus) X(PQresultErrorField) X(PQresultErrorMessage) X(PQntuples)              \
    X(PQgetvalue) X(PQgetlength) X(PQgetisnull) X(PQclear)
// clang-format on

struct Libpq {
#define BELAY_DECLARE(name) decltype(&::name) name = nullptr;
    BELAY_LIBPQ(BELAY_DECLARE)
#undef BELAY_DECLARE

    // Once per process; the library stays. Fails, saying what to install, when it is not there.
    [[nodiscard]] static Result<const Libpq*> load();
};

}  // namespace belay::store
