#pragma once
// What the running gateway and the command line both make of a configuration: the store of
// entities, the rules of the management API, and what each scope has spent.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/management.h"
#include "app/config.h"
#include "base/seal.h"
#include "governance/directory.h"
#include "governance/entity_store.h"
#include "governance/governor.h"
#include "ledger/query.h"

namespace belay::app {

// Where a window's beginning stands in an entity: what the ledger's sum over all time must be
// changed by to give the spend of the running window. Never shown.
inline constexpr std::string_view kOffset = "spend_offset_nano";

// Which kind of entity a scope's limits stand in.
[[nodiscard]] std::optional<governance::EntityKind> entity_of(governance::ScopeKind kind);
// kOffset of a document, or its initial spend.
[[nodiscard]] int64_t offset_of(const json::Value& doc);

// PostgreSQL when a database_url is set, else belay.db in the folder, which is made when absent.
[[nodiscard]] Result<std::unique_ptr<governance::EntityStore>> open_entities(
    const Config& config, const std::string& data_dir);
[[nodiscard]] Result<std::unique_ptr<Seal>> open_seal(const Config& config,
                                                      const Secret& master_key);
[[nodiscard]] governance::Directory::Defaults directory_defaults(const Config& config);
[[nodiscard]] std::shared_ptr<admin::Settings> admin_settings(const Config& config,
                                                              const Secret& master_key);
// Budgets go on where they stood: the ledger's sums, moved by what each scope's window began with.
[[nodiscard]] Result<std::vector<governance::Spent>> find_spent(
    ledger::Queries& queries, const governance::Directory& directory);

// The same of sums that were read already, and of one of them without the window's beginning.
[[nodiscard]] std::vector<governance::Spent> spent_of(const std::vector<ledger::ScopeSum>& sums,
                                                      const governance::Directory& directory);
[[nodiscard]] governance::Spent to_spent(const ledger::ScopeSum& sum);

}  // namespace belay::app
