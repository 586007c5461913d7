#include "store/sqlite_tables.h"

#include <utility>

#include "store/schema.h"

namespace belay::store {

namespace {

Result<void> run(Statement& statement) {
    Result<bool> stepped = statement.step();
    statement.reset();
    return stepped.ok() ? Result<void>() : stepped.error();
}

}  // namespace

Result<void> SqliteTables::connect() {
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

Result<void> SqliteTables::prepare() {
    begin_ = TRY(database_.prepare("BEGIN IMMEDIATE"));
    commit_ = TRY(database_.prepare("COMMIT"));
    TRY(batches_.prepare(database_));
    TRY(sums_.prepare(database_));
    next_seq_ = TRY(batches_.next_seq());
    saved_ = TRY(find_saved_segment(database_));
    if (doubt_ && !doubt_->saved) {
        doubt_->saved = next_seq_ > doubt_->first_seq;  // nobody else writes
    }
    return {};
}

// Rolls back what was begun.
void SqliteTables::disconnect() {
    sums_.forget();
    batches_.forget();
    begin_ = Statement();
    commit_ = Statement();
    database_ = Database();
}

Result<LedgerTables::Begun> SqliteTables::begin(SegmentName segment) {
    TRY(run(begin_));
    begun_ = segment;
    appended_ = 0;
    const bool is_marked = segment.journal == saved_.journal && segment.sequence <= saved_.sequence;
    const bool is_known = doubt_ && doubt_->saved && doubt_->segment == segment;
    return Begun{next_seq_, segment.sequence != 0 && (is_marked || is_known)};
}

Result<void> SqliteTables::append(int64_t first_seq, const BatchFacts& facts,
                                  std::string_view rows) {
    appended_ = facts.requests;
    return batches_.insert(first_seq, facts, rows, begun_.is_kept() ? begun_ : saved_);
}

Result<void> SqliteTables::commit() {
    if (appended_ != 0) {
        doubt_ = Doubt{begun_, next_seq_, false};
    }
    TRY(run(commit_));
    if (appended_ != 0) {
        doubt_.reset();
        next_seq_ += appended_;
        saved_ = begun_.is_kept() ? begun_ : saved_;
    }
    return {};
}

}  // namespace belay::store
