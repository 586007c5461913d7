#include "store/ledger_writer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "store/row_codec.h"
#include "store/schema.h"

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
    bool takes(const BatchTable::Size& batch) {
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

Result<void> LedgerWriter::connect() {
    if (database_.is_open()) {
        return {};
    }
    Database database =
        TRY(Database::open(options_.database_path, Database::Mode::create, options_.vfs));
    TRY(prepare_schema(database, options_.now_ms));
    database_ = std::move(database);
    if (Result<void> prepared = prepare(); !prepared.ok()) {
        disconnect();
        return prepared;
    }
    return {};
}

Result<void> LedgerWriter::prepare() {
    begin_ = TRY(database_.prepare("BEGIN IMMEDIATE"));
    commit_ = TRY(database_.prepare("COMMIT"));
    TRY(batches_.prepare(database_));
    TRY(sums_.prepare(database_));
    next_seq_ = TRY(batches_.next_seq());
    saved_ = TRY(find_saved_segment(database_));
    return {};
}

// Rolls back what was begun.
void LedgerWriter::disconnect() {
    sums_.forget();
    batches_.forget();
    begin_ = Statement();
    commit_ = Statement();
    database_ = Database();
}

template <class Work>
auto LedgerWriter::in_transaction(const Work& work) -> decltype(work()) {
    TRY(connect());
    const auto run = [](Statement& statement) -> Result<void> {
        Result<bool> stepped = statement.step();
        statement.reset();
        return stepped.ok() ? Result<void>() : stepped.error();
    };
    Result<void> begun = run(begin_);
    if (!begun.ok()) {
        disconnect();
        return begun.error();
    }
    auto done = work();
    if (!done.ok()) {
        disconnect();
        return done;
    }
    if (Result<void> committed = run(commit_); !committed.ok()) {
        disconnect();
        return committed.error();
    }
    return done;
}

Result<void> LedgerWriter::save(std::string_view rows, SegmentName from) {
    TRY(connect());
    if (from.sequence != 0 && from.journal == saved_.journal && from.sequence <= saved_.sequence) {
        return {};
    }
    std::optional<std::string> renewed;
    if (!rollup_.read(rows)) {
        renewed = renew_rows(rows);  // an older Belay left them
        rows = *renewed;
        (void)rollup_.read(rows);
    }
    const SegmentName upto = from.sequence != 0 ? from : saved_;
    if (rollup_.facts().requests == 0) {
        return {};
    }
    TRY(in_transaction([&] { return insert(rows, upto); }));
    next_seq_ += rollup_.facts().requests;
    saved_ = upto;
    return {};
}

Result<void> LedgerWriter::insert(std::string_view rows, SegmentName upto) {
    TRY(batches_.insert(next_seq_, rollup_.facts(), rows, upto));
    return sums_.add(rollup_.sums());
}

// Runs of batches that are no larger than the step they have reached, from the newest back.
Result<bool> LedgerWriter::merge_some(int64_t limit) {
    TRY(connect());
    Run run;
    for (const BatchTable::Size& batch : TRY(batches_.newest(limit))) {
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
    TRY(in_transaction([&] { return merge(run.first, run.last); }));
    return true;
}

// Rows refer to routes by their distance, so they stay true when batches are joined.
Result<void> LedgerWriter::merge(int64_t first, int64_t last) {
    BatchFacts facts;
    std::string rows;
    SegmentName mark;
    for (int64_t after = first - 1; after < last;) {
        const std::optional<BatchTable::Row> batch = TRY(batches_.next(after));
        if (!batch) {
            break;
        }
        after = batch->first_seq;
        facts.absorb(TRY(batches_.facts_of(batch->first_seq)));
        rows += batch->rows;
        mark = batch->mark;
    }
    TRY(batches_.remove(first, last));
    next_seq_ = std::max(next_seq_, last + 1);
    return batches_.insert(first, facts, rows, mark);
}

Result<uint64_t> LedgerWriter::drop_some(int64_t ms) {
    TRY(connect());
    const std::vector<BatchTable::Span> old = TRY(batches_.older_than(ms, kDropMax));
    if (old.empty()) {
        return uint64_t{0};
    }
    return in_transaction([&]() -> Result<uint64_t> {
        const int64_t newest = TRY(batches_.newest(1)).front().first_seq;
        uint64_t dropped = 0;
        for (const BatchTable::Span& batch : old) {
            if (batch.last_ms < ms && batch.first_seq != newest) {
                TRY(batches_.remove(batch.first_seq, batch.first_seq));
                dropped += static_cast<uint64_t>(batch.requests);
            } else {
                dropped += TRY(drop_rows(batch, ms));
            }
        }
        return dropped;
    });
}

// The newest batch stays, be it empty: its mark says what of the journal is saved.
Result<uint64_t> LedgerWriter::drop_rows(const BatchTable::Span& batch, int64_t ms) {
    const std::optional<BatchTable::Row> old = TRY(batches_.next(batch.first_seq - 1));
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
    TRY(batches_.remove(batch.first_seq, batch.first_seq));
    TRY(batches_.insert(batch.first_seq, rest.facts(), kept, old->mark));
    return static_cast<uint64_t>(batch.requests - rest.facts().requests);
}

}  // namespace belay::store
