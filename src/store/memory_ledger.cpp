#include "store/memory_ledger.h"

#include <algorithm>
#include <optional>
#include <set>

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
    sum(restore_entry(view_of(rows_.back())).record);
}

void MemoryLedger::sum(const ledger::SpendRecord& record) {
    using By = ledger::DayFilter::By;
    const ledger::Metrics metrics = ledger::metrics_of(record);
    const auto add = [&](By kind, const ledger::DaySum& name) {
        ledger::DaySum& sum = sums_[kind][{
            name.date, name.key, name.key_alias, name.user, name.team, name.organization,
            name.end_user, name.tag, name.model, name.model_group, name.provider, name.endpoint}];
        const ledger::Metrics before = sum.metrics;
        sum = name;
        sum.metrics = before;
        sum.metrics += metrics;
    };
    ledger::DaySum name;
    name.date = ledger::render_date(ledger::day_of(record.received_ms));
    name.key = record.key_fingerprint;
    name.key_alias = record.key_alias;
    name.model = record.upstream_model;
    name.model_group = record.model_group;
    name.provider = record.provider;
    name.endpoint = ledger::endpoint_of(record.client_api);
    const std::set<std::string> tags(record.tags.begin(), record.tags.end());
    for (const std::string& tag : tags) {
        if (!tag.empty()) {
            name.tag = tag;
            add(By::tag, name);
        }
    }
    name.tag.clear();
    name.user = record.user;
    name.team = record.team;
    name.organization = record.organization;
    add(By::key, name);
    if (!record.end_user.empty()) {
        name.end_user = record.end_user;
        add(By::end_user, name);
    }
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

Result<ledger::LogPage> MemoryLedger::find_page(const ledger::LogFilter& filter) {
    std::vector<ledger::Entry> found;
    TRY(for_each(filter, [&found](const ledger::Entry& entry) {
        found.push_back(entry);
        return true;
    }));
    std::reverse(found.begin(), found.end());
    std::stable_sort(found.begin(), found.end(),
                     [&filter](const ledger::Entry& left, const ledger::Entry& right) {
                         return ledger::goes_before(filter, left.record, right.record);
                     });
    ledger::LogPage page;
    page.total = found.size();
    const uint64_t size = std::clamp(filter.page_size, 1U, 100U);
    const uint64_t skip = (std::max(filter.page, 1U) - 1) * size;
    for (uint64_t i = skip; i < found.size() && i < skip + size; ++i) {
        page.entries.push_back(std::move(found[i]));
    }
    return page;
}

Result<void> MemoryLedger::for_each(const ledger::LogFilter& filter,
                                    const std::function<bool(const ledger::Entry&)>& take) {
    const std::lock_guard lock(mutex_);
    for (const std::string& row : rows_) {
        const ledger::Entry entry = restore_entry(view_of(row));
        if (matches(filter, entry.record) && !take(entry)) {
            break;
        }
    }
    return {};
}

Result<std::vector<ledger::DaySum>> MemoryLedger::day_sums(const ledger::DayFilter& filter) {
    for (const std::string* date : {&filter.from, &filter.until}) {
        if (!date->empty()) {
            TRY(ledger::parse_date(*date));
        }
    }
    const std::lock_guard lock(mutex_);
    std::vector<ledger::DaySum> found;
    for (const auto& [name, sum] : sums_[filter.kind()]) {
        if (sum.date >= filter.from && (filter.until.empty() || sum.date <= filter.until) &&
            matches(filter, sum)) {
            found.push_back(sum);
        }
    }
    return found;
}

Result<std::vector<ledger::ScopeSum>> MemoryLedger::scope_sums() {
    const std::lock_guard lock(mutex_);
    ledger::ScopeSums scopes;
    for (const auto& [kind, sums] : sums_) {
        for (const auto& [name, sum] : sums) {
            scopes.add(sum);
        }
    }
    return scopes.take();
}

Result<std::vector<ledger::Queries::TagSum>> MemoryLedger::tag_sums(const std::string& from,
                                                                    const std::string& until) {
    ledger::DayFilter filter;
    filter.by = ledger::DayFilter::By::tag;
    filter.from = from;
    filter.until = until;
    std::map<std::string, ledger::Metrics> tags;
    for (const ledger::DaySum& sum : TRY(day_sums(filter))) {
        tags[sum.tag] += sum.metrics;
    }
    std::vector<TagSum> found;
    for (const auto& [tag, metrics] : tags) {
        found.push_back({tag, metrics});
    }
    return found;
}

Result<uint64_t> MemoryLedger::drop_before(int64_t ms) {
    const std::lock_guard lock(mutex_);
    return std::erase_if(
        rows_, [ms](const std::string& row) { return view_of(row).fixed.received_ms < ms; });
}

}  // namespace belay::store
