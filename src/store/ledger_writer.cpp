#include "store/ledger_writer.h"

#include <algorithm>

#include "store/ledger_reader.h"
#include "store/schema.h"

namespace belay::store {

namespace {

// What a batch's row says of the rows in it.
struct Sums {
    int64_t requests = 0;
    int64_t failures = 0;
    int64_t first_ms = 0;
    int64_t last_ms = 0;
    int64_t prompt_tokens = 0;
    int64_t output_tokens = 0;
    NanoCredits cost;
    int64_t cost_unknown = 0;

    void add(const RowFixed& row) {
        first_ms = requests == 0 ? row.received_ms : std::min(first_ms, row.received_ms);
        last_ms = std::max(last_ms, row.received_ms);
        ++requests;
        failures += row.status == static_cast<uint8_t>(ledger::Status::failure) ? 1 : 0;
        prompt_tokens += row.input + row.cache_read + row.cache_write;
        output_tokens += row.output;
        cost = belay::add(cost, NanoCredits{row.cost});
        cost_unknown += row.cost_source == static_cast<uint8_t>(chat::CostSource::unknown) ? 1 : 0;
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
    if (Result<void> prepared = prepare_statements(); !prepared.ok()) {
        disconnect();
        return prepared;
    }
    return {};
}

Result<void> LedgerWriter::prepare_statements() {
    begin_ = TRY(database_.prepare("BEGIN IMMEDIATE"));
    commit_ = TRY(database_.prepare("COMMIT"));
    insert_ = TRY(database_.prepare("INSERT INTO batch VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"));
    mark_spool_ = TRY(database_.prepare("UPDATE spool SET epoch = ?, done_bytes = ?"));
    Statement last = TRY(database_.prepare(
        "SELECT first_seq + requests FROM batch ORDER BY first_seq DESC LIMIT 1"));
    next_seq_ = TRY(last.step()) ? last.integer(0) : 1;
    return {};
}

void LedgerWriter::disconnect() {
    for (Statement* statement : {&begin_, &commit_, &insert_, &mark_spool_}) {
        const Statement closed = std::move(*statement);
    }
    database_ = Database();
}

Result<uint64_t> LedgerWriter::save(std::string_view rows) {
    TRY(connect());
    Result<uint64_t> saved = commit_rows(rows);
    if (!saved.ok()) {
        return give_up(saved.error());
    }
    return saved;
}

Result<uint64_t> LedgerWriter::commit_rows(std::string_view rows) {
    TRY(run(begin_));
    const uint64_t count = TRY(insert(rows));
    TRY(run(commit_));
    return count;
}

Result<uint64_t> LedgerWriter::replay() {
    TRY(connect());
    uint64_t offset = TRY(spool_mark());
    uint64_t total = 0;
    while (offset < spool_.size()) {
        uint64_t next = 0;
        const std::string rows = TRY(spool_.read_block(offset, next));
        if (Result<uint64_t> moved = move_block(rows, next); moved.ok()) {
            total += *moved;
        } else {
            return give_up(moved.error());
        }
        offset = next;
    }
    TRY(spool_.clear());
    return total;
}

// Where the first block begins that is not in the database yet.
Result<uint64_t> LedgerWriter::spool_mark() {
    Statement query = TRY(database_.prepare("SELECT epoch, done_bytes FROM spool"));
    if (TRY(query.step()) && static_cast<uint64_t>(query.integer(0)) == spool_.epoch()) {
        return static_cast<uint64_t>(query.integer(1));
    }
    return Spool::first_block();
}

// The block's rows and the mark behind it, in one transaction.
Result<uint64_t> LedgerWriter::move_block(std::string_view rows, uint64_t next) {
    TRY(run(begin_));
    const uint64_t count = TRY(insert(rows));
    mark_spool_.bind(1, static_cast<int64_t>(spool_.epoch()));
    mark_spool_.bind(2, static_cast<int64_t>(next));
    TRY(run(mark_spool_));
    TRY(run(commit_));
    return count;
}

Error LedgerWriter::give_up(Error error) {
    disconnect();  // rolls back
    return error;
}

Result<void> LedgerWriter::run(Statement& statement) {
    Result<bool> stepped = statement.step();
    statement.reset();
    if (!stepped.ok()) {
        return stepped.error();
    }
    return {};
}

Result<uint64_t> LedgerWriter::insert(std::string_view rows) {
    Sums sums;
    keys_.clear();
    RowReader reader(rows);
    while (const auto row = reader.next()) {
        sums.add(row->fixed);
        write_id_key(keys_, row->id);
    }
    if (sums.requests == 0) {
        return uint64_t{0};
    }
    int at = 0;
    for (const int64_t value :
         {next_seq_, sums.first_ms, sums.last_ms, sums.requests, sums.failures, sums.prompt_tokens,
          sums.output_tokens, sums.cost.value, sums.cost_unknown, kRowFormat}) {
        insert_.bind(++at, value);
    }
    insert_.bind_blob(++at, keys_);
    insert_.bind_blob(++at, rows);
    TRY(run(insert_));
    next_seq_ += sums.requests;
    return static_cast<uint64_t>(sums.requests);
}

}  // namespace belay::store
