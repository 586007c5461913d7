#include "governance/entity_store.h"

#include <algorithm>

#include "governance/directory.h"

namespace belay::governance {
namespace {

constexpr size_t kAtOnce = 10'000;

bool has_models(const std::vector<Entity>& entities) {
    return std::any_of(entities.begin(), entities.end(), [](const Entity& entity) {
        return entity.kind == EntityKind::model || entity.kind == EntityKind::config;
    });
}

Result<std::vector<Entity>> read_all(EntityStore& store) {
    std::vector<Entity> all;
    int64_t version = 0;
    while (true) {
        auto some = TRY(store.changes_since(version, kAtOnce));
        if (some.empty()) {
            return all;
        }
        version = some.back().version;
        all.insert(all.end(), std::make_move_iterator(some.begin()),
                   std::make_move_iterator(some.end()));
    }
}

}  // namespace

Result<bool> read_changes(EntityStore& store, Directory& directory, bool* models) {
    bool any = false;
    while (true) {
        auto changed = store.changes_since(directory.version(), kAtOnce);
        if (!changed.ok() && changed.error().code == "reload") {
            directory.replace(TRY(read_all(store)));
            if (models != nullptr) {
                *models = true;
            }
            return true;
        }
        if (!changed.ok()) {
            return std::move(changed).error();
        }
        if (changed->empty()) {
            return any;
        }
        any = true;
        if (models != nullptr) {
            *models = *models || has_models(*changed);
        }
        directory.apply(*changed);
    }
}

}  // namespace belay::governance
