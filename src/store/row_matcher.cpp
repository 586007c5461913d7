// Which rows a filter means.
#include "store/log_search.h"

namespace belay::store {

namespace {

bool is_any(const std::string& wanted, std::string_view value) {
    return wanted.empty() || wanted == value;
}

}  // namespace

bool RowMatcher::matches(const RowView& row) {
    const RowFixed& fixed = row.fixed;
    if (fixed.received_ms < filter_.from_ms || fixed.received_ms >= filter_.until_ms) {
        return false;
    }
    if (row.route.data() != last_) {
        last_ = row.route.data();
        const auto [found, is_new] = routes_.try_emplace(last_, false);
        if (is_new) {
            found->second = matches_route(row.route);
        }
        last_matches_ = found->second;
    }
    return last_matches_ && matches_labels(row);
}

bool RowMatcher::matches_route(std::string_view route) {
    const RouteView view = read_route(route);
    return is_any(filter_.key, view.key) && is_any(filter_.key_alias, view.key_alias) &&
           is_any(filter_.user, view.user) && is_any(filter_.team, view.team) &&
           is_any(filter_.organization, view.organization) &&
           is_any(filter_.model, view.upstream_model) &&
           is_any(filter_.model_id, view.deployment_id) &&
           is_any(filter_.model_group, view.model_group);
}

bool RowMatcher::has_error_code(const RowView& row, const LabelView& labels) const {
    return filter_.error_code.empty() ||
           (row.fixed.status != 0 && (labels.error_code == filter_.error_code ||
                                      std::to_string(row.fixed.http_status) == filter_.error_code));
}

bool RowMatcher::matches_labels(const RowView& row) const {
    const auto status = static_cast<ledger::Status>(row.fixed.status);
    if (filter_.status &&
        (*filter_.status == ledger::Status::failure ? status == ledger::Status::success
                                                    : status != *filter_.status)) {
        return false;
    }
    if ((filter_.min_cost && row.fixed.cost < filter_.min_cost->value) ||
        (filter_.max_cost && row.fixed.cost > filter_.max_cost->value) ||
        !is_any(filter_.request_id, row.id)) {
        return false;
    }
    if (!filter_.end_user.empty() || !filter_.session_id.empty() || !filter_.error_code.empty()) {
        const LabelView labels = read_labels(row.labels);
        if (!is_any(filter_.end_user, labels.end_user) ||
            !is_any(filter_.session_id, labels.session_id) || !has_error_code(row, labels)) {
            return false;
        }
    }
    return filter_.error_message.empty() ||
           restore_error_message(row).find(filter_.error_message) != std::string::npos;
}

}  // namespace belay::store
