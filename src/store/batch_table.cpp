#include "store/batch_table.h"

#include "store/row_codec.h"

namespace belay::store {

namespace {

Result<void> run(Statement& statement) {
    Result<bool> stepped = statement.step();
    statement.reset();
    return stepped.ok() ? Result<void>() : stepped.error();
}

}  // namespace

Result<void> BatchTable::prepare(Database& database) {
    insert_ = TRY(database.prepare(
        "INSERT INTO batch(first_seq,first_ms,last_ms,requests,failures,prompt_tokens,"
        "output_tokens,cost,cost_unknown,format,id_keys,rows,journal,journal_sequence) "
        "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    insert_summary_ =
        TRY(database.prepare("INSERT INTO batch_summary VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"));
    remove_ = TRY(database.prepare("DELETE FROM batch WHERE first_seq BETWEEN ? AND ?"));
    remove_summary_ =
        TRY(database.prepare("DELETE FROM batch_summary WHERE first_seq BETWEEN ? AND ?"));
    next_ = TRY(database.prepare(
        "SELECT first_seq,rows,journal,journal_sequence FROM batch WHERE first_seq > ? "
        "ORDER BY first_seq LIMIT 1"));
    facts_ = TRY(database.prepare(
        "SELECT requests,failures,prompt_tokens,output_tokens,cost,cost_unknown,first_ms,last_ms,"
        "id_keys,cost_min,cost_max,tokens_min,tokens_max,total_us_min,total_us_max,"
        "first_token_us_min,first_token_us_max,common,varied,mixes "
        "FROM batch JOIN batch_summary USING(first_seq) WHERE first_seq = ?"));
    newest_ = TRY(database.prepare(
        "SELECT first_seq,requests,length(rows) FROM batch ORDER BY first_seq DESC LIMIT ?"));
    last_ = TRY(database.prepare(
        "SELECT first_seq + max(requests, 1) FROM batch ORDER BY first_seq DESC LIMIT 1"));
    older_ = TRY(database.prepare(
        "SELECT first_seq,requests,last_ms FROM batch WHERE first_ms < ? AND requests > 0 "
        "ORDER BY first_seq LIMIT ?"));
    return {};
}

void BatchTable::forget() { *this = BatchTable(); }

Result<void> BatchTable::insert(int64_t first_seq, const BatchFacts& facts, std::string_view rows,
                                SegmentName mark) {
    int at = 0;
    for (const int64_t value :
         {first_seq, facts.received_ms.low, facts.received_ms.high, facts.requests, facts.failures,
          facts.prompt_tokens, facts.output_tokens, facts.cost.value, facts.cost_unknown,
          kRowFormat}) {
        insert_.bind(++at, value);
    }
    insert_.bind_blob(++at, facts.id_keys);
    insert_.bind_blob(++at, rows);
    insert_.bind(++at, static_cast<int64_t>(mark.journal));
    insert_.bind(++at, static_cast<int64_t>(mark.sequence));
    TRY(run(insert_));
    at = 0;
    insert_summary_.bind(++at, first_seq);
    for (const Range& range :
         {facts.cost_each, facts.tokens_each, facts.total_us, facts.first_token_us}) {
        insert_summary_.bind(++at, range.low);
        insert_summary_.bind(++at, range.high);
    }
    insert_summary_.bind_blob(++at, facts.common);
    insert_summary_.bind_blob(++at, facts.varied);
    insert_summary_.bind_blob(++at, facts.mixes);
    return run(insert_summary_);
}

Result<void> BatchTable::remove(int64_t first, int64_t last) {
    for (Statement* statement : {&remove_, &remove_summary_}) {
        statement->bind(1, first);
        statement->bind(2, last);
        TRY(run(*statement));
    }
    return {};
}

Result<std::optional<BatchTable::Row>> BatchTable::next(int64_t after) {
    next_.bind(1, after);
    Result<bool> found = next_.step();
    std::optional<Row> row;
    if (found.ok() && *found) {
        row =
            Row{next_.integer(0),
                std::string(next_.blob(1)),
                {static_cast<uint64_t>(next_.integer(2)), static_cast<uint64_t>(next_.integer(3))}};
    }
    next_.reset();
    return found.ok() ? Result<std::optional<Row>>(std::move(row)) : found.error();
}

Result<BatchFacts> BatchTable::facts_of(int64_t first_seq) {
    facts_.bind(1, first_seq);
    const Result<bool> found = facts_.step();
    BatchFacts facts;
    if (found.ok() && *found) {
        facts.requests = facts_.integer(0);
        facts.failures = facts_.integer(1);
        facts.prompt_tokens = facts_.integer(2);
        facts.output_tokens = facts_.integer(3);
        facts.cost = NanoCredits{facts_.integer(4)};
        facts.cost_unknown = facts_.integer(5);
        facts.received_ms = {facts_.integer(6), facts_.integer(7)};
        facts.id_keys = facts_.blob(8);
        int at = 9;
        for (Range* range :
             {&facts.cost_each, &facts.tokens_each, &facts.total_us, &facts.first_token_us}) {
            range->low = facts_.integer(at++);
            range->high = facts_.integer(at++);
        }
        facts.common = facts_.blob(at++);
        facts.varied = facts_.blob(at++);
        facts.mixes = facts_.blob(at);
    }
    facts_.reset();
    return found.ok() ? Result<BatchFacts>(std::move(facts)) : found.error();
}

Result<int64_t> BatchTable::next_seq() {
    Result<bool> found = last_.step();
    const int64_t next = found.ok() && *found ? last_.integer(0) : 1;
    last_.reset();
    return found.ok() ? Result<int64_t>(next) : found.error();
}

Result<std::vector<BatchTable::Size>> BatchTable::newest(int64_t count) {
    newest_.bind(1, count);
    std::vector<Size> sizes;
    Result<bool> found = newest_.step();
    for (; found.ok() && *found; found = newest_.step()) {
        sizes.push_back({newest_.integer(0), newest_.integer(1), newest_.integer(2)});
    }
    newest_.reset();
    return found.ok() ? Result<std::vector<Size>>(std::move(sizes)) : found.error();
}

Result<std::vector<BatchTable::Span>> BatchTable::older_than(int64_t ms, int64_t count) {
    older_.bind(1, ms);
    older_.bind(2, count);
    std::vector<Span> spans;
    Result<bool> found = older_.step();
    for (; found.ok() && *found; found = older_.step()) {
        spans.push_back({older_.integer(0), older_.integer(1), older_.integer(2)});
    }
    older_.reset();
    return found.ok() ? Result<std::vector<Span>>(std::move(spans)) : found.error();
}

}  // namespace belay::store
