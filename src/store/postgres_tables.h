#pragma once
// The ledger's tables in PostgreSQL (postgres_schema.h), written by any number of Belays. Each
// transaction first takes the one row of belay_ledger: writers stand in line for a few
// milliseconds, a commit whose answer was lost is over before it is asked for, and no two can wait
// for each other.
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "store/ledger_tables.h"
#include "store/postgres.h"
#include "store/postgres_url.h"

namespace belay::store {

class PostgresTables final : public LedgerTables {
  public:
    struct Options {
        seconds connect_timeout{3};             // per host of the URL
        milliseconds statement_timeout{5'000};  // at the server, and nearly so here
    };
    PostgresTables(const PostgresUrl& url, const Options& options);

    [[nodiscard]] Result<void> connect() override;
    void disconnect() override;
    // Nothing: each transaction is told.
    [[nodiscard]] SegmentName saved() const override { return {}; }
    [[nodiscard]] Result<Begun> begin(SegmentName segment) override;
    [[nodiscard]] Result<void> commit() override;

    [[nodiscard]] Result<void> append(int64_t first_seq, const BatchFacts& facts,
                                      std::string_view rows) override;
    [[nodiscard]] Result<void> insert(int64_t first_seq, const BatchFacts& facts,
                                      std::string_view rows, SegmentName mark) override;
    [[nodiscard]] Result<void> remove(int64_t first, int64_t last) override;
    [[nodiscard]] Result<std::optional<Row>> next(int64_t after) override;
    [[nodiscard]] Result<BatchFacts> facts_of(int64_t first_seq) override;
    [[nodiscard]] Result<std::vector<Size>> newest(int64_t count) override;
    [[nodiscard]] Result<std::vector<Span>> older_than(int64_t ms, int64_t count) override;
    [[nodiscard]] Result<void> add_sums(const std::vector<Rollup::Sum>& sums) override;
    [[nodiscard]] Result<std::vector<ledger::ScopeSum>> follow(bool anew) override;

  private:
    struct Charged {
        int64_t cost = 0;
        int64_t premium = 0;
    };
    using Charges = std::unordered_map<int64_t, Charged>;  // by series

    [[nodiscard]] Mono deadline() const;
    [[nodiscard]] Result<PgResult> ask(const std::string& sql,
                                       const std::vector<PgParameter>& parameters);
    void note_own();
    [[nodiscard]] Result<void> find_series(const std::vector<Rollup::Sum>& sums);

    const PostgresUrl& url_;
    const Options options_;
    const std::string setup_;
    std::optional<PgConnection> connection_;
    std::unordered_map<std::string, int64_t> ids_;  // of series used of late, by kind and name
    Begun begun_;
    SegmentName segment_;
    int64_t appended_ = 0;  // requests, in this transaction

    // For follow().
    bool following_ = false;
    int64_t cursor_ = 0;    // the batch from which on changes are not known
    Charges known_;         // totals, as they were before cursor_
    Charges own_;           // added by this process since the last follow()
    Charges pending_;       // in this transaction
    SegmentName in_doubt_;  // whose commit may have failed; pending_ is its
};

}  // namespace belay::store
