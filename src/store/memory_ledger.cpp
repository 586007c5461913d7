#include "store/memory_ledger.h"

#include <algorithm>
#include <optional>

#include "store/ledger_errors.h"
#include "store/row_codec.h"

namespace belay::store {

namespace {

RowView view_of(std::string_view row) { return RowReader(row).next().value_or(RowView{}); }

}  // namespace

void MemoryLedger::append(const ledger::SpendRecord& record, const ledger::Trace& trace) noexcept {
    std::string row;
    RowWriter().write(row, record, trace);
    const std::lock_guard lock(mutex_);
    rows_.push_back(std::move(row));
    if (rows_.size() > capacity_) {
        rows_.pop_front();
    }
    ++stats_.appended;
    ++stats_.saved;
}

Result<ledger::Entry> MemoryLedger::find(std::string_view id) {
    if (id.empty()) {
        return no_id();
    }
    const std::lock_guard lock(mutex_);
    std::optional<ledger::Entry> best;
    std::vector<std::string> ids;
    for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
        const RowView view = view_of(*row);
        if (view.id == id) {
            return restore_entry(view);
        }
        if (view.id.substr(0, id.size()) != id) {
            continue;
        }
        if (!best) {
            best = restore_entry(view);
        }
        if (std::find(ids.begin(), ids.end(), view.id) == ids.end()) {
            ids.emplace_back(view.id);
        }
    }
    if (!best) {
        return not_found(id);
    }
    if (ids.size() > 1) {
        return ambiguous(id, ids);
    }
    return std::move(*best);
}

Result<std::vector<ledger::Entry>> MemoryLedger::find_last(size_t count) {
    const std::lock_guard lock(mutex_);
    std::vector<ledger::Entry> entries;
    for (auto row = rows_.rbegin(); row != rows_.rend() && entries.size() < count; ++row) {
        entries.push_back(restore_entry(view_of(*row)));
    }
    return entries;
}

ledger::Stats MemoryLedger::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

}  // namespace belay::store
