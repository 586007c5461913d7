#pragma once
// The management API for the command line, with the administrator's rights. Two ways, one for
// words that a shell of this machine says and one for a gateway elsewhere:
//
//   here      in this process, on the store that a gateway beside it uses. Whoever can read the
//             data folder (or has the database's URL) needs no key and no running gateway; a
//             gateway that runs sees each change within a second
//   --url     over HTTP to that gateway, with its master key
//
// Both run the same handlers: the same checks, the same rows, the same audit log.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "app/cli.h"
#include "app/config.h"
#include "governance/directory.h"
#include "governance/entity_store.h"
#include "ledger/query.h"
#include "wire/json.h"

namespace belay::app {

// What verbs that work on a gateway's data share: --config, --url, --master-key.
struct DataOptions {
    std::string config;
    std::string url;
    Secret key;  // --master-key, else the configuration's master key
};
[[nodiscard]] Result<DataOptions> take_data_options(Flags& flags);
inline constexpr std::string_view kDataFlags[] = {"--config", "--url", "--master-key"};

// The configuration that a gateway here would use; its environment_variables are set.
[[nodiscard]] Result<Config> read_verb_config(const std::string& asked, const Env& env);
// BELAY_DATA_DIR and its defaults.
[[nodiscard]] std::string data_dir_of(const Env& env);
// Where records are kept, for reading; nothing is locked.
[[nodiscard]] Result<std::unique_ptr<ledger::Queries>> open_queries(const Config& config,
                                                                    const std::string& data_dir);

class Desk {
  public:
    virtual ~Desk() = default;
    // The reply of a route ("/key/list?size=100"). A refusal is an Error with the API's words.
    [[nodiscard]] virtual Result<json::Value> ask(std::string_view method, std::string_view target,
                                                  const json::Value& body = {}) = 0;
};
[[nodiscard]] Result<std::unique_ptr<Desk>> open_desk(const DataOptions& options, const Env& env);

}  // namespace belay::app
