#include "store/ledger_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "store/row_codec.h"

namespace belay::store {

namespace {

// So many neighbours of one size make one of the next; a batch as large as kMergedEnough is left
// alone.
constexpr size_t kFan = 8;
constexpr int64_t kMergedEnough = 1024;
constexpr int64_t kMergedMax = 2048;
constexpr int64_t kMergedBytesMax = 2 << 20;
constexpr int64_t kDropMax = 64;  // batches deleted in one transaction

int level_of(int64_t requests) {
    int level = 0;
    for (; requests >= static_cast<int64_t>(kFan); requests /= static_cast<int64_t>(kFan)) {
        ++level;
    }
    return level;
}

// Neighbours that become one batch.
struct Run {
    int64_t first = 0;
    int64_t last = 0;
    int64_t requests = 0;
    int64_t bytes = 0;
    size_t count = 0;
    int level = 0;

    // The batch before them joins them, if they are not complete without it.
    bool takes(const LedgerTables::Size& batch) {
        const int step = level_of(batch.requests);
        if (batch.requests >= kMergedEnough || requests + batch.requests > kMergedMax ||
            bytes + batch.bytes > kMergedBytesMax || (step > level && count >= kFan)) {
            return false;
        }
        last = count == 0 ? batch.first_seq : last;
        first = batch.first_seq;
        requests += batch.requests;
        bytes += batch.bytes;
        level = std::max(level, step);
        ++count;
        return true;
    }
    [[nodiscard]] bool is_worth_it() const {
        return count >= kFan || (count > 1 && requests >= kMergedEnough);
    }
};

}  // namespace

template <class Work>
auto LedgerWriter::in_transaction(SegmentName from, const Work& work)
    -> decltype(work(LedgerTables::Begun{})) {
    TRY(tables_->connect());
    const Result<LedgerTables::Begun> begun = tables_->begin(from);
    if (!begun.ok()) {
        tables_->disconnect();
        return begun.error();
    }
    auto done = work(*begun);
    if (!done.ok()) {
        tables_->disconnect();
        return done;
    }
    if (Result<void> committed = tables_->commit(); !committed.ok()) {
        tables_->disconnect();
        return committed.error();
    }
    return done;
}

Result<void> LedgerWriter::save(std::string_view rows, SegmentName from) {
    std::optional<std::string> renewed;
    if (!rollup_.read(rows)) {
        renewed = renew_rows(rows);  // an older Belay left them
        rows = *renewed;
        (void)rollup_.read(rows);
    }
    if (rollup_.facts().requests == 0) {
        return {};
    }
    return in_transaction(from, [&](const LedgerTables::Begun& begun) -> Result<void> {
        if (begun.saved) {
            return {};
        }
        TRY(tables_->append(begun.next_seq, rollup_.facts(), rows));
        return tables_->add_sums(rollup_.sums());
    });
}

Result<bool> LedgerWriter::merge_some(int64_t count) {
    return in_transaction({}, [&](const LedgerTables::Begun&) { return merge_among(count); });
}

// Runs of batches that are no larger than the step they have reached, from the newest back.
Result<bool> LedgerWriter::merge_among(int64_t count) {
    Run run;
    for (const LedgerTables::Size& batch : TRY(tables_->newest(count))) {
        if (run.takes(batch)) {
            continue;
        }
        if (run.is_worth_it()) {
            break;
        }
        run = Run();
        (void)run.takes(batch);
    }
    if (!run.is_worth_it()) {
        return false;
    }
    TRY(merge(run.first, run.last));
    return true;
}

// Rows refer to routes by their distance, so they stay true when batches are joined.
Result<void> LedgerWriter::merge(int64_t first, int64_t last) {
    BatchFacts facts;
    std::string rows;
    SegmentName mark;
    for (int64_t after = first - 1; after < last;) {
        const std::optional<LedgerTables::Row> batch = TRY(tables_->next(after));
        if (!batch) {
            break;
        }
        after = batch->first_seq;
        facts.absorb(TRY(tables_->facts_of(batch->first_seq)));
        rows += batch->rows;
        mark = batch->mark;
    }
    TRY(tables_->remove(first, last));
    return tables_->insert(first, facts, rows, mark);
}

Result<uint64_t> LedgerWriter::drop_some(int64_t ms) {
    return in_transaction({}, [&](const LedgerTables::Begun&) { return drop_among(ms); });
}

Result<uint64_t> LedgerWriter::drop_among(int64_t ms) {
    const std::vector<LedgerTables::Span> old = TRY(tables_->older_than(ms, kDropMax));
    if (old.empty()) {
        return uint64_t{0};
    }
    const int64_t newest = TRY(tables_->newest(1)).front().first_seq;
    uint64_t dropped = 0;
    for (const LedgerTables::Span& batch : old) {
        if (batch.last_ms < ms && batch.first_seq != newest) {
            TRY(tables_->remove(batch.first_seq, batch.first_seq));
            dropped += static_cast<uint64_t>(batch.requests);
        } else {
            dropped += TRY(drop_rows(batch, ms));
        }
    }
    return dropped;
}

// The newest batch stays, be it empty: its mark says what of the journal is saved.
Result<uint64_t> LedgerWriter::drop_rows(const LedgerTables::Span& batch, int64_t ms) {
    const std::optional<LedgerTables::Row> old = TRY(tables_->next(batch.first_seq - 1));
    std::string kept;
    RowWriter writer;
    for (RowReader reader(old->rows); const auto row = reader.next();) {
        if (row->fixed.received_ms >= ms) {
            const ledger::Entry entry = restore_entry(*row);
            writer.write(kept, entry.record, entry.trace);
        }
    }
    Rollup rest;
    (void)rest.read(kept);
    TRY(tables_->remove(batch.first_seq, batch.first_seq));
    TRY(tables_->insert(batch.first_seq, rest.facts(), kept, old->mark));
    return static_cast<uint64_t>(batch.requests - rest.facts().requests);
}

Result<std::vector<ledger::ScopeSum>> LedgerWriter::follow(bool anew) {
    TRY(tables_->connect());
    Result<std::vector<ledger::ScopeSum>> sums = tables_->follow(anew);
    if (!sums.ok()) {
        tables_->disconnect();
    }
    return sums;
}

}  // namespace belay::store
