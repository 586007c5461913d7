#include "store/sqlite_view.h"

#include <utility>

#include "store/schema.h"

namespace belay::store {

// Gives its statement back to the view, which outlives it.
class SqliteView::Rows final : public ViewRows {
  public:
    Rows(SqliteView& view, std::string sql, Statement statement, std::vector<Value> values)
        : view_(view),
          sql_(std::move(sql)),
          values_(std::move(values)),
          statement_(std::move(statement)) {
        int at = 0;
        for (const Value& value : values_) {
            if (const auto* number = std::get_if<int64_t>(&value)) {
                statement_.bind(++at, *number);
            } else {
                statement_.bind(++at, std::string_view(std::get<std::string>(value)));
            }
        }
    }
    ~Rows() override {
        statement_.reset();
        view_.idle_[sql_].push_back(std::move(statement_));
    }
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;

    Result<bool> step() override { return statement_.step(); }
    [[nodiscard]] int64_t integer(int column) const override { return statement_.integer(column); }
    // SQLite gives a text's bytes as they are.
    [[nodiscard]] std::string_view bytes(int column) const override {
        return statement_.blob(column);
    }

  private:
    SqliteView& view_;
    const std::string sql_;
    const std::vector<Value> values_;  // bound texts live as long as the statement is used
    Statement statement_;
};

Result<std::unique_ptr<LedgerView>> SqliteView::open(const std::string& path,
                                                     const std::string& vfs) {
    Database database = TRY(Database::open(path, Database::Mode::existing, vfs));
    TRY(check_schema(database));
    TRY(database.run("PRAGMA mmap_size=4294967296"));
    TRY(database.run("BEGIN"));  // one moment for all questions
    return std::unique_ptr<LedgerView>(new SqliteView(std::move(database)));
}

Result<std::unique_ptr<ViewRows>> SqliteView::ask(const std::string& sql,
                                                  const std::vector<Value>& values) {
    std::vector<Statement>& idle = idle_[sql];
    if (idle.empty()) {
        idle.push_back(TRY(database_.prepare(sql)));
    }
    Statement statement = std::move(idle.back());
    idle.pop_back();
    return std::unique_ptr<ViewRows>(new Rows(*this, sql, std::move(statement), values));
}

Result<SegmentName> SqliteView::saved(uint64_t journal) {
    const SegmentName saved = TRY(find_saved_segment(database_));
    return saved.journal == journal ? saved : SegmentName{};
}

}  // namespace belay::store
