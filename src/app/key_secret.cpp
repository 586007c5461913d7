#include "app/key_secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ids.h"
#include "base/log.h"
#include "wire/json.h"

namespace belay::app {
namespace {

constexpr std::string_view kEntity = "key_hashing";
constexpr std::string_view kPlace = "config/key_hashing/secret";
constexpr const char* kFile = "/key-secret";
constexpr size_t kHex = 64;

// Tells whether a file's secret is the database's, and tells nothing else.
std::string check_of(const Secret& secret) {
    return sha256_hex("belay key-secret check/" + secret.reveal()).substr(0, 16);
}

Secret read_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return {};
    }
    char text[kHex + 1];
    const ssize_t size = ::read(fd, text, sizeof text);
    ::close(fd);
    return size == static_cast<ssize_t>(kHex) ? Secret(std::string(text, kHex)) : Secret();
}

void write_file(const std::string& path, const Secret& secret) {
    const std::string next = path + "." + random_hex(4);
    const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    const std::string& text = secret.reveal();
    const bool written = fd >= 0 &&
                         ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(kHex) &&
                         ::fsync(fd) == 0;
    if (fd >= 0) {
        ::close(fd);
    }
    if (!written || ::rename(next.c_str(), path.c_str()) != 0) {
        ::unlink(next.c_str());
        log::write(
            log::Level::warn, "keys.secret",
            "the secret of key hashes is in the database alone: " + path + " cannot be written");
    }
}

Result<void> store_secret(governance::EntityStore& store, governance::Directory& directory,
                          const Seal& seal, const Secret& secret, int64_t expected) {
    governance::Change change{governance::EntityKind::config, std::string(kEntity),
                              json::Value::object(), expected};
    change.doc.set("param_name", kEntity);
    change.doc.set("secret", TRY(seal.seal(secret.reveal(), kPlace)));
    change.doc.set("check", check_of(secret));
    directory.apply(TRY(store.apply({change})));
    return {};
}

}  // namespace

Result<Secret> load_key_secret(governance::EntityStore& store, governance::Directory& directory,
                               const Seal& seal, const std::string& data_dir) {
    const std::string path = data_dir + kFile;
    Secret in_file = read_file(path);
    auto stored = directory.find(governance::EntityKind::config, kEntity);
    if (stored == nullptr) {
        const Secret secret = in_file.empty() ? Secret(random_hex(kHex / 2)) : in_file;
        auto kept = store_secret(store, directory, seal, secret, 0);
        if (kept.ok()) {
            if (in_file.empty()) {
                write_file(path, secret);
            }
            return secret;
        }
        if (kept.error().code != "conflict") {
            return std::move(kept).error();
        }
        (void)TRY(governance::read_changes(store, directory));  // another instance was first
        stored = directory.find(governance::EntityKind::config, kEntity);
        if (stored == nullptr) {
            return std::move(kept).error();
        }
    }
    if (auto opened = seal.open(stored->doc["secret"].as_string(), kPlace); opened.ok()) {
        if (!in_file.equals(opened->reveal())) {
            write_file(path, *opened);
        }
        return opened;
    }
    if (!in_file.empty() && check_of(in_file) == stored->doc["check"].as_string()) {
        // The salt has changed: sealed anew, so that other instances open it too.
        if (auto kept = store_secret(store, directory, seal, in_file, stored->version);
            !kept.ok()) {
            log::write(log::Level::warn, "keys.secret", kept.error().message);
        }
        return in_file;
    }
    return caller_error(
        Kind::invalid_request,
        "the database's keys were stored under another LITELLM_SALT_KEY or master key, and " +
            path + " does not hold their secret: start with the former one");
}

}  // namespace belay::app
