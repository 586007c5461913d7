#pragma once
// The ledger's tables in PostgreSQL as they are at one moment, for its questions. Connections are
// kept for the next question. A server that is away is found so at once while it was so a moment
// ago.
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "store/ledger_view.h"
#include "store/postgres.h"
#include "store/postgres_url.h"

namespace belay::store {

// Thread-safe; outlives its views.
class PostgresViews {
  public:
    struct Options {
        seconds connect_timeout{3};  // per host of the URL
        // Of one question: a page over a large ledger may take its time, and no longer.
        milliseconds statement_timeout{20'000};
        milliseconds retry{1'000};  // between attempts to connect
    };
    PostgresViews(const PostgresUrl& url, const Options& options);

    [[nodiscard]] Result<std::unique_ptr<LedgerView>> open();

  private:
    class View;
    friend class View;
    [[nodiscard]] Result<PgConnection> connect();
    [[nodiscard]] Result<void> begin(PgConnection& connection) const;
    void give_back(PgConnection connection);

    const PostgresUrl& url_;
    const Options options_;
    const std::string setup_;
    std::mutex mutex_;
    std::vector<PgConnection> idle_;
    Mono next_attempt_{};
};

// The statements that begin a transaction's work: its timeout, and where the tables are.
[[nodiscard]] std::string render_setup(const PostgresUrl& url, milliseconds statement_timeout);

}  // namespace belay::store
