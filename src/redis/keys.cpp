// A name is "<kind>:<end of the window>:<length of duration>:<length of
// model>:<duration><model><id>", so that no text in it can be taken for another's.
#include "redis/keys.h"

#include <charconv>

namespace belay::redis {
namespace {

template <class N>
bool take_number(std::string_view& text, N& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    const auto size = static_cast<size_t>(end - text.data());
    if (error != std::errc() || size >= text.size() || text[size] != ':') {
        return false;
    }
    text.remove_prefix(size + 1);
    return true;
}

}  // namespace

std::string Keys::name(const governance::SharedRow& row, std::string_view what) const {
    std::string out = prefix_;
    out.append(what);
    out += std::to_string(static_cast<int>(row.scope_kind)) + ":" + std::to_string(row.ends_ms) +
           ":" + std::to_string(row.duration.size()) + ":" + std::to_string(row.model.size()) + ":";
    return out + row.duration + row.model + row.id;
}

std::string Keys::counters(const governance::SharedRow& row) const {
    return name(row, row.kind == governance::SharedRow::Kind::rate ? "r:" : "b:");
}

std::string Keys::holds(const governance::SharedRow& row) const {
    return name(row, row.kind == governance::SharedRow::Kind::slots ? "s:" : "h:");
}

std::optional<governance::SharedRow> Keys::parse_window(std::string_view key) const {
    if (!key.starts_with(prefix_ + "b:")) {
        return std::nullopt;
    }
    key.remove_prefix(prefix_.size() + 2);
    governance::SharedRow row;
    int kind = 0;
    size_t duration = 0;
    size_t model = 0;
    if (!take_number(key, kind) || !take_number(key, row.ends_ms) || !take_number(key, duration) ||
        !take_number(key, model) || kind < 0 ||
        kind > static_cast<int>(governance::ScopeKind::global) || duration > key.size() ||
        model > key.size() - duration) {
        return std::nullopt;
    }
    row.scope_kind = static_cast<governance::ScopeKind>(kind);
    row.duration = std::string(key.substr(0, duration));
    row.model = std::string(key.substr(duration, model));
    row.id = std::string(key.substr(duration + model));
    return row;
}

}  // namespace belay::redis
