// belay backup, belay restore: what the data folder holds, as one file.
//
//   backup.tar = manifest.json belay.db ledger.db [sign-in/...]
//
// A backup is one moment, whether the gateway runs or not: each database is copied in one read
// transaction, and what the journal still holds is saved into the copy. The manifest names each
// file with its size and SHA-256. A restore checks all of it before it touches anything, refuses
// while a gateway holds the folder, and puts what was there before aside, never away.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "accounts/vault.h"
#include "app/tar_file.h"
#include "app/verb_tools.h"
#include "base/clock.h"
#include "ledger/render.h"
#include "store/data_dir.h"
#include "store/schema.h"
#include "store/sqlite.h"
#include "store/sqlite_entities.h"
#include "store/sqlite_ledger.h"

namespace belay::app {
namespace {

namespace fs = std::filesystem;
using json::Value;

constexpr int64_t kVersion1 = 1;
constexpr std::string_view kFormat = "belay backup";
constexpr std::string_view kManifest = "manifest.json";
constexpr std::string_view kSignIn = "sign-in/";
constexpr uint64_t kManifestMax = 4 << 20;
constexpr size_t kSignInFilesMax = 1000;
constexpr uint64_t kSignInFileMax = 1 << 20;

// Prompts and replies, where they are kept (payloads.db); most gateways keep none.
constexpr std::string_view kPayloads = "payloads.db";

std::string entities_name() { return std::string(store::SqliteEntities::kDatabaseName); }
std::string ledger_name() { return std::string(store::SqliteLedger::kDatabaseName); }
std::string journal_name() { return std::string(store::JournaledLedger::kJournalName); }

Error disk_error(const std::string& what) {
    return gateway_error(Kind::internal, what + ": " + std::strerror(errno));
}

// A folder that only its owner reads; gone with everything in it at the end.
class Staging {
  public:
    static Result<std::unique_ptr<Staging>> make(const std::string& path) {
        if (::mkdir(path.c_str(), 0700) != 0) {
            return disk_error("cannot make " + path);
        }
        return std::unique_ptr<Staging>(new Staging(path));
    }
    ~Staging() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }

  private:
    explicit Staging(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

std::string stamp(int64_t now_ms) {
    std::string text = render_utc(Wall(milliseconds(now_ms)));
    std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == '.'; });
    return text;
}

Result<void> no_postgres(const Config& config, std::string_view verb) {
    if (config.general.database_url.empty()) {
        return {};
    }
    return caller_error(Kind::invalid_request,
                        "this gateway keeps its keys and records in PostgreSQL (database_url): "
                        "belay " +
                            std::string(verb) +
                            " is for the embedded databases. Use pg_dump and pg_restore, tables "
                            "belay_*");
}

// ---- backup ------------------------------------------------------------------------------------

// One read transaction of the source, whoever writes meanwhile.
Result<bool> copy_database(const std::string& from, const std::string& to) {
    if (!fs::exists(from)) {
        return false;
    }
    TRY(store::make_private_file(to));
    store::Database database = TRY(store::Database::open(from, store::Database::Mode::existing));
    store::Statement copy = TRY(database.prepare("VACUUM INTO ?1"));
    copy.bind(1, to);
    TRY(copy.step());
    return true;
}

Result<void> copy_file(const std::string& from, const std::string& to) {
    std::error_code failed;
    fs::copy_file(from, to, failed);
    if (failed && failed != std::errc::no_such_file_or_directory) {
        return gateway_error(Kind::internal, "cannot copy " + from + ": " + failed.message());
    }
    ::chmod(to.c_str(), 0600);
    return {};
}

// The journal first: what leaves it meanwhile is in the database by then, and each of its segments
// is known there by name. Opening the copy as a gateway does saves the rest.
Result<bool> copy_ledger(const std::string& dir, const Staging& staging) {
    TRY(copy_file(dir + "/" + journal_name(), staging.file(journal_name())));
    if (!TRY(copy_database(dir + "/" + ledger_name(), staging.file(ledger_name())))) {
        return false;
    }
    auto folder = TRY(store::DataDir::open(staging.path()));
    auto ledger = TRY(store::SqliteLedger::open(std::move(folder)));
    ledger->flush();
    const bool failing = ledger->stats().failing;
    ledger.reset();
    if (failing || fs::exists(staging.file(ledger_name() + "-wal"))) {
        return gateway_error(Kind::internal, "the copy of the ledger cannot be completed");
    }
    return true;
}

struct Item {
    std::string name;  // in the archive
    std::string path;
    uint64_t size = 0;
    std::string digest;
};

Result<std::vector<Item>> find_sign_in(const std::string& dir) {
    std::vector<Item> items;
    std::error_code failed;
    for (fs::recursive_directory_iterator at(dir, failed), end; !failed && at != end;
         at.increment(failed)) {
        if (at->is_directory() && at->path().filename().string().starts_with("before-restore-")) {
            at.disable_recursion_pending();
            continue;
        }
        if (at->is_symlink() || !at->is_regular_file() || at->file_size() > kSignInFileMax) {
            continue;
        }
        if (items.size() == kSignInFilesMax) {
            return gateway_error(Kind::too_large, "there are too many files in " + dir);
        }
        items.push_back({std::string(kSignIn) + at->path().lexically_relative(dir).string(),
                         at->path().string(),
                         0,
                         {}});
    }
    std::sort(items.begin(), items.end(),
              [](const Item& left, const Item& right) { return left.name < right.name; });
    return items;
}

Result<std::string> sign_in_dir(const Env& env) {
    return TRY(accounts::read_vault_env([&env](std::string_view name) { return env(name); })).dir;
}

std::string show_bytes(uint64_t bytes) {
    return ledger::describe_count(static_cast<int64_t>(bytes)) + "B";
}

Result<void> write_archive(const std::string& path, std::vector<Item>& items, bool with_sign_in,
                           int64_t now_ms) {
    Value files = Value::array();
    for (Item& item : items) {
        item.digest = TRY(sha256_of_file(item.path, item.size));
        files.push(Value::object({{"name", item.name},
                                  {"size", static_cast<int64_t>(item.size)},
                                  {"sha256", item.digest}}));
    }
    const Value manifest = Value::object({{"format", kFormat},
                                          {"version", kVersion1},
                                          {"belay", kVersion},
                                          {"made_at", render_utc(Wall(milliseconds(now_ms)))},
                                          {"sign_in", with_sign_in},
                                          {"files", std::move(files)}});
    TarWriter tar = TRY(TarWriter::make(path, now_ms));
    TRY(tar.add(kManifest, json::dump_pretty(manifest) + "\n"));
    for (const Item& item : items) {
        TRY(tar.add_file(item.name, item.path, item.size));
    }
    return tar.finish();
}

struct BackupOptions {
    std::string config;
    std::string path;
    bool sign_in = false;
    bool json = false;
};

Result<std::vector<Item>> back_up(const BackupOptions& options, const Env& env) {
    const Config config = TRY(read_verb_config(options.config, env));
    TRY(no_postgres(config, "backup"));
    const std::string dir = data_dir_of(env);
    if (fs::exists(fs::symlink_status(options.path))) {
        return caller_error(Kind::invalid_request,
                            options.path + " is there already: a backup replaces nothing");
    }
    const int64_t now_ms = unix_millis(system_clock().wall());
    const std::string part = options.path + ".part-" + std::to_string(::getpid());
    const auto staging = TRY(Staging::make(part));
    std::vector<Item> items;
    // Keys first: a budget window that ends in between is then ended again after a restore.
    if (TRY(copy_database(dir + "/" + entities_name(), staging->file(entities_name())))) {
        items.push_back({entities_name(), staging->file(entities_name()), 0, {}});
    }
    if (TRY(copy_ledger(dir, *staging))) {
        items.push_back({ledger_name(), staging->file(ledger_name()), 0, {}});
    }
    const std::string payloads = staging->file(kPayloads);
    if (TRY(copy_database(dir + "/" + std::string(kPayloads), payloads))) {
        items.push_back({std::string(kPayloads), payloads, 0, {}});
    }
    if (items.empty()) {
        return caller_error(Kind::not_found, "there is nothing to back up in " + dir +
                                                 ": is it the folder (BELAY_DATA_DIR)?");
    }
    if (options.sign_in) {
        const std::string tokens = TRY(sign_in_dir(env));
        auto sign_in = TRY(find_sign_in(tokens));
        std::move(sign_in.begin(), sign_in.end(), std::back_inserter(items));
    }
    const std::string whole = staging->file("backup.tar");
    TRY(write_archive(whole, items, options.sign_in, now_ms));
    if (::link(whole.c_str(), options.path.c_str()) != 0 &&
        (errno == EEXIST || ::rename(whole.c_str(), options.path.c_str()) != 0)) {
        return disk_error("cannot write " + options.path);
    }
    return items;
}

// ---- restore -----------------------------------------------------------------------------------

struct Manifest {
    std::string made_at;
    std::string belay;
    std::vector<Item> items;

    [[nodiscard]] bool has(std::string_view name) const {
        return std::any_of(items.begin(), items.end(),
                           [name](const Item& item) { return item.name == name; });
    }
};

bool is_safe_name(std::string_view name) {
    if (name == entities_name() || name == ledger_name() || name == kPayloads) {
        return true;
    }
    if (!name.starts_with(kSignIn)) {
        return false;
    }
    name.remove_prefix(kSignIn.size());
    while (!name.empty()) {
        const std::string_view part = name.substr(0, name.find('/'));
        if (part.empty() || part == "." || part == "..") {
            return false;
        }
        name.remove_prefix(std::min(part.size() + 1, name.size()));
    }
    return true;
}

Result<Manifest> read_manifest(TarReader& tar, const std::string& path) {
    TarReader::Member member;
    const Error no_backup =
        caller_error(Kind::invalid_request, path + " is no backup of Belay, or it is damaged");
    auto first = tar.next(member);
    if (!first || !*first || member.name != kManifest || member.size > kManifestMax) {
        return no_backup;
    }
    std::string text;
    TRY(tar.read(member, [&text](std::string_view piece) -> Result<void> {
        text += piece;
        return {};
    }));
    auto value = json::parse(text);
    if (!value || (*value)["format"].as_string() != kFormat) {
        return no_backup;
    }
    if ((*value)["version"].as_int() != kVersion1) {
        return caller_error(Kind::unsupported, path + " was made by a newer Belay (" +
                                                   std::string((*value)["belay"].as_string()) +
                                                   "): restore it with that one");
    }
    Manifest manifest;
    manifest.made_at = (*value)["made_at"].as_string();
    manifest.belay = (*value)["belay"].as_string();
    for (const Value& file : (*value)["files"].items()) {
        Item item;
        item.name = file["name"].as_string();
        item.size = static_cast<uint64_t>(file["size"].as_int().value_or(0));
        item.digest = file["sha256"].as_string();
        if (!is_safe_name(item.name) || manifest.has(item.name)) {
            return no_backup;
        }
        manifest.items.push_back(std::move(item));
    }
    return manifest;
}

Result<FilePtr> make_file(const std::string& path) {
    std::error_code failed;
    fs::create_directories(fs::path(path).parent_path(), failed);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return disk_error("cannot write " + path);
    }
    return FilePtr(::fdopen(fd, "wb"));
}

// Every file against the manifest; with `into` they are written there.
Result<void> unpack(TarReader& tar, Manifest& manifest, const Staging* into) {
    size_t count = 0;
    TarReader::Member member;
    while (TRY(tar.next(member))) {
        const auto item = std::find_if(manifest.items.begin(), manifest.items.end(),
                                       [&](const Item& one) { return one.name == member.name; });
        if (item == manifest.items.end() || item->size != member.size || !item->path.empty()) {
            return caller_error(Kind::invalid_request,
                                "the backup is damaged: " + member.name.substr(0, 100) +
                                    " is not as its manifest says");
        }
        item->path = into != nullptr ? into->file(item->name) : "-";
        FilePtr file = into != nullptr ? TRY(make_file(item->path)) : FilePtr();
        Sha256 hash;
        TRY(tar.read(member, [&](std::string_view piece) -> Result<void> {
            hash.add(piece);
            if (file != nullptr &&
                std::fwrite(piece.data(), 1, piece.size(), file.get()) != piece.size()) {
                return disk_error("cannot write " + item->path);
            }
            return {};
        }));
        if (file != nullptr &&
            (std::fflush(file.get()) != 0 || ::fsync(::fileno(file.get())) != 0)) {
            return disk_error("cannot write " + item->path);
        }
        if (hash.finish() != item->digest) {
            return caller_error(Kind::invalid_request, "the backup is damaged: the checksum of " +
                                                           item->name + " does not match");
        }
        ++count;
    }
    if (count != manifest.items.size()) {
        return caller_error(Kind::invalid_request, "the backup is damaged: files are missing");
    }
    return {};
}

// A database of a newer Belay is refused before anything is replaced.
Result<void> check_databases(const Manifest& manifest, const Staging& staging) {
    if (manifest.has(entities_name())) {
        (void)TRY(store::SqliteEntities::open(staging.file(entities_name())));
    }
    if (manifest.has(ledger_name())) {
        store::Database database = TRY(
            store::Database::open(staging.file(ledger_name()), store::Database::Mode::existing));
        TRY(store::check_schema(database));
    }
    return {};
}

// Moves of one step after the other; undone from the end when one of them fails.
class Moves {
  public:
    Result<void> move(const std::string& from, const std::string& to) {
        if (::rename(from.c_str(), to.c_str()) != 0) {
            const Error error = disk_error("cannot move " + from + " to " + to);
            for (auto done = done_.rbegin(); done != done_.rend(); ++done) {
                (void)::rename(done->second.c_str(), done->first.c_str());
            }
            done_.clear();
            return error;
        }
        done_.emplace_back(from, to);
        return {};
    }

  private:
    std::vector<std::pair<std::string, std::string>> done_;
};

// What a restore replaces; what else lies in the data folder stays where it is.
bool is_replaced(std::string_view name, bool sign_in) {
    if (sign_in) {
        return !name.starts_with("before-restore-");
    }
    for (const std::string_view ours : {"belay.db", "ledger.", "intents.", "payloads.db"}) {
        if (name.starts_with(ours)) {
            return true;
        }
    }
    return false;
}

std::vector<std::string> find_replaced(const std::string& dir, bool sign_in) {
    std::vector<std::string> names;
    std::error_code failed;
    for (const auto& entry : fs::directory_iterator(dir, failed)) {
        const std::string name = entry.path().filename().string();
        if (is_replaced(name, sign_in)) {
            names.push_back(name);
        }
    }
    return names;
}

struct RestoreOptions {
    std::string config;
    std::string path;
    bool sign_in = false;
    bool dry_run = false;
};

Result<void> put_in_place(const Manifest& manifest, const Staging& staging, const std::string& dir,
                          const std::string& aside, bool sign_in, Moves& moves) {
    const auto old = find_replaced(dir, sign_in);
    if (!old.empty() && ::mkdir(aside.c_str(), 0700) != 0) {
        return disk_error("cannot make " + aside);
    }
    for (const std::string& name : old) {
        TRY(moves.move(dir + "/" + name, aside + "/" + name));
    }
    for (const Item& item : manifest.items) {
        const bool is_sign_in = item.name.starts_with(kSignIn);
        if (is_sign_in != sign_in) {
            continue;
        }
        const std::string name = sign_in ? item.name.substr(kSignIn.size()) : item.name;
        const std::string to = dir + "/" + name;
        std::error_code failed;
        fs::create_directories(fs::path(to).parent_path(), failed);
        if (sign_in) {  // perhaps another file system
            TRY(copy_file(staging.file(item.name), to));
        } else {
            TRY(moves.move(staging.file(item.name), to));
        }
    }
    return {};
}

Result<std::string> restore(const RestoreOptions& options, const Env& env) {
    const Config config = TRY(read_verb_config(options.config, env));
    TRY(no_postgres(config, "restore"));
    TarReader tar = TRY(TarReader::open(options.path));
    Manifest manifest = TRY(read_manifest(tar, options.path));
    const std::string made = "made " + show_date(manifest.made_at) + " " +
                             (manifest.made_at.size() > 16 ? manifest.made_at.substr(11, 5) : "") +
                             " UTC by Belay " + manifest.belay;
    if (options.dry_run) {
        TRY(unpack(tar, manifest, nullptr));
        return "The backup is whole: " + made + ", " + std::to_string(manifest.items.size()) +
               " files. Nothing has been changed.\n";
    }
    const std::string dir = data_dir_of(env);
    const store::DataDir lock = TRY(store::DataDir::open(dir));  // says who holds it
    const std::string now = stamp(unix_millis(system_clock().wall()));
    const auto staging = TRY(Staging::make(dir + "/restore-" + now));
    TRY(unpack(tar, manifest, staging.get()));
    TRY(check_databases(manifest, *staging));
    const std::string aside = dir + "/before-restore-" + now;
    Moves moves;
    TRY(put_in_place(manifest, *staging, dir, aside, false, moves));
    std::string told = "Restored from " + options.path + ", " + made + ".\n";
    if (fs::exists(aside)) {
        told += "What was here before is in " + aside + ": remove it when all is well.\n";
    }
    const bool has_sign_in =
        std::any_of(manifest.items.begin(), manifest.items.end(),
                    [](const Item& item) { return item.name.starts_with(kSignIn); });
    if (options.sign_in && has_sign_in) {
        const std::string tokens = TRY(sign_in_dir(env));
        TRY(store::make_data_dir(tokens));
        Moves of_tokens;
        TRY(put_in_place(manifest, *staging, tokens, tokens + "/before-restore-" + now, true,
                         of_tokens));
        told += "The sign-in to GitHub is restored too.\n";
    } else if (options.sign_in) {
        told += "The backup has no sign-in: it was made without --with-sign-in.\n";
    } else if (has_sign_in) {
        told += "The sign-in that is in it was not restored: --with-sign-in does.\n";
    }
    return told;
}

}  // namespace

int backup_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    const Env env = process_env();
    quiet_verb_log();
    BackupOptions options;
    options.sign_in = flags.take("--with-sign-in");
    options.json = flags.take("--json");
    auto config = flags.take_value("--config");
    auto words = flags.rest({"--config", "--with-sign-in", "--json"});
    if (!config || !words) {
        return wrong_usage(config ? words.error() : config.error());
    }
    if (words->size() != 1) {
        return wrong_usage(caller_error(Kind::invalid_request,
                                        "belay backup needs one file to write: belay backup "
                                        "FILE.tar"));
    }
    options.config = config->value_or("");
    options.path = (*words)[0];
    auto items = back_up(options, env);
    if (!items) {
        return fail_verb(items.error());
    }
    uint64_t size = 0;
    Value names = Value::array();
    for (const Item& item : *items) {
        size += item.size;
        names.push(item.name);
    }
    if (options.json) {
        print(json::dump_pretty(Value::object({{"file", options.path},
                                               {"bytes", static_cast<int64_t>(size)},
                                               {"files", std::move(names)}})) +
              "\n");
        return 0;
    }
    print("Backed up to " + options.path + " (" + show_bytes(size) + ").\n" +
          (options.sign_in
               ? "The sign-in to GitHub is in it: whoever has the file can use the seat.\n"
               : "The sign-in to GitHub is not in it (--with-sign-in adds it).\n") +
          "What is secret in it opens with LITELLM_SALT_KEY or the master key alone:\nkeep "
          "that too.\n");
    return 0;
}

int restore_verb(const std::vector<std::string_view>& arguments) {
    Flags flags(arguments);
    const Env env = process_env();
    quiet_verb_log();
    RestoreOptions options;
    options.sign_in = flags.take("--with-sign-in");
    options.dry_run = flags.take("--dry-run");
    auto config = flags.take_value("--config");
    auto words = flags.rest({"--config", "--with-sign-in", "--dry-run"});
    if (!config || !words) {
        return wrong_usage(config ? words.error() : config.error());
    }
    if (words->size() != 1) {
        return wrong_usage(caller_error(Kind::invalid_request,
                                        "belay restore needs one backup: belay restore FILE.tar"));
    }
    options.config = config->value_or("");
    options.path = (*words)[0];
    auto told = restore(options, env);
    if (!told) {
        return fail_verb(told.error());
    }
    print(*told);
    return 0;
}

}  // namespace belay::app
