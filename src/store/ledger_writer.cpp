#include "store/ledger_writer.h"

#include <algorithm>

#include "store/ledger_reader.h"
#include "store/schema.h"

namespace belay::store {

namespace {

constexpr size_t kRoutesMax = 4096;  // remembered at once
constexpr auto kUnknownCost = static_cast<uint8_t>(chat::CostSource::unknown);

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
    insert_ = TRY(database_.prepare(
        "INSERT INTO request VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    insert_batch_ = TRY(database_.prepare("INSERT INTO batch VALUES(?,?,?,?)"));
    find_route_ = TRY(database_.prepare("SELECT id FROM route WHERE key = ?"));
    insert_route_ =
        TRY(database_.prepare("INSERT INTO route VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    mark_spool_ = TRY(database_.prepare("UPDATE spool SET epoch = ?, done_bytes = ?"));
    return {};
}

void LedgerWriter::disconnect() {
    for (Statement* statement : {&begin_, &commit_, &insert_, &insert_batch_, &find_route_,
                                 &insert_route_, &mark_spool_}) {
        const Statement closed = std::move(*statement);
    }
    database_ = Database();
    routes_.clear();
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
    uint64_t count = 0;
    TRY(run(begin_));
    TRY(insert_all(rows, count));
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
    uint64_t count = 0;
    TRY(run(begin_));
    TRY(insert_all(rows, count));
    mark_spool_.bind(1, static_cast<int64_t>(spool_.epoch()));
    mark_spool_.bind(2, static_cast<int64_t>(next));
    TRY(run(mark_spool_));
    TRY(run(commit_));
    return count;
}

Error LedgerWriter::give_up(Error error) {
    disconnect();  // rolls back
    batch_ = {};
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

Result<void> LedgerWriter::insert_all(std::string_view rows, uint64_t& count) {
    batch_.keys.clear();
    while (const auto row = decode_row(rows)) {
        TRY(insert(*row));
        ++count;
    }
    return end_batch();
}

Result<void> LedgerWriter::insert(const RowView& row) {
    const RowFixed& fixed = row.fixed;
    const int64_t route = TRY(route_id(row.route));
    int at = 0;
    insert_.bind(++at, row.id);
    for (const int64_t value :
         {route, fixed.received_ms, int64_t{fixed.status}, int64_t{fixed.http_status},
          int64_t{fixed.flags}, fixed.input, fixed.cache_read, fixed.cache_write, fixed.output,
          fixed.reasoning}) {
        insert_.bind(++at, value);
    }
    if (fixed.cost_source == kUnknownCost && fixed.cost == 0) {
        insert_.bind_null(++at);
    } else {
        insert_.bind(++at, fixed.cost);
    }
    for (const int64_t value : {int64_t{fixed.cost_source}, fixed.premium_milli, fixed.queue_us,
                                fixed.first_byte_us, fixed.first_token_us, fixed.total_us}) {
        insert_.bind(++at, value);
    }
    for (const std::string_view text : {row.extra, row.trace}) {
        if (text.empty()) {
            insert_.bind_null(++at);
        } else {
            insert_.bind(++at, text);
        }
    }
    TRY(run(insert_));
    if (batch_.keys.empty()) {
        batch_.first_seq = database_.last_insert_id();
        batch_.first_ms = batch_.last_ms = fixed.received_ms;
    }
    batch_.first_ms = std::min(batch_.first_ms, fixed.received_ms);
    batch_.last_ms = std::max(batch_.last_ms, fixed.received_ms);
    write_id_key(batch_.keys, row.id);
    return {};
}

Result<void> LedgerWriter::end_batch() {
    if (batch_.keys.empty()) {
        return {};
    }
    insert_batch_.bind(1, batch_.first_seq);
    insert_batch_.bind(2, batch_.first_ms);
    insert_batch_.bind(3, batch_.last_ms);
    insert_batch_.bind_blob(4, batch_.keys);
    return run(insert_batch_);
}

Result<int64_t> LedgerWriter::route_id(std::string_view key) {
    if (const auto known = routes_.find(key); known != routes_.end()) {
        return known->second;
    }
    const int64_t id = TRY(load_or_add_route(key));
    if (routes_.size() >= kRoutesMax) {
        routes_.clear();
    }
    routes_.emplace(key, id);
    return id;
}

Result<int64_t> LedgerWriter::load_or_add_route(std::string_view key) {
    find_route_.bind(1, key);
    const Result<bool> there = find_route_.step();
    const int64_t id = there.ok() && *there ? find_route_.integer(0) : 0;
    find_route_.reset();
    if (!there.ok()) {
        return there.error();
    }
    if (id != 0) {
        return id;
    }
    const RouteView route = split_route(key);
    int at = 0;
    insert_route_.bind(++at, key);
    for (const char digit : {route.call_type, route.client_api, route.api}) {
        insert_route_.bind(++at, int64_t{digit - '0'});
    }
    for (const std::string_view text : route.texts) {
        insert_route_.bind(++at, text);
    }
    TRY(run(insert_route_));
    return database_.last_insert_id();
}

}  // namespace belay::store
