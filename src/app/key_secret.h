#pragma once
// The secret under which keys are hashed before they are stored: random, one for all instances of
// one database. It stands in the database, sealed by LITELLM_SALT_KEY or the master key, and in the
// data folder (0600), so that neither a lost folder nor a changed master key locks anybody out.
#include <string>

#include "base/result.h"
#include "base/seal.h"
#include "base/secret.h"
#include "governance/directory.h"
#include "governance/entity_store.h"

namespace belay::app {

// Makes it when there is none. May wait for the store. Fails when the database's secret opens
// neither with these salts nor with the file.
[[nodiscard]] Result<Secret> load_key_secret(governance::EntityStore& store,
                                             governance::Directory& directory, const Seal& seal,
                                             const std::string& data_dir);

}  // namespace belay::app
