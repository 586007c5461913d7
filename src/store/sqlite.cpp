#include "store/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace belay::store {

namespace {

constexpr int kBusyTimeoutMs = 1'000;

// "the database ledger.db": the folder is not the client's to know.
std::string describe(sqlite3* handle) {
    const char* path = handle != nullptr ? sqlite3_db_filename(handle, "main") : nullptr;
    if (path == nullptr || *path == '\0') {
        return "the database";
    }
    const char* slash = std::strrchr(path, '/');
    return std::string("the database ") + (slash != nullptr ? slash + 1 : path);
}

Error sqlite_error(sqlite3* handle, int code) {
    const char* text = handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code);
    Error error = gateway_error(Kind::internal, describe(handle) + ": " + text);
    error.code = std::to_string(handle != nullptr ? sqlite3_extended_errcode(handle) : code);
    return error;
}

SqliteFailure classify(int code) {
    switch (code & 0xFF) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
            return SqliteFailure::none;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return SqliteFailure::busy;
        case SQLITE_FULL:
            return SqliteFailure::full;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return SqliteFailure::corrupt;
        default:
            return SqliteFailure::other;
    }
}

}  // namespace

SqliteFailure failure_of(const Error& error) {
    int code = SQLITE_ERROR;
    (void)std::from_chars(error.code.data(), error.code.data() + error.code.size(), code);
    return classify(code);
}

Result<void> make_private_file(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    const bool done = file >= 0 && ::fchmod(file, 0600) == 0;
    const int reason = errno;
    if (file >= 0) {
        ::close(file);
    }
    if (!done) {
        return gateway_error(Kind::internal, "cannot keep " + path +
                                                 " to its owner alone: " + std::strerror(reason));
    }
    return {};
}

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
    std::swap(statement_, other.statement_);
    return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::bind(int index, int64_t value) { sqlite3_bind_int64(statement_, index, value); }

void Statement::bind(int index, std::string_view text) {
    sqlite3_bind_text(statement_, index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
}

void Statement::bind_blob(int index, std::string_view bytes) {
    sqlite3_bind_blob(statement_, index, bytes.data(), static_cast<int>(bytes.size()),
                      SQLITE_STATIC);
}

void Statement::bind_null(int index) { sqlite3_bind_null(statement_, index); }

Result<bool> Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        return code == SQLITE_ROW;
    }
    return sqlite_error(sqlite3_db_handle(statement_), code);
}

void Statement::reset() { sqlite3_reset(statement_); }

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr
               ? std::string_view{}
               : std::string_view(bytes,
                                  static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

std::string_view Statement::blob(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return bytes == nullptr
               ? std::string_view{}
               : std::string_view(bytes,
                                  static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

Result<Database> Database::open(const std::string& path, Mode mode, const std::string& vfs) {
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                      (mode == Mode::create ? SQLITE_OPEN_CREATE : 0);
    const int code =
        sqlite3_open_v2(path.c_str(), &handle, flags, vfs.empty() ? nullptr : vfs.c_str());
    Database database(handle);
    if (code != SQLITE_OK) {
        return sqlite_error(handle, code);
    }
    sqlite3_extended_result_codes(handle, 1);
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    return database;
}

Database::Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

Database& Database::operator=(Database&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
}

Database::~Database() { sqlite3_close_v2(handle_); }

Result<void> Database::run(const char* sql) {
    const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
        return sqlite_error(handle_, code);
    }
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) {
        return sqlite_error(handle_, code);
    }
    return Statement(statement);
}

int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(handle_); }

SqliteFailure Database::failure() const { return classify(sqlite3_errcode(handle_)); }

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

}  // namespace belay::store
