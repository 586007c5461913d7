#include "providers/learned.h"

#include <algorithm>

namespace belay::providers {

namespace {

template <class T>
void remember(std::vector<T>& list, T item) {
    if (list.size() < Learned::kMaxRules &&
        std::find(list.begin(), list.end(), item) == list.end()) {
        list.push_back(std::move(item));
    }
}

// Paths into one item of this request ("messages[3].name") teach nothing about the model.
bool is_general(std::string_view path) {
    for (size_t at = path.find('['); at != std::string_view::npos; at = path.find('[', at + 1)) {
        if (at + 1 < path.size() && path[at + 1] >= '0' && path[at + 1] <= '9') {
            return false;
        }
    }
    return !path.empty();
}

}  // namespace

Learned::Lesson Learned::look(std::string_view model, Mono now) const {
    if (!any_.load(std::memory_order_acquire)) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    const auto row = rows_.find(std::string(model));
    return row == rows_.end() || row->second.until <= now ? Lesson{} : row->second.lesson;
}

void Learned::report(std::string_view model, protocols::Api api, const routing::Outcome& outcome,
                     Mono now) {
    const bool endpoint = outcome.cause == routing::Cause::wrong_endpoint;
    const bool parameter =
        outcome.cause == routing::Cause::bad_parameter && is_general(outcome.param);
    if (!endpoint && !parameter) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (rows_.size() >= kMaxModels && rows_.find(std::string(model)) == rows_.end()) {
        std::erase_if(rows_, [now](const auto& row) { return row.second.until <= now; });
        if (rows_.size() >= kMaxModels) {
            return;
        }
    }
    Row& row = rows_[std::string(model)];
    if (row.until <= now) {
        row.lesson = {};
    }
    row.until = now + kLifetime;
    if (endpoint) {
        row.lesson.refused_apis |= static_cast<uint8_t>(1U << static_cast<unsigned>(api));
    } else if (outcome.rename_to.empty()) {
        remember(row.lesson.drops, outcome.param);
    } else {
        remember(row.lesson.renames, std::pair(outcome.param, outcome.rename_to));
    }
    any_.store(true, std::memory_order_release);
    count_.fetch_add(1, std::memory_order_release);
}

void Learned::clear() {
    const std::lock_guard lock(mutex_);
    rows_.clear();
    any_.store(false, std::memory_order_release);
}

}  // namespace belay::providers
