#include "store/log_search.h"

#include <algorithm>
#include <map>

#include "store/rollup.h"

namespace belay::store {

namespace {

using Sort = ledger::LogFilter::Sort;

constexpr uint32_t kPageSizeMax = 100;

// Columns of find_heads()'s statement.
enum Column : uint8_t {
    first_seq,
    first_ms,
    last_ms,
    requests,
    ranges,
    common = 12,
    varied,
    mixes,
    keys
};

Error too_deep() {
    return caller_error(Kind::invalid_request,
                        "this page lies too far behind the first; narrow the filter, or sort by "
                        "the start of the request");
}

uint64_t count_keys(std::string_view keys, std::string_view id) {
    std::string wanted;
    write_id_key(wanted, id);
    uint64_t count = 0;
    for (size_t at = 0; at + wanted.size() <= keys.size(); at += wanted.size()) {
        count += keys.compare(at, wanted.size(), wanted) == 0 ? 1 : 0;
    }
    return count;
}

bool is_varied(Field field) { return field >= Field::end_user; }

}  // namespace

Result<ledger::LogPage> LogSearch::find_page() {
    ledger::LogPage page;
    const uint64_t size = std::clamp(filter_.page_size, 1U, kPageSizeMax);
    TRY(find_heads());
    const uint64_t skip = pass_over((std::max(filter_.page, 1U) - 1) * size);
    if (skip > kSkippedRowsMax) {
        TRY(count_rest(page));
        return page.total_is_exact && skip >= page.total ? Result<ledger::LogPage>(page)
                                                         : too_deep();
    }
    TRY(collect(skip + size));
    TRY(count_rest(page));
    TRY(restore_page(skip, page));
    return page;
}

Result<void> LogSearch::for_each(const std::function<bool(const ledger::Entry&)>& take) {
    TRY(find_heads());
    std::sort(heads_.begin(), heads_.end(),
              [](const Head& left, const Head& right) { return left.first_seq < right.first_seq; });
    for (const Head& head : heads_) {
        matcher_.begin();
        for (RowReader reader(TRY(rows_of(head))); const auto row = reader.next();) {
            if (matcher_.matches(*row) && !take(restore_entry(*row))) {
                return {};
            }
        }
    }
    return {};
}

// What a summary can be asked about.
void LogSearch::note_conditions() {
    const auto note = [this](Field field, const std::string& value) {
        if (!value.empty()) {
            conditions_.push_back({field, hash_of(field, value)});
        }
    };
    note(Field::key, filter_.key);
    note(Field::key_alias, filter_.key_alias);
    note(Field::user, filter_.user);
    note(Field::team, filter_.team);
    note(Field::organization, filter_.organization);
    note(Field::model, filter_.model);
    note(Field::model_id, filter_.model_id);
    note(Field::model_group, filter_.model_group);
    note(Field::end_user, filter_.end_user);
    note(Field::session, filter_.session_id);
    note(Field::error_code, filter_.error_code);
}

bool LogSearch::wants_varied() const {
    return std::any_of(conditions_.begin(), conditions_.end(),
                       [](const Condition& condition) { return is_varied(condition.field); });
}

// Counts of single values are enough for one condition.
LogSearch::Needs LogSearch::needs() const {
    const auto fixed =
        std::count_if(conditions_.begin(), conditions_.end(),
                      [](const Condition& condition) { return !is_varied(condition.field); });
    const bool by_status = filter_.status || !filter_.error_message.empty();
    const auto count = fixed + (by_status ? 1 : 0);
    return count == 0 ? Needs::nothing : count == 1 ? Needs::common : Needs::mixes;
}

// A column that is not needed is not read: a summary may take pages of its own.
Result<void> LogSearch::find_heads() {
    note_conditions();
    TRY(find_models());
    const std::string batch = std::string(view_.prefix()) + "batch";
    std::string sql = "SELECT " + batch + ".first_seq,first_ms,last_ms,requests,";
    const bool wants_ranges =
        filter_.min_cost || filter_.max_cost || (filter_.sort != Sort::start && !is_by_model());
    sql += wants_ranges ? "cost_min,cost_max,tokens_min,tokens_max,total_us_min,total_us_max,"
                          "first_token_us_min,first_token_us_max,"
                        : "0,0,0,0,0,0,0,0,";
    sql += is_by_model() || needs() == Needs::common ? "common," : "NULL,";
    sql += wants_varied() ? "varied," : "NULL,";
    sql += needs() == Needs::mixes ? "mixes," : "NULL,";
    sql += (filter_.request_id.empty() ? "NULL FROM " : "id_keys FROM ") + batch;
    if (wants_ranges || is_by_model() || needs() != Needs::nothing || wants_varied()) {
        // SQLite joins in the order written when told so; otherwise it begins with the summaries.
        sql += (view_.is_remote() ? " JOIN " : " CROSS JOIN ") + batch + "_summary ON " + batch +
               "_summary.first_seq = " + batch + ".first_seq";
    }
    sql += " WHERE last_ms >= ?1 AND first_ms < ?2 AND requests > 0";
    const auto batches = TRY(view_.ask(sql, {filter_.from_ms, filter_.until_ms}));
    while (TRY(batches->step())) {
        take_head(*batches);
    }
    // Nothing is known of rows that are not in the database; they come first.
    int64_t seq = INT64_MAX / 2;
    for (const JournalRows& rows : newest_) {
        Head head;
        head.first_seq = seq;
        head.rows = &rows.rows;
        head.matches_max = rows.rows.size() / sizeof(RowFixed);
        head.values = {INT64_MIN, INT64_MAX};
        head.best_model = models_.empty() ? std::string() : models_.front();
        seq += static_cast<int64_t>(head.matches_max);
        heads_.push_back(std::move(head));
    }
    return {};
}

Result<void> LogSearch::find_models() {
    if (!is_by_model()) {
        return {};
    }
    const auto models = TRY(view_.ask("SELECT DISTINCT model FROM " + std::string(view_.prefix()) +
                                      "series WHERE kind = 0"));
    while (TRY(models->step())) {
        models_.emplace_back(models->bytes(0));
    }
    std::sort(models_.begin(), models_.end(),
              [this](const std::string& left, const std::string& right) {
                  return order(left, right) < 0;
              });
    return {};
}

void LogSearch::take_head(const ViewRows& row) {
    Head head;
    head.first_seq = row.integer(Column::first_seq);
    head.exact = judge(row, head);
    if (head.matches_max == 0) {
        return;
    }
    head.values = values_of(row);
    if (is_by_model()) {
        // The empty name is in no summary; a batch that has others may have it too.
        const std::string_view summary = row.bytes(Column::common);
        const auto best =
            std::find_if(models_.begin(), models_.end(), [summary](const std::string& model) {
                return model.empty() || count_in(summary, hash_of(Field::model, model)) != 0;
            });
        head.best_model = best != models_.end() ? *best : std::string();
    }
    heads_.push_back(std::move(head));
}

bool LogSearch::judge(const ViewRows& row, Head& head) const {
    const auto all = static_cast<uint64_t>(row.integer(Column::requests));
    size_t partial = row.integer(Column::first_ms) < filter_.from_ms ||
                             row.integer(Column::last_ms) >= filter_.until_ms
                         ? 2
                         : 0;
    head.matches_max = all;
    const auto narrow = [&](uint64_t count, bool counted) {
        head.matches_max = std::min(head.matches_max, count);
        partial += count == all && counted ? 0 : counted ? 1 : 2;
    };
    const std::string_view varied = row.bytes(Column::varied);
    for (const Condition& condition : conditions_) {
        if (is_varied(condition.field)) {
            narrow(count_in(varied, condition.hash), true);
        }
    }
    if (needs() != Needs::nothing) {
        narrow(needs() == Needs::mixes ? count_mixes(row.bytes(Column::mixes))
                                       : count_common(row.bytes(Column::common), all),
               filter_.error_message.empty());
    }
    const Range cost{row.integer(Column::ranges), row.integer(Column::ranges + 1)};
    if (filter_.min_cost && cost.low < filter_.min_cost->value) {
        narrow(cost.high < filter_.min_cost->value ? 0 : all, false);
    }
    if (filter_.max_cost && cost.high > filter_.max_cost->value) {
        narrow(cost.low > filter_.max_cost->value ? 0 : all, false);
    }
    if (!filter_.request_id.empty()) {
        narrow(count_keys(row.bytes(Column::keys), filter_.request_id), false);
    }
    return partial <= 1;
}

// Which statuses a row may have; with a message it is a failure.
std::array<bool, kStatuses> LogSearch::statuses() const {
    const bool failed = !filter_.error_message.empty();
    const auto wants = [&](ledger::Status status) {
        const bool success = status == ledger::Status::success;
        return !(failed && success) && (!filter_.status || *filter_.status == status ||
                                        (*filter_.status == ledger::Status::failure && !success));
    };
    return {wants(ledger::Status::success), wants(ledger::Status::failure),
            wants(ledger::Status::client_aborted)};
}

uint64_t LogSearch::count_mixes(std::string_view text) const {
    const std::array<bool, kStatuses> wanted = statuses();
    uint64_t count = 0;
    for (const Mix& mix : read_mixes(text)) {
        const bool matches =
            std::all_of(conditions_.begin(), conditions_.end(), [&mix](const Condition& condition) {
                return is_varied(condition.field) ||
                       mix.hashes[static_cast<size_t>(condition.field) - 1] ==
                           mix_hash(condition.hash);
            });
        for (size_t status = 0; matches && status < kStatuses; ++status) {
            count += wanted[status] ? mix.uses[status] : 0;
        }
    }
    return count;
}

// Of the one condition there is, the status among them.
uint64_t LogSearch::count_common(std::string_view common, uint64_t all) const {
    for (const Condition& condition : conditions_) {
        if (!is_varied(condition.field)) {
            return count_in(common, condition.hash);
        }
    }
    const std::array<bool, kStatuses> wanted = statuses();
    uint64_t count = 0;
    uint64_t others = 0;
    for (size_t status = 1; status < kStatuses; ++status) {
        const char value = static_cast<char>(status);
        const uint64_t these = count_in(common, hash_of(Field::status, {&value, 1}));
        others += these;
        count += wanted[status] ? these : 0;
    }
    return count + (wanted[0] ? all - others : 0);
}

Range LogSearch::values_of(const ViewRows& row) const {
    if (filter_.sort == Sort::start || is_by_model()) {
        return {row.integer(Column::first_ms), row.integer(Column::last_ms)};
    }
    const int at = Column::ranges + 2 * (static_cast<int>(filter_.sort) - 1);
    return {row.integer(at), row.integer(at + 1)};
}

// Batches of which every row stands before the page need not be read: those whose worst row has no
// more than `skip` rows before it or beside it, even if all others that may are better. What is
// left to skip is returned.
uint64_t LogSearch::pass_over(uint64_t skip) {
    if (skip == 0 || is_by_model()) {
        return skip;
    }
    std::sort(heads_.begin(), heads_.end(),
              [this](const Head& left, const Head& right) { return goes_before(left, right); });
    std::vector<uint64_t> rows_upto;  // of the heads up to this one
    for (const Head& head : heads_) {
        rows_upto.push_back((rows_upto.empty() ? 0 : rows_upto.back()) + head.matches_max);
    }
    uint64_t passed = 0;
    for (Head& head : heads_) {
        const int64_t worst = filter_.descending ? head.values.low : head.values.high;
        const auto end = std::partition_point(heads_.begin(), heads_.end(), [&](const Head& other) {
            return order(best_of(other), worst) <= 0;
        });
        const auto before = static_cast<size_t>(end - heads_.begin());
        if (head.exact && rows_upto[before - 1] <= skip) {
            passed += head.matches_max;
            head.read = true;
        }
    }
    return skip - passed;
}

Result<void> LogSearch::collect(uint64_t wanted) {
    std::vector<size_t> promising;
    for (size_t i = 0; i < heads_.size(); ++i) {
        if (!heads_[i].read) {
            promising.push_back(i);
        }
    }
    std::sort(promising.begin(), promising.end(), [this](size_t left, size_t right) {
        return goes_before(heads_[left], heads_[right]);
    });
    for (const size_t head : promising) {
        if (hits_.size() >= wanted && cannot_beat(heads_[head], hits_.front())) {
            break;
        }
        TRY(look_into(head, wanted));
    }
    return {};
}

Result<void> LogSearch::look_into(size_t place, uint64_t wanted) {
    Head& head = heads_[place];
    const auto before = [this](const Hit& left, const Hit& right) {
        return goes_before(left, right);
    };
    matcher_.begin();
    size_t index = 0;
    uint64_t matched = 0;
    for (RowReader reader(TRY(rows_of(head))); const auto row = reader.next(); ++index) {
        if (!matcher_.matches(*row)) {
            continue;
        }
        ++matched;
        Hit hit;
        hit.value = value_of(*row);
        hit.seq = head.first_seq + static_cast<int64_t>(index);
        hit.head = place;
        hit.index = index;
        if (is_by_model()) {
            hit.model = read_route(row->route).upstream_model;
        }
        if (hits_.size() >= wanted) {
            if (!before(hit, hits_.front())) {
                continue;
            }
            std::pop_heap(hits_.begin(), hits_.end(), before);
            hits_.pop_back();
        }
        hits_.push_back(std::move(hit));
        std::push_heap(hits_.begin(), hits_.end(), before);
    }
    head.matches_max = matched;
    head.exact = true;
    head.read = true;
    return {};
}

// The total: from what is known where that is exact, else by reading, up to a bound.
Result<void> LogSearch::count_rest(ledger::LogPage& page) {
    uint64_t looked_at = 0;
    std::vector<Head*> unsure;
    for (Head& head : heads_) {
        if (head.exact) {
            page.total += head.matches_max;
        } else {
            unsure.push_back(&head);
        }
    }
    std::sort(unsure.begin(), unsure.end(), [](const Head* left, const Head* right) {
        return left->first_seq > right->first_seq;
    });
    for (const Head* head : unsure) {
        if (looked_at >= kCountedRowsMax) {
            page.total_is_exact = false;
            break;
        }
        matcher_.begin();
        for (RowReader reader(TRY(rows_of(*head))); const auto row = reader.next(); ++looked_at) {
            page.total += matcher_.matches(*row) ? 1 : 0;
        }
    }
    return {};
}

// Each batch is read once for all of its rows that the page shows.
Result<void> LogSearch::restore_page(uint64_t skip, ledger::LogPage& page) {
    std::sort(hits_.begin(), hits_.end(),
              [this](const Hit& left, const Hit& right) { return goes_before(left, right); });
    if (hits_.size() <= skip) {
        return {};
    }
    hits_.erase(hits_.begin(), hits_.begin() + static_cast<std::ptrdiff_t>(skip));
    page.entries.resize(hits_.size());
    std::map<size_t, std::map<size_t, size_t>> wanted;  // head, index of the row, place on the page
    for (size_t i = 0; i < hits_.size(); ++i) {
        wanted[hits_[i].head][hits_[i].index] = i;
    }
    for (const auto& [head, rows] : wanted) {
        RowReader reader(TRY(rows_of(heads_[head])));
        size_t index = 0;
        for (auto next = rows.begin(); next != rows.end(); ++index) {
            const auto row = reader.next();
            if (!row) {
                break;
            }
            if (index == next->first) {
                page.entries[next->second] = restore_entry(*row);
                ++next;
            }
        }
    }
    return {};
}

// Valid until the next call.
Result<std::string_view> LogSearch::rows_of(const Head& head) {
    if (head.rows != nullptr) {
        return std::string_view(*head.rows);
    }
    read_rows_ = TRY(
        view_.ask("SELECT rows FROM " + std::string(view_.prefix()) + "batch WHERE first_seq = ?1",
                  {head.first_seq}));
    return TRY(read_rows_->step()) ? read_rows_->bytes(0) : std::string_view();
}

bool LogSearch::is_by_model() const { return filter_.sort == Sort::model; }

int64_t LogSearch::value_of(const RowView& row) const {
    switch (filter_.sort) {
        case Sort::start:
            return row.fixed.received_ms;
        case Sort::cost:
            return row.fixed.cost;
        case Sort::tokens: {
            const ledger::Metrics metrics = metrics_of(row.fixed);
            return metrics.prompt_tokens + metrics.completion_tokens;
        }
        case Sort::duration:
            return row.fixed.total_us;
        case Sort::first_token:
            return row.fixed.first_token_us;
        case Sort::model:
            break;
    }
    return 0;
}

int64_t LogSearch::best_of(const Head& head) const {
    return filter_.descending ? head.values.high : head.values.low;
}

// Negative: `left` goes before `right`.
int LogSearch::order(int64_t left, int64_t right) const {
    const int ascending = left < right ? -1 : left > right ? 1 : 0;
    return filter_.descending ? -ascending : ascending;
}

int LogSearch::order(const std::string& left, const std::string& right) const {
    return filter_.descending ? right.compare(left) : left.compare(right);
}

bool LogSearch::goes_before(const Hit& left, const Hit& right) const {
    const int by = is_by_model() ? order(left.model, right.model) : order(left.value, right.value);
    return by != 0 ? by < 0 : left.seq > right.seq;
}

bool LogSearch::goes_before(const Head& left, const Head& right) const {
    if ((left.rows == nullptr) != (right.rows == nullptr)) {
        return left.rows != nullptr;
    }
    const int by = is_by_model() ? order(left.best_model, right.best_model)
                                 : order(best_of(left), best_of(right));
    return by != 0 ? by < 0 : left.first_seq > right.first_seq;
}

// Nor can any batch that goes behind it.
bool LogSearch::cannot_beat(const Head& head, const Hit& worst) const {
    if (head.rows != nullptr) {
        return false;
    }
    const int by =
        is_by_model() ? order(head.best_model, worst.model) : order(best_of(head), worst.value);
    return by > 0 || (by == 0 && head.first_seq < worst.seq);
}

}  // namespace belay::store
