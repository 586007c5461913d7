#include "store/ledger_reader.h"

#include <algorithm>
#include <map>
#include <optional>

#include "store/ledger_errors.h"
#include "store/log_search.h"
#include "store/row_codec.h"

namespace belay::store {

namespace {

constexpr size_t kCandidatesMax = 1000;  // rows looked at for one prefix
constexpr size_t kCountMax = 1000;
constexpr std::string_view kHexDigits = "0123456789abcdef";

bool is_hex(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Which keys an id that begins with `prefix` can have: key & mask == value.
struct KeyPattern {
    uint32_t value = 0;
    uint32_t mask = 0xFFFFFFFF;
};

KeyPattern pattern_of(std::string_view prefix) {
    const std::string_view head = prefix.substr(0, kIdKeyChars);
    if (head.size() < kIdKeyChars && is_hex(head)) {
        const auto bits = static_cast<unsigned>(4 * (kIdKeyChars - head.size()));
        return {id_key(head), bits == 32 ? 0 : ~0U << bits};
    }
    return {id_key(head), 0xFFFFFFFF};
}

uint32_t read_key(std::string_view keys, size_t index) {
    uint32_t key = 0;
    for (size_t i = 0; i < sizeof key; ++i) {
        key = key << 8 | static_cast<unsigned char>(keys[index * sizeof key + i]);
    }
    return key;
}

std::optional<RowView> nth_row(std::string_view rows, size_t index) {
    RowReader reader(rows);
    std::optional<RowView> row = reader.next();
    for (; row && index != 0; --index) {
        row = reader.next();
    }
    return row;
}

// The newest first.
std::vector<RowView> read_backwards(std::string_view rows) {
    std::vector<RowView> views;
    RowReader reader(rows);
    while (const auto row = reader.next()) {
        views.push_back(*row);
    }
    std::reverse(views.begin(), views.end());
    return views;
}

}  // namespace

// Rows are looked at from the newest on; a whole id ends the search.
struct LedgerReader::Matches {
    std::optional<ledger::Entry> best;
    std::vector<std::string> ids;
    bool exact = false;

    void look_at(const RowView& row, std::string_view id) {
        if (exact || row.id.substr(0, id.size()) != id) {
            return;
        }
        exact = row.id == id;
        if (std::find(ids.begin(), ids.end(), row.id) == ids.end()) {
            ids.emplace_back(row.id);
        }
        if (!best || exact) {
            best = restore_entry(row);
        }
    }
};

// The journal is read before the database: what leaves it in between is found in the database, and
// what is in both is known by its segment.
Result<LedgerReader> LedgerReader::open(const OpenView& open_view,
                                        const std::string& journal_path) {
    std::vector<JournalRows> newest = read_journal(journal_path);
    std::unique_ptr<LedgerView> view = TRY(open_view());
    std::map<uint64_t, uint64_t> saved;  // by journal, up to which sequence
    for (const JournalRows& rows : newest) {
        if (saved.count(rows.name.journal) == 0) {
            saved[rows.name.journal] = TRY(view->saved(rows.name.journal)).sequence;
        }
    }
    std::erase_if(newest, [&saved](const JournalRows& rows) {
        return rows.name.sequence <= saved[rows.name.journal];
    });
    for (JournalRows& rows : newest) {
        if (std::optional<std::string> renewed = renew_rows(rows.rows)) {
            rows.rows = std::move(*renewed);
        }
    }
    return LedgerReader(std::move(view), std::move(newest));
}

// The newest first. A remote database looks for the key's whole bytes itself and gives the batches
// that have them, at a key's place or not.
Result<std::vector<LedgerReader::Place>> LedgerReader::candidates(std::string_view id) {
    const KeyPattern pattern = pattern_of(id);
    std::string sql = "SELECT first_seq, id_keys FROM " + table("batch");
    if (view_->is_remote()) {
        std::string hex;
        for (int shift = 24; shift >= 0 && (pattern.mask >> shift & 0xFFU) == 0xFFU; shift -= 8) {
            hex += kHexDigits[pattern.value >> (shift + 4) & 0xFU];
            hex += kHexDigits[pattern.value >> shift & 0xFU];
        }
        sql += " WHERE position('\\x" + hex + "'::bytea IN id_keys) > 0";
    }
    sql += " ORDER BY first_seq DESC";
    sql += view_->is_remote() ? " LIMIT " + std::to_string(kCandidatesMax) : "";
    const auto batches = TRY(view_->ask(sql));
    std::vector<Place> found;
    while (found.size() < kCandidatesMax && TRY(batches->step())) {
        const std::string_view keys = batches->bytes(1);
        for (size_t i = keys.size() / sizeof(uint32_t); i-- > 0;) {
            if ((read_key(keys, i) & pattern.mask) == pattern.value) {
                found.push_back({batches->integer(0), i});
            }
        }
    }
    return found;
}

Result<ledger::Entry> LedgerReader::find(std::string_view id) {
    if (id.empty()) {
        return no_id();
    }
    Matches matches;
    for (auto rows = newest_.rbegin(); rows != newest_.rend(); ++rows) {
        for (const RowView& row : read_backwards(rows->rows)) {
            matches.look_at(row, id);
        }
    }
    if (!matches.exact) {
        TRY(look_in_database(id, matches));
    }
    if (!matches.best) {
        return not_found(id);
    }
    if (!matches.exact && matches.ids.size() > 1) {
        return ambiguous(id, matches.ids);
    }
    return std::move(*matches.best);
}

Result<void> LedgerReader::look_in_database(std::string_view id, Matches& matches) {
    const std::string sql = "SELECT rows FROM " + table("batch") + " WHERE first_seq = ?1";
    const std::vector<Place> places = TRY(candidates(id));
    std::unique_ptr<ViewRows> batch;
    int64_t batch_seq = 0;
    std::string_view rows;
    for (const Place& place : places) {
        if (place.first_seq != batch_seq) {
            batch = TRY(view_->ask(sql, {place.first_seq}));
            batch_seq = place.first_seq;
            rows = TRY(batch->step()) ? batch->bytes(0) : std::string_view();
        }
        if (const auto row = nth_row(rows, place.index)) {
            matches.look_at(*row, id);
        }
        if (matches.exact) {
            break;
        }
    }
    return {};
}

Result<std::vector<ledger::Entry>> LedgerReader::find_last(size_t count) {
    count = std::min(count, kCountMax);
    std::vector<ledger::Entry> entries;
    const auto take = [&entries, count](std::string_view rows) {
        for (const RowView& row : read_backwards(rows)) {
            if (entries.size() < count) {
                entries.push_back(restore_entry(row));
            }
        }
    };
    for (auto rows = newest_.rbegin(); rows != newest_.rend(); ++rows) {
        take(rows->rows);
    }
    const std::string sql = "SELECT first_seq, rows FROM " + table("batch") +
                            " WHERE first_seq < ?1 ORDER BY first_seq DESC LIMIT 8";
    for (int64_t before = INT64_MAX; entries.size() < count;) {
        const auto some = TRY(view_->ask(sql, {before}));
        const int64_t last = before;
        while (entries.size() < count && TRY(some->step())) {
            before = some->integer(0);
            take(some->bytes(1));
        }
        if (before == last) {
            break;
        }
    }
    return entries;
}

std::vector<Rollup::Sum> LedgerReader::newest_sums() const {
    std::vector<Rollup::Sum> sums;
    for (const JournalRows& rows : newest_) {
        Rollup rollup;
        if (rollup.read(rows.rows)) {
            sums.insert(sums.end(), rollup.sums().begin(), rollup.sums().end());
        }
    }
    return sums;
}

Result<ledger::LogPage> LedgerReader::find_page(const ledger::LogFilter& filter) {
    return LogSearch(*view_, newest_, filter).find_page();
}

Result<void> LedgerReader::for_each(const ledger::LogFilter& filter,
                                    const std::function<bool(const ledger::Entry&)>& take) {
    return LogSearch(*view_, newest_, filter).for_each(take);
}

}  // namespace belay::store
