#pragma once
// A LiteLLM installation's database rows as Belay's documents (LiteLLM docs, "Virtual Keys", and
// its database schema). Names are the same; what differs is told here: times are UTC, encrypted
// values are opened and sealed anew, team members stand in one place more, and what has no meaning
// here is left out with a reason. Pure: rows in, entities and words out. Rows may have more or
// fewer columns than this Belay knows: LiteLLM adds some with every release.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/litellm_seal.h"
#include "base/result.h"
#include "base/seal.h"
#include "governance/entity.h"
#include "wire/json.h"

namespace belay::app {

struct LitellmTable {
    std::string_view name;   // "LiteLLM_VerificationToken"
    std::string_view shown;  // "keys"
    std::string_view id;     // the column that names a row, in words for people
};
// In the order in which they are written: nobody's key comes before what limits it.
[[nodiscard]] const std::vector<LitellmTable>& litellm_tables();

// One that is to be written. `source` is a digest of the row that it came from, without what use
// alone changes (spend, times of last use).
struct Imported {
    std::string_view table;
    governance::EntityKind kind = governance::EntityKind::key;
    std::string id;
    std::string name;  // for people: "ci (sk-...wxyz)"
    json::Value doc;
    std::string source;
};
struct LeftOut {
    std::string_view table;
    std::string name;
    std::string why;
};

class LitellmRows {
  public:
    // `seal` closes what `opened` opens.
    LitellmRows(const LitellmSeal& opened, const Seal& seal, int64_t now_ms)
        : opened_(opened), seal_(seal), now_ms_(now_ms) {}

    // Rows of one table after the other, each as PostgreSQL's row_to_json() gives it.
    void add(std::string_view table, const json::Value& row);
    // After the last one: what stands in several rows is brought together.
    void finish();

    [[nodiscard]] std::vector<Imported>& found() { return found_; }
    [[nodiscard]] const std::vector<LeftOut>& left_out() const { return left_out_; }
    [[nodiscard]] const std::map<std::string, int64_t, std::less<>>& seen() const { return seen_; }
    // What to know afterwards, one sentence each.
    [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

  private:
    void add_key(const json::Value& row);
    void add_former_key(const json::Value& row);
    void add_user(const json::Value& row);
    void add_team(const json::Value& row);
    void add_membership(const json::Value& row);
    void add_organization_member(const json::Value& row);
    void add_model(const json::Value& row);
    void add_credential(const json::Value& row);
    void add_config(const json::Value& row);
    void add_plain(const LitellmTable& table, const json::Value& row);

    Imported& put(governance::EntityKind kind, std::string id, std::string name,
                  const json::Value& row, std::initializer_list<std::string_view> without = {});
    void leave_out(std::string name, std::string why);
    [[nodiscard]] Result<json::Value> reseal(const json::Value& value, bool secret,
                                             const std::string& place) const;
    [[nodiscard]] Imported* find(governance::EntityKind kind, std::string_view id);
    void note_permissions(const json::Value& row);

    const LitellmSeal& opened_;
    const Seal& seal_;
    const int64_t now_ms_;
    std::string_view table_;
    std::vector<Imported> found_;
    std::map<std::pair<governance::EntityKind, std::string>, size_t> places_;
    std::vector<LeftOut> left_out_;
    std::map<std::string, int64_t, std::less<>> seen_;
    std::map<int64_t, json::Value> team_aliases_;  // LiteLLM_ModelTable by id
    std::vector<std::string> notes_;
    int64_t permissions_ = 0;
    int64_t passwords_ = 0;
};

// The document without what use changes and what an import adds: equal digests mean that nobody has
// changed it since.
[[nodiscard]] std::string digest_of(const json::Value& doc);
// Where an import leaves its mark in a document; never shown.
inline constexpr std::string_view kImportMark = "import_digest";

}  // namespace belay::app
