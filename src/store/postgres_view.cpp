#include "store/postgres_view.h"

#include <optional>
#include <utility>

#include "store/postgres_schema.h"

namespace belay::store {

namespace {

constexpr size_t kIdleMax = 2;
constexpr seconds kOverTimeout{2};  // what the wire may add to the server's own timeout

// ?1 becomes $1.
std::string render(const std::string& sql) {
    std::string out = sql;
    for (char& c : out) {
        c = c == '?' ? '$' : c;
    }
    return out;
}

class Rows final : public ViewRows {
  public:
    explicit Rows(PgResult result) : result_(std::move(result)) {}
    Result<bool> step() override { return ++row_ < result_.rows(); }
    [[nodiscard]] int64_t integer(int column) const override {
        return result_.number(row_, column);
    }
    [[nodiscard]] std::string_view bytes(int column) const override {
        return result_.text(row_, column);
    }

  private:
    PgResult result_;
    int row_ = -1;
};

}  // namespace

std::string render_setup(const PostgresUrl& url, milliseconds statement_timeout) {
    std::string sql =
        "SET LOCAL statement_timeout=" + std::to_string(statement_timeout.count()) + ";";
    if (!url.schema.empty()) {
        sql += "SET LOCAL search_path TO " + quote_name(url.schema) + ";";
    }
    return sql;
}

class PostgresViews::View final : public LedgerView {
  public:
    View(PostgresViews& views, PgConnection connection)
        : views_(views), connection_(std::move(connection)) {}
    ~View() override { views_.give_back(std::move(connection_)); }
    View(const View&) = delete;
    View& operator=(const View&) = delete;

    Result<std::unique_ptr<ViewRows>> ask(const std::string& sql,
                                          const std::vector<Value>& values) override {
        std::vector<std::string> texts;
        texts.reserve(values.size());
        for (const Value& value : values) {
            const auto* number = std::get_if<int64_t>(&value);
            texts.push_back(number != nullptr ? std::to_string(*number)
                                              : std::get<std::string>(value));
        }
        PgResult result = TRY(connection_.query_binary(
            render(sql), std::vector<PgParameter>(texts.begin(), texts.end()),
            system_clock().mono() + views_.options_.statement_timeout + kOverTimeout));
        return std::unique_ptr<ViewRows>(new Rows(std::move(result)));
    }
    Result<SegmentName> saved(uint64_t journal) override {
        const auto rows = TRY(ask("SELECT sequence FROM belay_journal WHERE journal = ?1",
                                  {static_cast<int64_t>(journal)}));
        const bool found = TRY(rows->step());
        return found ? SegmentName{journal, static_cast<uint64_t>(rows->integer(0))}
                     : SegmentName{};
    }
    [[nodiscard]] std::string_view prefix() const override { return "belay_"; }
    [[nodiscard]] bool is_remote() const override { return true; }

  private:
    PostgresViews& views_;
    PgConnection connection_;
};

PostgresViews::PostgresViews(const PostgresUrl& url, const Options& options)
    : url_(url), options_(options), setup_(render_setup(url, options.statement_timeout)) {}

// A connection that was kept may have been cut since; a new one is then tried once.
Result<std::unique_ptr<LedgerView>> PostgresViews::open() {
    std::optional<PgConnection> kept;
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            kept.emplace(std::move(idle_.back()));
            idle_.pop_back();
        }
    }
    if (kept && begin(*kept).ok()) {
        return std::unique_ptr<LedgerView>(new View(*this, std::move(*kept)));
    }
    PgConnection connection = TRY(connect());
    TRY(begin(connection));
    return std::unique_ptr<LedgerView>(new View(*this, std::move(connection)));
}

Result<PgConnection> PostgresViews::connect() {
    {
        const std::lock_guard lock(mutex_);
        if (system_clock().mono() < next_attempt_) {
            return gateway_error(Kind::upstream_unavailable, "the database cannot be reached",
                                 "it is tried again soon");
        }
    }
    Result<PgConnection> connection = PgConnection::open(url_, options_.connect_timeout);
    const Mono until = system_clock().mono() + options_.statement_timeout;
    Result<void> ready = connection.ok()
                             ? prepare_postgres_schema(*connection, url_.schema, setup_, until)
                             : Result<void>(connection.error());
    if (ready.ok()) {
        return connection;
    }
    const std::lock_guard lock(mutex_);
    next_attempt_ = system_clock().mono() + options_.retry;
    return std::move(ready).error();
}

Result<void> PostgresViews::begin(PgConnection& connection) const {
    (void)TRY(connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;" + setup_,
                             system_clock().mono() + options_.connect_timeout));
    return {};
}

void PostgresViews::give_back(PgConnection connection) {
    const bool fit =
        connection.alive() &&
        connection.run("ROLLBACK", system_clock().mono() + options_.connect_timeout).ok();
    const std::lock_guard lock(mutex_);
    if (fit && idle_.size() < kIdleMax) {
        idle_.push_back(std::move(connection));
    }
}

}  // namespace belay::store
