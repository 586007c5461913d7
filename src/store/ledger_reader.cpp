#include "store/ledger_reader.h"

#include <algorithm>

#include "store/ledger_errors.h"
#include "store/row_codec.h"
#include "store/schema.h"

namespace belay::store {

namespace {

constexpr size_t kKeyChars = 8;          // of an id that make its key
constexpr size_t kCandidatesMax = 1000;  // rows looked at for one prefix
constexpr size_t kCountMax = 1000;

constexpr std::string_view kSelect =
    "SELECT request.id, received_ms, status, http_status, flags, input, cache_read, cache_write, "
    "output, reasoning, cost, cost_source, premium_milli, queue_us, first_byte_us, first_token_us, "
    "total_us, extra, trace, route.key FROM request JOIN route ON request.route = route.id ";

int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return hex_value(c) >= 0; });
}

// Which keys an id that begins with `prefix` can have: key & mask == value.
struct KeyPattern {
    uint32_t value = 0;
    uint32_t mask = 0xFFFFFFFF;
};

KeyPattern pattern_of(std::string_view prefix) {
    const std::string_view head = prefix.substr(0, kKeyChars);
    if (head.size() < kKeyChars && is_hex(head)) {
        const auto bits = static_cast<unsigned>(4 * (kKeyChars - head.size()));
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

ledger::Entry read_entry(const Statement& row) {
    RowView view;
    view.id = row.text(0);
    RowFixed& fixed = view.fixed;
    fixed.received_ms = row.integer(1);
    fixed.status = static_cast<uint8_t>(row.integer(2));
    fixed.http_status = static_cast<int32_t>(row.integer(3));
    fixed.flags = static_cast<uint8_t>(row.integer(4));
    fixed.input = row.integer(5);
    fixed.cache_read = row.integer(6);
    fixed.cache_write = row.integer(7);
    fixed.output = row.integer(8);
    fixed.reasoning = row.integer(9);
    fixed.cost = row.integer(10);
    fixed.cost_source = static_cast<uint8_t>(row.integer(11));
    fixed.premium_milli = row.integer(12);
    fixed.queue_us = row.integer(13);
    fixed.first_byte_us = row.integer(14);
    fixed.first_token_us = row.integer(15);
    fixed.total_us = row.integer(16);
    view.extra = row.text(17);
    view.trace = row.text(18);
    view.route = row.text(19);
    return restore_entry(view);
}

}  // namespace

uint32_t id_key(std::string_view id) {
    const std::string_view head = id.substr(0, kKeyChars);
    uint32_t key = 0;
    if (is_hex(head)) {
        for (size_t i = 0; i < kKeyChars; ++i) {
            key = key << 4 | static_cast<uint32_t>(i < head.size() ? hex_value(head[i]) : 0);
        }
        return key;
    }
    key = 0x811c9dc5;  // FNV-1a
    for (const char c : head) {
        key = (key ^ static_cast<unsigned char>(c)) * 0x01000193;
    }
    return key;
}

void write_id_key(std::string& out, std::string_view id) {
    const uint32_t key = id_key(id);
    for (const unsigned shift : {24U, 16U, 8U, 0U}) {
        out += static_cast<char>(key >> shift & 0xFF);
    }
}

Result<LedgerReader> LedgerReader::open(const std::string& path, const std::string& vfs) {
    Database database = TRY(Database::open(path, Database::Mode::existing, vfs));
    TRY(check_schema(database));
    return LedgerReader(std::move(database));
}

// The newest first.
Result<std::vector<int64_t>> LedgerReader::candidates(std::string_view id) {
    const KeyPattern pattern = pattern_of(id);
    Statement batches =
        TRY(database_.prepare("SELECT first_seq, id_keys FROM batch ORDER BY first_seq DESC"));
    std::vector<int64_t> found;
    while (found.size() < kCandidatesMax && TRY(batches.step())) {
        const std::string_view keys = batches.blob(1);
        for (size_t i = keys.size() / sizeof(uint32_t); i-- > 0;) {
            if ((read_key(keys, i) & pattern.mask) == pattern.value) {
                found.push_back(batches.integer(0) + static_cast<int64_t>(i));
            }
        }
    }
    return found;
}

Result<ledger::Entry> LedgerReader::find(std::string_view id) {
    if (id.empty()) {
        return no_id();
    }
    Statement query = TRY(database_.prepare(std::string(kSelect) + "WHERE seq = ?1"));
    std::optional<ledger::Entry> best;
    std::vector<std::string> ids;
    const std::vector<int64_t> seqs = TRY(candidates(id));
    for (const int64_t seq : seqs) {
        query.bind(1, seq);
        const bool there = TRY(query.step());
        if (there && query.text(0).substr(0, id.size()) == id) {
            const std::string_view full = query.text(0);
            if (full == id) {
                return read_entry(query);
            }
            if (std::find(ids.begin(), ids.end(), full) == ids.end()) {
                ids.emplace_back(full);
            }
            if (!best) {
                best = read_entry(query);
            }
        }
        query.reset();
    }
    if (!best) {
        return not_found(id);
    }
    if (ids.size() > 1) {
        return ambiguous(id, ids);
    }
    return std::move(*best);
}

Result<std::vector<ledger::Entry>> LedgerReader::find_last(size_t count) {
    Statement query = TRY(database_.prepare(std::string(kSelect) + "ORDER BY seq DESC LIMIT ?1"));
    query.bind(1, static_cast<int64_t>(std::min(count, kCountMax)));
    std::vector<ledger::Entry> entries;
    while (TRY(query.step())) {
        entries.push_back(read_entry(query));
    }
    return entries;
}

}  // namespace belay::store
