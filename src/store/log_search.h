#pragma once
// One question over the ledger's rows: which of them match a filter, in which order. Batches that
// cannot hold an answer are passed over by what the database says of them (batch_facts.h); those
// that can are read from the most promising on, until no other can hold a better row.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/query.h"
#include "store/batch_facts.h"
#include "store/journal.h"
#include "store/ledger_view.h"
#include "store/row_codec.h"

namespace belay::store {

// Rows that are looked at only to count them: beyond, a total is "at least".
inline constexpr uint64_t kCountedRowsMax = 20'000;
// Of the rows before a page, those that cannot be passed over in whole batches.
inline constexpr uint64_t kSkippedRowsMax = 200'000;

// Tells rows that match a filter, without restoring them. Rows of one buffer at a time.
class RowMatcher {
  public:
    explicit RowMatcher(const ledger::LogFilter& filter) : filter_(filter) {}
    // Before the rows of another buffer.
    void begin() { routes_.clear(), last_ = nullptr; }
    [[nodiscard]] bool matches(const RowView& row);

  private:
    [[nodiscard]] bool matches_route(std::string_view route);
    [[nodiscard]] bool matches_labels(const RowView& row) const;
    [[nodiscard]] bool has_error_code(const RowView& row, const LabelView& labels) const;

    const ledger::LogFilter& filter_;
    std::unordered_map<const char*, bool> routes_;
    const char* last_ = nullptr;
    bool last_matches_ = false;
};

class LogSearch {
  public:
    // All arguments outlive the search. `newest`: rows that the database does not have yet.
    LogSearch(LedgerView& view, const std::vector<JournalRows>& newest,
              const ledger::LogFilter& filter)
        : view_(view), newest_(newest), filter_(filter), matcher_(filter) {}

    [[nodiscard]] Result<ledger::LogPage> find_page();
    [[nodiscard]] Result<void> for_each(const std::function<bool(const ledger::Entry&)>& take);

  private:
    // A batch that may hold rows that match.
    struct Head {
        int64_t first_seq = 0;
        const std::string* rows = nullptr;  // of the journal; else they are in the database
        uint64_t matches_max = 0;           // so many of its rows match, or fewer
        bool exact = false;                 // so many they are
        Range values;                       // of what the page is sorted by
        std::string best_model;             // that, when it is the model
        bool read = false;
    };
    struct Hit {
        int64_t value = 0;
        std::string model;
        int64_t seq = 0;
        size_t head = 0;
        size_t index = 0;
    };
    struct Condition {
        Field field;
        uint64_t hash;
    };
    enum class Needs : uint8_t { nothing, common, mixes };

    [[nodiscard]] Result<void> find_heads();
    [[nodiscard]] Result<void> find_models();
    void take_head(const ViewRows& row);
    void note_conditions();
    [[nodiscard]] Needs needs() const;
    [[nodiscard]] bool wants_varied() const;
    // How many rows of a batch match at most; false: fewer than that may.
    [[nodiscard]] bool judge(const ViewRows& row, Head& head) const;
    [[nodiscard]] std::array<bool, kStatuses> statuses() const;
    [[nodiscard]] uint64_t count_mixes(std::string_view text) const;
    [[nodiscard]] uint64_t count_common(std::string_view common, uint64_t all) const;
    [[nodiscard]] Range values_of(const ViewRows& row) const;

    [[nodiscard]] uint64_t pass_over(uint64_t skip);
    [[nodiscard]] Result<void> collect(uint64_t wanted);
    [[nodiscard]] Result<void> look_into(size_t head, uint64_t wanted);
    [[nodiscard]] Result<void> count_rest(ledger::LogPage& page);
    [[nodiscard]] Result<void> restore_page(uint64_t skip, ledger::LogPage& page);
    [[nodiscard]] Result<std::string_view> rows_of(const Head& head);

    [[nodiscard]] bool is_by_model() const;
    [[nodiscard]] int64_t value_of(const RowView& row) const;
    [[nodiscard]] int64_t best_of(const Head& head) const;
    [[nodiscard]] int order(int64_t left, int64_t right) const;
    [[nodiscard]] int order(const std::string& left, const std::string& right) const;
    [[nodiscard]] bool goes_before(const Hit& left, const Hit& right) const;
    [[nodiscard]] bool goes_before(const Head& left, const Head& right) const;
    [[nodiscard]] bool cannot_beat(const Head& head, const Hit& worst) const;

    LedgerView& view_;
    const std::vector<JournalRows>& newest_;
    const ledger::LogFilter& filter_;
    RowMatcher matcher_;
    std::vector<Condition> conditions_;
    std::vector<std::string> models_;  // known ones, the best first
    std::vector<Head> heads_;
    std::vector<Hit> hits_;  // a heap with the worst on top
    std::unique_ptr<ViewRows> read_rows_;
};

}  // namespace belay::store
