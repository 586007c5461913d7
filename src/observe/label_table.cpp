#include "observe/label_table.h"

#include <algorithm>

namespace belay::observe {
namespace {

constexpr std::string_view kOther = "other";
constexpr std::string_view kNone = "None";

// Cut at a character's beginning, so that the text stays UTF-8.
std::string_view cut(std::string_view value) {
    if (value.size() <= LabelTable::kValueMost) {
        return value;
    }
    size_t end = LabelTable::kValueMost;
    while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0U) == 0x80) {
        --end;
    }
    return value.substr(0, end);
}

}  // namespace

size_t LabelTable::counter(std::string_view name, std::string_view help, double per) {
    columns_.push_back({std::string(name), std::string(help), MetricType::counter, per});
    return columns_.size() - 1;
}

size_t LabelTable::histogram(std::string_view name, std::string_view help) {
    columns_.push_back({std::string(name), std::string(help), MetricType::histogram, 1e6});
    return columns_.size() - 1;
}

void LabelTable::Row::observe(size_t column, int64_t us) {
    const auto bounds = latency_bounds();
    Cell& cell = cells_[column];
    cell.touched = true;
    cell.sum += us;
    cell.buckets.resize(bounds.size() + 1);
    const double value = static_cast<double>(us) / 1e6;
    ++cell.buckets[static_cast<size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) -
                                       bounds.begin())];
}

LabelTable::Row& LabelTable::row(std::initializer_list<std::string_view> values) {
    std::string key;
    for (const std::string_view value : values) {
        key.append(cut(value)) += '\x1f';
    }
    if (const auto known = rows_.find(key); known != rows_.end()) {
        return *known->second;
    }
    if (rows_.size() >= rows_most_) {
        ++overflowed_;
        if (other_ == nullptr) {
            other_ = &make("\x1f\x1fother",
                           std::vector<std::string>(values.size(), std::string(kOther)));
        }
        return *other_;
    }
    std::vector<std::string> own;
    for (const std::string_view value : values) {
        own.emplace_back(value.empty() ? kNone : cut(value));
    }
    return make(std::move(key), std::move(own));
}

LabelTable::Row& LabelTable::make(std::string key, std::vector<std::string> values) {
    auto row = std::make_unique<Row>();
    row->values_ = std::move(values);
    row->cells_.resize(columns_.size());
    Row& made = *row;
    rows_.emplace(std::move(key), std::move(row));
    order_.push_back(&made);
    return made;
}

void LabelTable::collect(std::vector<Family>& into) const {
    for (size_t c = 0; c < columns_.size(); ++c) {
        const Column& column = columns_[c];
        Family family{column.name, column.help, column.type, {}, {}};
        if (column.type == MetricType::histogram) {
            family.bounds = latency_bounds();
        }
        for (const Row* row : order_) {
            const Row::Cell& cell = row->cells_[c];
            if (!cell.touched) {
                continue;
            }
            Sample& sample = family.samples.emplace_back();
            for (size_t l = 0; l < labels_.size(); ++l) {
                sample.labels.emplace_back(labels_[l], row->values_[l]);
            }
            sample.value = static_cast<double>(cell.sum) / column.per;
            for (const uint64_t n : cell.buckets) {
                sample.count += n;
                sample.buckets.push_back(sample.count);
            }
        }
        into.push_back(std::move(family));
    }
}

}  // namespace belay::observe
