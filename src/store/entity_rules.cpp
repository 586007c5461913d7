#include "store/entity_rules.h"

#include <map>
#include <utility>

#include "base/log.h"

namespace belay::store {

using governance::Change;
using governance::Entity;
using governance::EntityKind;

namespace {

// Hashes of keys are cut: an error is no place for them.
std::string describe(EntityKind kind, std::string_view id) {
    const size_t shown = kind == EntityKind::key || kind == EntityKind::deleted_key ? 8 : 64;
    return std::string(entity_kind_name(kind)) + " \"" + log::scrub(id.substr(0, shown)) + "\"";
}

Error refused(Kind kind, const Change& change, std::string_view why) {
    return caller_error(kind, describe(change.kind, change.id) + ": " + std::string(why));
}

// As a store keeps it: text without NUL, well-formed.
bool is_text(std::string_view id) {
    const json::Value value(id);
    const Result<json::Value> again = json::parse(json::dump(value));
    return id.find('\0') == std::string_view::npos && again.ok() && *again == value;
}

Result<std::string> dump_document(const Change& change) {
    if (change.doc.is_null()) {
        return std::string();
    }
    if (!change.doc.is_object()) {
        return refused(Kind::invalid_request, change, "the document is no JSON object");
    }
    std::string text = json::dump(change.doc);
    if (text.size() > kEntityDocBytes) {
        return refused(Kind::too_large, change,
                       "the document is " + std::to_string(text.size()) + " bytes long; at most " +
                           std::to_string(kEntityDocBytes) + " are kept");
    }
    // What is kept must read back the same: documents may have been built by hand.
    const Result<json::Value> again = json::parse(text);
    if (!again.ok()) {
        return refused(Kind::invalid_request, change, again.error().message);
    }
    if (*again != change.doc) {
        return refused(Kind::invalid_request, change, "the document has text that is not UTF-8");
    }
    return text;
}

Result<void> check_id(const Change& change) {
    if (change.id.empty() || change.id.size() > kEntityIdBytes) {
        return refused(Kind::invalid_request, change,
                       "an id has 1 to " + std::to_string(kEntityIdBytes) + " bytes");
    }
    if (!is_text(change.id)) {
        return refused(Kind::invalid_request, change, "the id is no valid text");
    }
    return {};
}

Error conflict(const Entity& entity, int64_t expected, int64_t found) {
    const std::string what = describe(entity.kind, entity.id);
    Error error = caller_error(Kind::invalid_request, {});
    error.code = "conflict";
    if (expected == 0) {
        error.message = what + " exists already";
    } else if (found == 0) {
        error.message = what + " was deleted meanwhile";
    } else {
        error.message = what + " was changed meanwhile (version " + std::to_string(found) +
                        ", not " + std::to_string(expected) + "); read it again";
    }
    return error;
}

std::optional<EntityKind> parse_kind(std::string_view name) {
    for (size_t i = 0; i < governance::kEntityKinds; ++i) {
        const auto kind = static_cast<EntityKind>(i);
        if (entity_kind_name(kind) == name) {
            return kind;
        }
    }
    return {};
}

void tell_unreadable(std::string_view kind, std::string_view id, std::string_view reason) {
    log::write(log::Level::error, "entities.unreadable",
               "A stored row cannot be understood and is passed over.",
               {{"kind", kind}, {"id", id.substr(0, 64)}, {"reason", reason}});
}

}  // namespace

Result<std::vector<EntityWrite>> prepare_writes(const std::vector<Change>& changes) {
    if (changes.size() > kChangesCount) {
        return caller_error(Kind::too_large, std::to_string(changes.size()) +
                                                 " changes at once; at most " +
                                                 std::to_string(kChangesCount) + " are taken");
    }
    std::vector<EntityWrite> writes;
    writes.reserve(changes.size());
    size_t bytes = 0;
    for (const Change& change : changes) {
        TRY(check_id(change));
        std::string text = TRY(dump_document(change));
        bytes += text.size();
        if (bytes > kChangesBytes) {
            return caller_error(Kind::too_large, "the changes' documents exceed " +
                                                     std::to_string(kChangesBytes) + " bytes");
        }
        writes.push_back(
            {{change.kind, change.id, change.doc, 0}, std::move(text), change.expected});
    }
    return writes;
}

Result<void> number_writes(std::vector<EntityWrite>& writes, int64_t last,
                           const VersionOf& version_of) {
    std::map<std::pair<EntityKind, std::string_view>, int64_t> written;
    for (EntityWrite& write : writes) {
        Entity& entity = write.entity;
        const auto key = std::pair(entity.kind, std::string_view(entity.id));
        if (write.expected) {
            const auto earlier = written.find(key);
            const int64_t found = earlier != written.end()
                                      ? earlier->second
                                      : TRY(version_of(entity.kind, entity.id));
            if (found != *write.expected) {
                return conflict(entity, *write.expected, found);
            }
        }
        entity.version = ++last;
        written[key] = entity.is_deleted() ? 0 : entity.version;
    }
    return {};
}

std::vector<Entity> entities_of(std::vector<EntityWrite> writes) {
    std::vector<Entity> entities;
    entities.reserve(writes.size());
    for (EntityWrite& write : writes) {
        entities.push_back(std::move(write.entity));
    }
    return entities;
}

std::optional<Entity> read_entity(std::string_view kind, std::string_view id,
                                  std::optional<std::string_view> doc, int64_t version) {
    const std::optional<EntityKind> known = parse_kind(kind);
    if (!known) {
        tell_unreadable(kind, id, "this Belay knows no such kind");
        return {};
    }
    Entity entity{*known, std::string(id), {}, version};
    if (doc) {
        Result<json::Value> parsed = json::parse(*doc);
        if (!parsed.ok() || !parsed->is_object()) {
            tell_unreadable(kind, id, parsed.ok() ? "it is no object" : parsed.error().message);
            return {};
        }
        entity.doc = std::move(*parsed);
    }
    return entity;
}

Result<void> check_reader(int64_t since, const EntityCounter& counter) {
    if (since == 0 || (since >= counter.purged && since <= counter.version)) {
        return {};
    }
    Error error = gateway_error(
        Kind::invalid_request,
        since > counter.version
            ? "the store is older than what was read from it; it has to be read again from 0"
            : "deletions since that version are forgotten; the store has to be read again from 0");
    error.code = "reload";
    return error;
}

}  // namespace belay::store
