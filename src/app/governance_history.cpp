// What is known of keys from before: their names outside, and what only ever grows, within bounds.
#include <algorithm>

#include "app/governance.h"

namespace belay::app {
namespace {

constexpr size_t kStep = 500;  // deletions in one transaction

using governance::EntityKind;

int64_t moment_of(const governance::Entity& entity) {
    for (const char* name : {"updated_at", "deleted_at", "created_at"}) {
        if (const auto text = entity.doc[name].as_string(); !text.empty()) {
            const Wall at = parse_utc(text);
            return at == Wall::min() ? 0 : unix_millis(at);
        }
    }
    return 0;
}

}  // namespace

std::string Governance::key_hash_of(const std::string& key_id) const {
    auto key = directory_.find(EntityKind::key, key_id);
    key = key ? key : directory_.find(EntityKind::deleted_key, key_id);
    const std::string_view sealed = key ? key->doc["sealed_token"].as_string() : "";
    if (sealed.empty() || seal_ == nullptr) {
        return key_id;
    }
    auto token = seal_->open(sealed, "key/" + key_id);
    return token.ok() ? token->reveal() : key_id;
}

Result<uint64_t> Governance::trim_history(int64_t before_ms) {
    std::vector<governance::Change> old;
    for (const auto kind : {EntityKind::audit, EntityKind::deleted_key, EntityKind::deleted_team}) {
        auto rows = directory_.list(kind);
        std::sort(rows.begin(), rows.end(),
                  [](const auto& a, const auto& b) { return a->version < b->version; });
        const size_t beyond = rows.size() > kHistoryMost ? rows.size() - kHistoryMost : 0;
        for (size_t i = 0; i < rows.size(); ++i) {
            const bool aged = kind == EntityKind::audit && moment_of(*rows[i]) < before_ms;
            if (i < beyond || aged) {
                old.push_back({kind, rows[i]->id, json::Value(), std::nullopt});
            }
        }
    }
    for (size_t at = 0; at < old.size(); at += kStep) {
        const size_t end = std::min(old.size(), at + kStep);
        const std::vector<governance::Change> some(old.begin() + static_cast<ptrdiff_t>(at),
                                                   old.begin() + static_cast<ptrdiff_t>(end));
        directory_.apply(TRY(store_->apply(some)));
    }
    return static_cast<uint64_t>(old.size());
}

}  // namespace belay::app
