#include "governance/directory.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <shared_mutex>

#include "base/seal.h"
#include "governance/caller_maker.h"
#include "governance/documents.h"
#include "governance/keys.h"

namespace belay::governance {
namespace {

using json::Value;

constexpr size_t kMostCustomersKept = 16'384;
constexpr size_t kMostGravesKept = 65'536;
const Value kNothing;

using Ids = std::set<std::string, std::less<>>;
using IdIndex = std::map<std::string, Ids, std::less<>>;
using NameIndex = std::map<std::string, std::string, std::less<>>;

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

void add_to(IdIndex& index, std::string_view name, const std::string& id) {
    if (!name.empty()) {
        index[std::string(name)].insert(id);
    }
}

void take_from(IdIndex& index, std::string_view name, std::string_view id) {
    const auto at = index.find(name);
    if (at == index.end()) {
        return;
    }
    if (const auto one = at->second.find(id); one != at->second.end()) {
        at->second.erase(one);
    }
    if (at->second.empty()) {
        index.erase(at);
    }
}

void take_from(NameIndex& index, std::string_view name, std::string_view id) {
    const auto at = index.find(name);
    if (at != index.end() && at->second == id) {
        index.erase(at);
    }
}

// "<team>/<user>", or what the document says.
struct Membership {
    std::string_view team, user;
};
Membership membership_of(const Entity& entity) {
    const std::string_view id = entity.id;
    const size_t slash = id.find('/');
    Membership m{id.substr(0, slash),
                 slash == std::string_view::npos ? std::string_view() : id.substr(slash + 1)};
    m.team = entity.doc["team_id"].as_string(m.team);
    m.user = entity.doc["user_id"].as_string(m.user);
    return m;
}

}  // namespace

struct Directory::Impl final : Documents {
    using Entities = std::map<std::string, EntityPtr, std::less<>>;

    mutable std::shared_mutex mutex;  // all of these
    std::array<Entities, kEntityKinds> entities;
    NameIndex keys_by_alias, users_by_email, accounts_by_user;
    IdIndex keys_by_user, keys_by_team, members_by_team, teams_by_user;
    // Versions of deletions: a write from before that arrives late revives nothing.
    std::map<std::pair<EntityKind, std::string>, int64_t> graves;
    Defaults defaults;
    Secret key_secret;
    int64_t version = 0;

    // What was made of them since the last change. Taken after `mutex`, which is held shared.
    mutable std::mutex made_mutex;
    mutable std::map<std::string, CallerPtr, std::less<>> callers, callers_of_users;
    mutable std::map<std::string, std::shared_ptr<const Scope>, std::less<>> customers, tags;
    mutable std::map<std::string, std::vector<std::string>, std::less<>> groups;
    mutable bool groups_made = false;
    mutable CallerPtr master;

    const EntityPtr* find_entity(EntityKind kind, std::string_view id) const {
        const Entities& all = entities[static_cast<size_t>(kind)];
        const auto at = all.find(id);
        return at == all.end() ? nullptr : &at->second;
    }
    const Value& find_doc(EntityKind kind, std::string_view id) const override {
        const EntityPtr* entity = id.empty() ? nullptr : find_entity(kind, id);
        return entity == nullptr ? kNothing : (*entity)->doc;
    }
    std::string_view account_of(std::string_view user) const override {
        const auto at = user.empty() ? accounts_by_user.end() : accounts_by_user.find(user);
        return at == accounts_by_user.end() ? std::string_view() : at->second;
    }
    const std::vector<std::string>* find_group(std::string_view name) const override {
        if (!groups_made) {
            make_groups();
        }
        const auto at = groups.find(name);
        return at == groups.end() ? nullptr : &at->second;
    }

    bool knows_key(std::string_view id) const {
        return find_entity(EntityKind::key, id) != nullptr ||
               find_entity(EntityKind::deleted_key, id) != nullptr;
    }
    std::string id_of_hash(std::string plain) const {
        if (key_secret.empty() || find_entity(EntityKind::key, plain) != nullptr) {
            return plain;
        }
        return keyed_hash_hex(key_secret, plain);
    }
    void make_groups() const;
    void index(const Entity& entity);
    void unindex(const Entity& entity);
    void put(const Entity& entity);
    void forget_made();
    std::vector<EntityPtr> of_ids(EntityKind kind, const IdIndex& index,
                                  std::string_view name) const;

    // The kept one, or the one that `make` makes now.
    template <class Kept, class Make>
    auto kept_or_made(Kept& kept, std::string_view id, const Make& make,
                      size_t most = std::numeric_limits<size_t>::max()) const {
        const std::lock_guard lock(made_mutex);
        const auto at = kept.find(id);
        if (at != kept.end()) {
            return at->second;
        }
        typename Kept::mapped_type made = make();
        if (made != nullptr) {
            if (kept.size() >= most) {
                kept.clear();  // of ids that requests make up
            }
            kept.emplace(std::string(id), made);
        }
        return made;
    }
};

void Directory::Impl::make_groups() const {
    const auto add = [&](std::string_view name, std::string_view model) {
        if (!name.empty() && !model.empty()) {
            groups[std::string(name)].emplace_back(model);
        }
    };
    for (const auto& group : defaults.access_groups) {
        groups[group.name];  // known even when it holds nothing
        for (const auto& model : group.models) {
            add(group.name, model);
        }
    }
    for (const auto& [id, entity] : entities[static_cast<size_t>(EntityKind::model)]) {
        for (const auto& name : read_names(entity->doc["model_info"]["access_groups"])) {
            add(name, entity->doc["model_name"].as_string());
        }
    }
    for (const auto& [id, entity] : entities[static_cast<size_t>(EntityKind::access_group)]) {
        const Value& names = entity->doc["access_model_names"];
        const std::string_view name = entity->doc["access_group_name"].as_string();
        for (const auto& model : read_names(names.is_null() ? entity->doc["models"] : names)) {
            add(id, model);
            if (name != id) {
                add(name, model);
            }
        }
    }
    groups_made = true;
}

void Directory::Impl::index(const Entity& entity) {
    const Value& doc = entity.doc;
    if (entity.kind == EntityKind::key && doc["active_token_id"].is_null()) {
        if (const auto alias = doc["key_alias"].as_string(); !alias.empty()) {
            keys_by_alias[std::string(alias)] = entity.id;
        }
        add_to(keys_by_user, doc["user_id"].as_string(), entity.id);
        add_to(keys_by_team, doc["team_id"].as_string(), entity.id);
    } else if (entity.kind == EntityKind::user) {
        if (const auto email = doc["user_email"].as_string(); !email.empty()) {
            users_by_email[lower(email)] = entity.id;
        }
    } else if (entity.kind == EntityKind::team_member) {
        const Membership m = membership_of(entity);
        add_to(members_by_team, m.team, entity.id);
        add_to(teams_by_user, m.user, std::string(m.team));
    } else if (entity.kind == EntityKind::account) {
        // Before its first sign-in an account binds nobody.
        const std::string_view user = doc["user_id"].as_string();
        if (!user.empty() && !doc["connected_at"].is_null()) {
            accounts_by_user[std::string(user)] = entity.id;
        }
    }
}

void Directory::Impl::unindex(const Entity& entity) {
    const Value& doc = entity.doc;
    if (entity.kind == EntityKind::key) {
        take_from(keys_by_alias, doc["key_alias"].as_string(), entity.id);
        take_from(keys_by_user, doc["user_id"].as_string(), entity.id);
        take_from(keys_by_team, doc["team_id"].as_string(), entity.id);
    } else if (entity.kind == EntityKind::user) {
        take_from(users_by_email, lower(doc["user_email"].as_string()), entity.id);
    } else if (entity.kind == EntityKind::team_member) {
        const Membership m = membership_of(entity);
        take_from(members_by_team, m.team, entity.id);
        take_from(teams_by_user, m.user, m.team);
    } else if (entity.kind == EntityKind::account) {
        take_from(accounts_by_user, doc["user_id"].as_string(), entity.id);
    }
}

void Directory::Impl::put(const Entity& entity) {
    Entities& all = entities[static_cast<size_t>(entity.kind)];
    version = std::max(version, entity.version);
    const auto at = all.find(entity.id);
    const auto grave = graves.find({entity.kind, entity.id});
    const int64_t known = at != all.end()         ? at->second->version
                          : grave != graves.end() ? grave->second
                                                  : 0;
    if (entity.version != 0 && entity.version < known) {
        return;  // an older change that arrives late does not undo a newer one
    }
    if (at != all.end()) {
        unindex(*at->second);
    }
    if (entity.is_deleted()) {
        if (at != all.end()) {
            all.erase(at);
        }
        if (graves.size() >= kMostGravesKept) {
            graves.clear();
        }
        graves[{entity.kind, entity.id}] = entity.version;
        return;
    }
    if (grave != graves.end()) {
        graves.erase(grave);
    }
    all[entity.id] = std::make_shared<const Entity>(entity);
    index(entity);
}

void Directory::Impl::forget_made() {
    const std::lock_guard lock(made_mutex);
    callers.clear();
    callers_of_users.clear();
    customers.clear();
    tags.clear();
    groups.clear();
    groups_made = false;
    master.reset();
}

std::vector<Directory::EntityPtr> Directory::Impl::of_ids(EntityKind kind, const IdIndex& index,
                                                          std::string_view name) const {
    std::vector<EntityPtr> found;
    if (const auto at = index.find(name); at != index.end()) {
        for (const auto& id : at->second) {
            if (const EntityPtr* entity = find_entity(kind, id)) {
                found.push_back(*entity);
            }
        }
    }
    return found;
}

Directory::Directory() : impl_(std::make_unique<Impl>()) {}
Directory::~Directory() = default;

void Directory::apply(const std::vector<Entity>& changed) {
    const std::unique_lock lock(impl_->mutex);
    for (const Entity& entity : changed) {
        if (static_cast<size_t>(entity.kind) < kEntityKinds) {
            impl_->put(entity);
        }
    }
    impl_->forget_made();
    generation_.fetch_add(1, std::memory_order_release);
}

void Directory::replace(const std::vector<Entity>& all) {
    const std::unique_lock lock(impl_->mutex);
    for (auto& entities : impl_->entities) {
        entities.clear();
    }
    for (auto* index : {&impl_->keys_by_alias, &impl_->users_by_email, &impl_->accounts_by_user}) {
        index->clear();
    }
    for (auto* index : {&impl_->keys_by_user, &impl_->keys_by_team, &impl_->members_by_team,
                        &impl_->teams_by_user}) {
        index->clear();
    }
    impl_->graves.clear();
    impl_->version = 0;
    for (const Entity& entity : all) {
        if (static_cast<size_t>(entity.kind) < kEntityKinds) {
            impl_->put(entity);
        }
    }
    impl_->forget_made();
    generation_.fetch_add(1, std::memory_order_release);
}

void Directory::set_defaults(Defaults defaults) {
    std::erase_if(defaults.global.budgets,
                  [](const BudgetWindow& budget) { return budget.most.value <= 0; });
    const std::unique_lock lock(impl_->mutex);
    impl_->defaults = std::move(defaults);
    impl_->forget_made();
    generation_.fetch_add(1, std::memory_order_release);
}

int64_t Directory::version() const {
    const std::shared_lock lock(impl_->mutex);
    return impl_->version;
}

Directory::EntityPtr Directory::find(EntityKind kind, std::string_view id) const {
    const std::shared_lock lock(impl_->mutex);
    const EntityPtr* entity = impl_->find_entity(kind, id);
    return entity == nullptr ? nullptr : *entity;
}

std::vector<Directory::EntityPtr> Directory::list(
    EntityKind kind, const std::function<bool(const Entity&)>& keep) const {
    const std::shared_lock lock(impl_->mutex);
    const auto& all = impl_->entities[static_cast<size_t>(kind)];
    std::vector<EntityPtr> found;
    if (!keep) {
        found.reserve(all.size());
    }
    for (const auto& [id, entity] : all) {
        if (!keep || keep(*entity)) {
            found.push_back(entity);
        }
    }
    return found;
}

size_t Directory::count(EntityKind kind) const {
    const std::shared_lock lock(impl_->mutex);
    return impl_->entities[static_cast<size_t>(kind)].size();
}

Directory::EntityPtr Directory::key_by_alias(std::string_view alias) const {
    const std::shared_lock lock(impl_->mutex);
    const auto at = impl_->keys_by_alias.find(alias);
    const EntityPtr* entity = at == impl_->keys_by_alias.end()
                                  ? nullptr
                                  : impl_->find_entity(EntityKind::key, at->second);
    return entity == nullptr ? nullptr : *entity;
}

Directory::EntityPtr Directory::user_by_email(std::string_view email) const {
    const std::shared_lock lock(impl_->mutex);
    const auto at = impl_->users_by_email.find(lower(email));
    const EntityPtr* entity = at == impl_->users_by_email.end()
                                  ? nullptr
                                  : impl_->find_entity(EntityKind::user, at->second);
    return entity == nullptr ? nullptr : *entity;
}

std::vector<Directory::EntityPtr> Directory::keys_of_user(std::string_view user) const {
    const std::shared_lock lock(impl_->mutex);
    return impl_->of_ids(EntityKind::key, impl_->keys_by_user, user);
}

std::vector<Directory::EntityPtr> Directory::keys_of_team(std::string_view team) const {
    const std::shared_lock lock(impl_->mutex);
    return impl_->of_ids(EntityKind::key, impl_->keys_by_team, team);
}

std::vector<Directory::EntityPtr> Directory::members_of_team(std::string_view team) const {
    const std::shared_lock lock(impl_->mutex);
    return impl_->of_ids(EntityKind::team_member, impl_->members_by_team, team);
}

std::vector<Directory::EntityPtr> Directory::teams_of_user(std::string_view user) const {
    const std::shared_lock lock(impl_->mutex);
    Ids ids;
    if (const auto at = impl_->teams_by_user.find(user); at != impl_->teams_by_user.end()) {
        ids = at->second;
    }
    for (auto& id : read_names(impl_->find_doc(EntityKind::user, user)["teams"])) {
        ids.insert(std::move(id));
    }
    std::vector<EntityPtr> found;
    for (const auto& id : ids) {
        if (const EntityPtr* team = impl_->find_entity(EntityKind::team, id)) {
            found.push_back(*team);
        }
    }
    return found;
}

void Directory::set_key_secret(Secret secret) {
    const std::unique_lock lock(impl_->mutex);
    impl_->key_secret = std::move(secret);
}

std::string Directory::key_id(std::string_view key) const {
    std::string plain = key_hash(key);
    const std::shared_lock lock(impl_->mutex);
    return impl_->id_of_hash(std::move(plain));
}

std::string Directory::id_of(std::string_view key_or_hash) const {
    if (!is_key_hash(key_or_hash)) {
        return key_id(key_or_hash);
    }
    const std::shared_lock lock(impl_->mutex);
    // A hash of nobody's key that is known may be the id of a key that is gone: reports have those.
    if (impl_->knows_key(key_or_hash)) {
        return std::string(key_or_hash);
    }
    std::string keyed = impl_->id_of_hash(std::string(key_or_hash));
    return impl_->knows_key(keyed) ? keyed : std::string(key_or_hash);
}

CallerPtr Directory::caller(std::string_view key_hash) const {
    const std::shared_lock lock(impl_->mutex);
    const Maker maker{*impl_, impl_->defaults, generation()};
    return impl_->kept_or_made(impl_->callers, key_hash,
                               [&] { return maker.make_caller(key_hash); });
}

CallerPtr Directory::caller_of_user(std::string_view user) const {
    const std::shared_lock lock(impl_->mutex);
    const Maker maker{*impl_, impl_->defaults, generation()};
    return impl_->kept_or_made(impl_->callers_of_users, user,
                               [&] { return maker.make_caller_of_user(user); });
}

CallerPtr Directory::master() const {
    const std::shared_lock lock(impl_->mutex);
    const std::lock_guard made_lock(impl_->made_mutex);
    if (impl_->master == nullptr) {
        impl_->master = Maker{*impl_, impl_->defaults, generation()}.make_master();
    }
    return impl_->master;
}

std::shared_ptr<const Scope> Directory::customer(std::string_view id) const {
    const std::shared_lock lock(impl_->mutex);
    const Maker maker{*impl_, impl_->defaults, generation()};
    return impl_->kept_or_made(
        impl_->customers, id, [&] { return maker.make_customer(id); }, kMostCustomersKept);
}

std::shared_ptr<const Scope> Directory::tag(std::string_view name) const {
    const std::shared_lock lock(impl_->mutex);
    const Maker maker{*impl_, impl_->defaults, generation()};
    return impl_->kept_or_made(impl_->tags, name, [&] { return maker.make_tag(name); });
}

}  // namespace belay::governance
