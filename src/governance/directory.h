#pragma once
// All entities in memory, and who a presented key is. Reads never touch the store: known keys keep
// working while it is away. One writer at a time changes it (admin/, after the store has taken the
// change; the sync that reads other instances' changes); readers keep what they hold. Thread-safe.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"
#include "governance/caller.h"
#include "governance/entity.h"

namespace belay::governance {

class Directory {
  public:
    Directory();
    ~Directory();

    // Entities as the store gives them; deleted ones go away. Bumps generation() once.
    void apply(const std::vector<Entity>& changed);
    // All entities there are, instead of those before: a store that was restored, or deletions that
    // were missed.
    void replace(const std::vector<Entity>& all);
    // Grows with every apply(): whoever keeps Callers drops them when it has changed.
    [[nodiscard]] uint64_t generation() const {
        return generation_.load(std::memory_order_acquire);
    }
    [[nodiscard]] int64_t version() const;  // the highest entity version seen
    // False while the store is away: somebody may exist who is not known here.
    [[nodiscard]] bool is_current() const { return current_.load(std::memory_order_relaxed); }
    void set_current(bool current) { current_.store(current, std::memory_order_relaxed); }

    using EntityPtr = std::shared_ptr<const Entity>;
    [[nodiscard]] EntityPtr find(EntityKind kind, std::string_view id) const;
    // All of a kind by id; `keep` filters under the lock and must be cheap.
    [[nodiscard]] std::vector<EntityPtr> list(
        EntityKind kind, const std::function<bool(const Entity&)>& keep = {}) const;
    [[nodiscard]] size_t count(EntityKind kind) const;
    // By the values that are unique or asked for often.
    [[nodiscard]] EntityPtr key_by_alias(std::string_view alias) const;
    [[nodiscard]] EntityPtr user_by_email(std::string_view email) const;
    [[nodiscard]] std::vector<EntityPtr> keys_of_user(std::string_view user) const;
    [[nodiscard]] std::vector<EntityPtr> keys_of_team(std::string_view team) const;
    [[nodiscard]] std::vector<EntityPtr> members_of_team(std::string_view team) const;
    [[nodiscard]] std::vector<EntityPtr> teams_of_user(std::string_view user) const;

    // The secret under which keys are hashed; empty: the plain SHA-256 is what is stored. Set once,
    // before requests.
    void set_key_secret(Secret secret);
    // The entity's id of a presented secret: where it stands, keyed or (from before, imported)
    // plain, else where a new key would.
    [[nodiscard]] std::string key_id(std::string_view key) const;
    // Of what clients may send where a key is meant: the key itself, its id, or LiteLLM's hash of
    // it. Never for letting anybody in.
    [[nodiscard]] std::string id_of(std::string_view key_or_hash) const;

    // The caller of a key by its id; null when nobody has that key. Blocked and expired ones are
    // returned: the refusal names the reason. Made once per key and generation.
    [[nodiscard]] CallerPtr caller(std::string_view key_id) const;
    // A key document with `active_token_id` and `revoke_at` is the secret before a regeneration: it
    // gives the caller of the key it names, expiring then.
    // A user without a key (a dashboard session).
    [[nodiscard]] CallerPtr caller_of_user(std::string_view user) const;
    // The master key's: an administrator whose spend is counted in the global scope and who is
    // refused nothing.
    [[nodiscard]] CallerPtr master() const;
    // The end user's own scope, with the default budget for customers where it has none of its own;
    // null when nothing is known of it and nothing limits it.
    [[nodiscard]] std::shared_ptr<const Scope> customer(std::string_view id) const;
    [[nodiscard]] std::shared_ptr<const Scope> tag(std::string_view name) const;

    // From the configuration: litellm_settings.max_budget and its window (the global scope),
    // max_end_user_budget(_id), the time zone, default_internal_user_params.
    // An access group that the configuration defines (model_info.access_groups).
    struct AccessGroup {
        std::string name;
        std::vector<std::string> models;
    };
    struct Defaults {
        Limits global;  // a budget of 0 is none
        std::string customer_budget_id;
        std::optional<BudgetWindow> customer_budget;
        std::string zone = "UTC";
        std::vector<AccessGroup> access_groups;
    };
    void set_defaults(Defaults defaults);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    std::atomic<uint64_t> generation_{1};
    std::atomic<bool> current_{true};
};

}  // namespace belay::governance
