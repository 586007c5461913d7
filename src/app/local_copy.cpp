#include "app/local_copy.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "base/log.h"
#include "store/entity_rules.h"
#include "store/snapshot_file.h"
#include "wire/json.h"

namespace belay::app {
namespace {

using governance::EntityKind;
using governance::ScopeKind;

constexpr seconds kSettled{2};   // a burst of changes is written once
constexpr seconds kPause{5};     // between two copies
constexpr int kPauseTimes = 20;  // and so many times as long as one takes
constexpr seconds kSpentEvery{15};
constexpr std::string_view kKeys = "entities";
constexpr std::string_view kSpent = "spent";
constexpr auto kScopeKinds = static_cast<int64_t>(ScopeKind::global) + 1;

std::string render(const governance::Entity& entity) {
    return json::dump(json::Value(
        json::Array{json::Value(governance::entity_kind_name(entity.kind)), json::Value(entity.id),
                    json::Value(entity.version), json::Value(json::dump(entity.doc))}));
}

std::string render(const governance::Spent& spent) {
    return json::dump(json::Value(
        json::Array{json::Value(static_cast<int64_t>(spent.kind)), json::Value(spent.id),
                    json::Value(spent.model), json::Value(spent.amount.value),
                    json::Value(spent.premium_milli), json::Value(spent.duration)}));
}

std::string path_of(const std::string& dir, std::string_view what) {
    return dir + "/" + std::string(what) + ".copy";
}

}  // namespace

LocalCopy::LocalCopy(std::string dir, std::string origin)
    : dir_(std::move(dir)), origin_(std::move(origin)) {}

void LocalCopy::keep(const governance::Directory& directory, const governance::Governor& governor) {
    const Mono now = system_clock().mono();
    if (directory.generation() != generation_) {
        entities_.changed = entities_.changed == Mono{} ? now : entities_.changed;
        // What there was at the start is written at once.
        if (now >= entities_.next && (generation_ == 0 || now >= entities_.changed + kSettled)) {
            generation_ = directory.generation();
            entities_.changed = {};
            write(directory);
            const Mono done = system_clock().mono();
            entities_.next = done + std::max<Mono::duration>(kPause, (done - now) * kPauseTimes);
        }
    }
    if (now >= next_spent_) {
        write(governor);
        const Mono done = system_clock().mono();
        next_spent_ = done + std::max<Mono::duration>(kSpentEvery, (done - now) * kPauseTimes);
    }
}

void LocalCopy::close(const governance::Governor& governor) { write(governor); }

void LocalCopy::write(const governance::Directory& directory) {
    auto writer = store::SnapshotWriter::open(path_of(dir_, kKeys), kKeys, origin_,
                                              unix_millis(system_clock().wall()));
    if (!writer.ok()) {
        told(writer.error());
        return;
    }
    for (size_t kind = 0; kind < governance::kEntityKinds; ++kind) {
        for (const auto& entity : directory.list(static_cast<EntityKind>(kind))) {
            writer->add(render(*entity));
        }
    }
    told(writer->finish());
}

void LocalCopy::write(const governance::Governor& governor) {
    std::vector<std::string> lines;
    size_t from = 0;
    do {
        for (const auto& spent : governor.list_spent(from)) {
            lines.push_back(render(spent));
        }
    } while (from != 0);
    size_t hash = lines.size();
    for (const std::string& line : lines) {
        hash = hash * 31 + std::hash<std::string>()(line);
    }
    if (hash == spent_hash_) {
        return;
    }
    auto writer = store::SnapshotWriter::open(path_of(dir_, kSpent), kSpent, origin_,
                                              unix_millis(system_clock().wall()));
    if (!writer.ok()) {
        told(writer.error());
        return;
    }
    for (const std::string& line : lines) {
        writer->add(line);
    }
    spent_hash_ = hash;
    told(writer->finish());
}

void LocalCopy::told(const Result<void>& written) {
    if (!written.ok() && !failing_) {
        log::write(log::Level::warn, "copy.failed",
                   "the local copy of keys and budgets cannot be written, and a start without the "
                   "database would not know them: " +
                       written.error().message);
    }
    failing_ = !written.ok();
}

Result<LocalCopy::Restored> LocalCopy::read() const {
    const store::Snapshot keys = TRY(store::read_snapshot(path_of(dir_, kKeys), kKeys, origin_));
    Restored restored;
    restored.saved_ms = keys.saved_ms;
    for (const std::string& line : keys.lines) {
        const auto row = json::parse(line);
        if (!row.ok() || !row->is_array() || row->items().size() != 4) {
            continue;
        }
        const json::Array& items = row->items();
        auto entity = store::read_entity(items[0].as_string(), items[1].as_string(),
                                         items[3].as_string(), items[2].as_int().value_or(0));
        if (entity) {
            restored.entities.push_back(std::move(*entity));
        }
    }
    const auto spent = store::read_snapshot(path_of(dir_, kSpent), kSpent, origin_);
    for (const std::string& line : spent.ok() ? spent->lines : std::vector<std::string>()) {
        const auto row = json::parse(line);
        if (!row.ok() || !row->is_array() || row->items().size() != 6) {
            continue;
        }
        const json::Array& items = row->items();
        const int64_t kind = items[0].as_int().value_or(-1);
        if (kind >= 0 && kind < kScopeKinds) {
            restored.spent.push_back(
                {static_cast<ScopeKind>(kind), std::string(items[1].as_string()),
                 std::string(items[2].as_string()), NanoCredits{items[3].as_int().value_or(0)},
                 items[4].as_int().value_or(0), std::string(items[5].as_string())});
        }
    }
    return restored;
}

}  // namespace belay::app
