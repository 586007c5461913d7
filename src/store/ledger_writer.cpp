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
    if (Result<void> prepared = prepare(); !prepared.ok()) {
        disconnect();
        return prepared;
    }
    return {};
}

Result<void> LedgerWriter::prepare() {
    insert_ = TRY(database_.prepare("INSERT INTO batch VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    Statement last = TRY(database_.prepare(
        "SELECT first_seq + requests FROM batch ORDER BY first_seq DESC LIMIT 1"));
    next_seq_ = TRY(last.step()) ? last.integer(0) : 1;
    saved_ = TRY(find_saved_segment(database_));
    return {};
}

void LedgerWriter::disconnect() {
    const Statement closed = std::move(insert_);
    database_ = Database();
}

Result<void> LedgerWriter::save(std::string_view rows, SegmentName from) {
    TRY(connect());
    if (from.sequence != 0 && from.journal == saved_.journal && from.sequence <= saved_.sequence) {
        return {};
    }
    const SegmentName upto = from.sequence != 0 ? from : saved_;
    if (Result<void> done = insert(rows, upto); !done.ok()) {
        disconnect();  // rolls back
        return done;
    }
    saved_ = upto;
    return {};
}

// One statement is one transaction.
Result<void> LedgerWriter::insert(std::string_view rows, SegmentName upto) {
    Sums sums;
    keys_.clear();
    RowReader reader(rows);
    while (const auto row = reader.next()) {
        sums.add(row->fixed);
        write_id_key(keys_, row->id);
    }
    if (sums.requests == 0) {
        return {};
    }
    int at = 0;
    for (const int64_t value :
         {next_seq_, sums.first_ms, sums.last_ms, sums.requests, sums.failures, sums.prompt_tokens,
          sums.output_tokens, sums.cost.value, sums.cost_unknown, kRowFormat}) {
        insert_.bind(++at, value);
    }
    insert_.bind_blob(++at, keys_);
    insert_.bind_blob(++at, rows);
    insert_.bind(++at, static_cast<int64_t>(upto.journal));
    insert_.bind(++at, static_cast<int64_t>(upto.sequence));
    Result<bool> stepped = insert_.step();
    insert_.reset();
    if (!stepped.ok()) {
        return stepped.error();
    }
    next_seq_ += sums.requests;
    return {};
}

}  // namespace belay::store
