#pragma once
// Spend for the shell, with keys as clients know them: records name a key by its stored id, the
// keyed hash; people write the key, and lists show LiteLLM's hash of it.
#include <memory>

#include "app/config.h"
#include "ledger/query.h"

namespace belay::app {

// The same questions with keys translated both ways. When the entities cannot be read, ids stay.
[[nodiscard]] std::unique_ptr<ledger::Queries> show_keys(std::unique_ptr<ledger::Queries> inner,
                                                         const Config& config,
                                                         const std::string& data_dir);

}  // namespace belay::app
