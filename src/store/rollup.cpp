#include "store/rollup.h"

#include <algorithm>

namespace belay::store {

namespace {

constexpr size_t kShortcuts = 256;
constexpr char kJoint = '\x1F';
constexpr int64_t kTokensMax = int64_t{1} << 40;

int64_t bounded(int64_t tokens) { return std::clamp(tokens, int64_t{0}, kTokensMax); }

void write_name(std::string& out, SeriesKind kind, const RouteView& route, std::string_view label) {
    const auto put = [&out](std::string_view text) {
        out += text;
        out += kJoint;
    };
    const bool by_tag = kind == SeriesKind::tag;
    put(route.key);
    put(route.key_alias);
    for (const std::string_view text : {route.user, route.team, route.organization}) {
        put(by_tag ? std::string_view() : text);
    }
    put(kind == SeriesKind::end_user ? label : std::string_view());
    put(by_tag ? label : std::string_view());
    put(route.upstream_model);
    put(route.model_group);
    put(route.provider);
    out += ledger::endpoint_of(route.client_api);
}

}  // namespace

bool Rollup::read(std::string_view rows) {
    routes_.clear();
    route_places_.clear();
    last_route_ = nullptr;
    sums_.clear();
    sum_places_.clear();
    shortcuts_.assign(kShortcuts, {});
    facts_ = {};
    (void)common_.take();
    (void)varied_.take();
    for (RowReader reader(rows); const auto row = reader.next();) {
        if ((row->fixed.flags & kFormat2) == 0) {
            return false;
        }
        add(*row);
    }
    tell_routes();
    facts_.common = common_.take();
    facts_.varied = varied_.take();
    return true;
}

void Rollup::add(const RowView& row) {
    const ledger::Metrics metrics = metrics_of(row.fixed);
    const int64_t day = ledger::day_of(row.fixed.received_ms);
    const size_t place = route_of(row.route);
    Route& route = routes_[place];
    if (route.day != day) {
        route.sum = sum_of(SeriesKind::key, place, {}, day);
        route.day = day;
    }
    sums_[route.sum].metrics += metrics;
    if (!row.labels.empty()) {
        add_labels(row, place, day, metrics);
    }
    ++facts_.requests;
    ++route.uses[std::min<size_t>(row.fixed.status, kStatuses - 1)];
    if (row.fixed.status != 0) {
        const char status = static_cast<char>(row.fixed.status);
        common_.add(Field::status, {&status, 1});
        tell_error(row);
        facts_.failures +=
            row.fixed.status == static_cast<uint8_t>(ledger::Status::failure) ? 1 : 0;
    }
    facts_.prompt_tokens += metrics.prompt_tokens;
    facts_.output_tokens += metrics.completion_tokens;
    facts_.cost = belay::add(facts_.cost, metrics.cost);
    facts_.cost_unknown += metrics.unknown_cost;
    facts_.received_ms.add(row.fixed.received_ms);
    facts_.cost_each.add(row.fixed.cost);
    facts_.tokens_each.add(metrics.prompt_tokens + metrics.completion_tokens);
    facts_.total_us.add(row.fixed.total_us);
    facts_.first_token_us.add(row.fixed.first_token_us);
    write_id_key(facts_.id_keys, row.id);
}

// Rows that share a route share its bytes; where one was written again, its sums are found by name.
size_t Rollup::route_of(std::string_view route) {
    if (route.data() == last_route_) {
        return last_place_;
    }
    const auto [found, is_new] = route_places_.try_emplace(route.data(), routes_.size());
    if (is_new) {
        routes_.push_back({read_route(route)});
    }
    last_route_ = route.data();
    last_place_ = found->second;
    return last_place_;
}

size_t Rollup::sum_of(SeriesKind kind, size_t route, std::string_view label, int64_t day) {
    scratch_.assign(1, static_cast<char>('0' + static_cast<int>(kind)));
    scratch_.append(reinterpret_cast<const char*>(&day), sizeof day);
    const size_t lead = scratch_.size();
    write_name(scratch_, kind, routes_[route].view, label);
    const auto [found, is_new] = sum_places_.try_emplace(scratch_, sums_.size());
    if (is_new) {
        sums_.push_back({kind, day, scratch_.substr(lead), {}});
    }
    return found->second;
}

void Rollup::add_labels(const RowView& row, size_t route, int64_t day,
                        const ledger::Metrics& metrics) {
    LabelView labels = read_labels(row.labels);
    varied_.add(Field::session, labels.session_id);
    const auto count = [&](SeriesKind kind, std::string_view label) {
        Shortcut& known = shortcuts_[hash_text(label, route) % kShortcuts];
        if (known.day != day || known.route != route || known.kind != kind ||
            known.label != label) {
            known = {label, route, sum_of(kind, route, label, day), day, kind};
        }
        sums_[known.sum].metrics += metrics;
    };
    if (!labels.end_user.empty()) {
        varied_.add(Field::end_user, labels.end_user);
        count(SeriesKind::end_user, labels.end_user);
    }
    for (std::string_view seen = labels.tags; !labels.tags.empty();) {
        const std::string_view tag = next_label(labels.tags);
        std::string_view before = seen.substr(0, seen.size() - labels.tags.size());
        bool again = tag.empty();  // a tag that is given twice counts once
        while (!again) {
            const std::string_view other = next_label(before);
            if (other.data() == tag.data()) {
                break;
            }
            again = other == tag;
        }
        if (!again) {
            count(SeriesKind::tag, tag);
        }
    }
}

// A failure is found by its code and by its status.
void Rollup::tell_error(const RowView& row) {
    const std::string status = std::to_string(row.fixed.http_status);
    const std::string_view code = read_labels(row.labels).error_code;
    varied_.add(Field::error_code, status);
    if (code != status) {
        varied_.add(Field::error_code, code);
    }
}

void Rollup::tell_routes() {
    for (const Route& route : routes_) {
        const RouteView& view = route.view;
        Mix mix;
        mix.uses = route.uses;
        const uint32_t uses = route.uses[0] + route.uses[1] + route.uses[2];
        const std::string_view texts[] = {
            view.key,          view.key_alias,      view.user,          view.team,
            view.organization, view.upstream_model, view.deployment_id, view.model_group};
        for (size_t i = 0; i < kMixFields; ++i) {
            const uint64_t hash = hash_of(mix_field(i), texts[i]);
            mix.hashes[i] = mix_hash(hash);
            if (!texts[i].empty()) {
                common_.add_hash(hash, uses);
            }
        }
        mixes_.push_back(mix);
    }
    facts_.mixes = write_mixes(mixes_);
    mixes_.clear();
}

ledger::Metrics metrics_of(const RowFixed& row) {
    ledger::Metrics metrics;
    metrics.cost = NanoCredits{row.cost};
    metrics.cache_read_tokens = bounded(row.cache_read);
    metrics.cache_write_tokens = bounded(row.cache_write);
    metrics.prompt_tokens =
        bounded(row.input) + metrics.cache_read_tokens + metrics.cache_write_tokens;
    metrics.completion_tokens = bounded(row.output);
    metrics.requests = 1;
    const bool success = row.status == static_cast<uint8_t>(ledger::Status::success);
    metrics.successes = success ? 1 : 0;
    metrics.failures = success ? 0 : 1;
    metrics.premium_milli = bounded(row.premium_milli);
    metrics.fallbacks = success && (row.flags & kFellBack) != 0 ? 1 : 0;
    metrics.total_us = success ? bounded(row.total_us) : 0;
    metrics.first_token_us = success ? bounded(row.first_token_us) : 0;
    metrics.unknown_cost =
        row.cost_source == static_cast<uint8_t>(chat::CostSource::unknown) ? 1 : 0;
    return metrics;
}

}  // namespace belay::store
