#pragma once
// SQLite behind Results: a connection and a prepared statement with exactly what this module uses.
// One thread at a time per connection.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace belay::store {

// Makes an empty file that only its owner reads, or tightens one that is there; SQLite would make
// it by the process's mask, and gives what it puts beside it the mode of the database. Refuses
// links.
[[nodiscard]] Result<void> make_private_file(const std::string& path);

// What the caller may have to tell apart.
enum class SqliteFailure : uint8_t { none, busy, full, corrupt, other };
[[nodiscard]] SqliteFailure failure_of(const Error& error);  // which this module made

class Statement {
  public:
    Statement() = default;
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&& other) noexcept;
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement();

    // Parameters count from 1. Bound text must live until reset().
    void bind(int index, int64_t value);
    void bind(int index, std::string_view text);
    void bind_blob(int index, std::string_view bytes);
    void bind_null(int index);
    // True: a row is there to be read. False: done.
    [[nodiscard]] Result<bool> step();
    void reset();

    [[nodiscard]] int64_t integer(int column) const;
    [[nodiscard]] std::string_view text(int column) const;  // valid until step() or reset()
    [[nodiscard]] std::string_view blob(int column) const;
    [[nodiscard]] bool is_null(int column) const;

  private:
    friend class Database;
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
    sqlite3_stmt* statement_ = nullptr;
};

class Database {
  public:
    enum class Mode : uint8_t { create, existing };

    // `vfs` names a registered SQLite file system; "" is the machine's own.
    [[nodiscard]] static Result<Database> open(const std::string& path, Mode mode,
                                               const std::string& vfs = {});
    Database() = default;
    Database(Database&& other) noexcept;
    Database& operator=(Database&& other) noexcept;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    ~Database();

    // Runs one or more statements that give no rows.
    [[nodiscard]] Result<void> run(const char* sql);
    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    [[nodiscard]] int64_t last_insert_id() const;
    [[nodiscard]] SqliteFailure failure() const;  // of the last call that failed
    [[nodiscard]] bool in_transaction() const;
    [[nodiscard]] bool is_open() const { return handle_ != nullptr; }

  private:
    explicit Database(sqlite3* handle) : handle_(handle) {}
    sqlite3* handle_ = nullptr;
};

}  // namespace belay::store
