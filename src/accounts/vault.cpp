#include "accounts/vault.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/ids.h"

namespace belay::accounts {
namespace {

constexpr size_t kTokenMax = 4096;
constexpr size_t kApiKeyMax = 256 << 10;

// A descriptor that closes itself.
class File {
  public:
    explicit File(int fd) : fd_(fd) {}
    ~File() { close(); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] bool open() const { return fd_ >= 0; }
    [[nodiscard]] int fd() const { return fd_; }
    // False when the kernel reports a late write error.
    bool close() {
        const int fd = fd_;
        fd_ = -1;
        return fd < 0 || ::close(fd) == 0;
    }

  private:
    int fd_;
};

Error file_error(std::string_view what, const std::string& path, std::string_view cure = {}) {
    std::string message = std::string(what) + " " + path;
    if (!cure.empty()) {
        message += ": " + std::string(cure);
    } else {
        message += ": " + std::string(std::strerror(errno));
    }
    return gateway_error(Kind::internal, message);
}

std::string trimmed(std::string_view text) {
    const char* space = " \t\r\n";
    const size_t begin = text.find_first_not_of(space);
    if (begin == std::string_view::npos) {
        return {};
    }
    return std::string(text.substr(begin, text.find_last_not_of(space) - begin + 1));
}

Result<void> make_dirs(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        // Parents get the usual mode of configuration folders, the last one holds secrets.
        const mode_t mode = slash == std::string::npos ? 0700 : 0755;
        if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
            return file_error("cannot make the folder", part);
        }
        if (slash == std::string::npos) {
            return {};
        }
    }
}

Result<void> write_all(int fd, std::string_view text, const std::string& path) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return file_error("cannot write", path);
        }
        text.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

bool is_plain_name(std::string_view name) {
    return !name.empty() && name != "." && name != ".." &&
           name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace

Result<VaultOptions> read_vault_env(const EnvLookup& env) {
    const auto value = [&](std::string_view name) { return env(name).value_or(std::string()); };
    VaultOptions o;
    o.dir = value("GITHUB_COPILOT_TOKEN_DIR");
    if (o.dir.empty()) {
        const std::string home = value("HOME");
        if (home.empty()) {
            return caller_error(
                Kind::invalid_request,
                "neither GITHUB_COPILOT_TOKEN_DIR nor HOME is set: set one, so that "
                "the sign-in can be kept");
        }
        // LiteLLM does not look at XDG_CONFIG_HOME, so neither do we: the point is one place.
        o.dir = home + "/.config/litellm/github_copilot";
    } else if (o.dir.starts_with("~/")) {
        o.dir = value("HOME") + o.dir.substr(1);
    }
    if (!o.dir.starts_with('/')) {
        return caller_error(Kind::invalid_request,
                            "GITHUB_COPILOT_TOKEN_DIR must be an absolute path");
    }
    while (o.dir.size() > 1 && o.dir.ends_with('/')) {
        o.dir.pop_back();
    }
    for (const auto& [name, into] :
         {std::pair{"GITHUB_COPILOT_ACCESS_TOKEN_FILE", &o.access_token_file},
          std::pair{"GITHUB_COPILOT_API_KEY_FILE", &o.api_key_file}}) {
        if (const std::string file = value(name); !file.empty()) {
            if (!is_plain_name(file)) {
                return caller_error(Kind::invalid_request,
                                    std::string(name) +
                                        " must be a bare file name inside the "
                                        "token folder");
            }
            *into = file;
        }
    }
    const auto first = [&](std::initializer_list<const char*> names, Secret& token,
                           std::string& from) {
        for (const char* name : names) {
            if (std::string text = trimmed(value(name)); !text.empty() && token.empty()) {
                token = Secret(std::move(text));
                from = name;
            }
        }
    };
    first({"GITHUB_COPILOT_TOKEN", "COPILOT_GITHUB_TOKEN"}, o.env_token, o.env_name);
    first({"GH_TOKEN", "GITHUB_TOKEN"}, o.env_fallback, o.env_fallback_name);
    return o;
}

std::string Vault::path(const std::string& name) const { return options_.dir + "/" + name; }

Result<Stored> Vault::load() {
    Stored stored;
    const bool there = TRY(check_dir(stored.warnings));
    std::string token;
    if (there) {
        token = trimmed(TRY(read(options_.access_token_file, kTokenMax, stored.warnings)));
    }
    remember();
    if (!options_.env_token.empty()) {
        stored.source = Stored::Source::environment;
        stored.source_name = options_.env_name;
        stored.github_token = options_.env_token;
    } else if (!token.empty()) {
        stored.source = Stored::Source::file;
        stored.source_name = options_.access_token_file;
        stored.github_token = Secret(std::move(token));
    } else if (!options_.env_fallback.empty()) {
        stored.source = Stored::Source::environment;
        stored.source_name = options_.env_fallback_name;
        stored.github_token = options_.env_fallback;
    }
    // api-key.json belongs to the token beside it: with a token from elsewhere it may be another
    // account's. LiteLLM users who keep only api-key.json have it used until it ends.
    if (there && stored.source != Stored::Source::environment) {
        stored.api_key_json = TRY(read(options_.api_key_file, kApiKeyMax, stored.warnings));
    }
    return stored;
}

Result<bool> Vault::check_dir(std::vector<std::string>& warnings) {
    struct stat st {};
    if (::lstat(options_.dir.c_str(), &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return false;
        }
        return file_error("cannot look at", options_.dir);
    }
    // The folder itself may be a link that its owner made (a home on another disk); its target
    // counts.
    if (S_ISLNK(st.st_mode) && ::stat(options_.dir.c_str(), &st) != 0) {
        return file_error("cannot look at", options_.dir);
    }
    if (!S_ISDIR(st.st_mode)) {
        return file_error("not used:", options_.dir, "it is not a folder");
    }
    if (st.st_uid != ::geteuid()) {
        return file_error("not used:", options_.dir,
                          "it belongs to another user; chown it or set GITHUB_COPILOT_TOKEN_DIR");
    }
    if ((st.st_mode & 077) != 0) {
        if (::chmod(options_.dir.c_str(), 0700) != 0) {
            return file_error("cannot close to others", options_.dir);
        }
        warnings.push_back(options_.dir + " was open to other users; it is 0700 now");
    }
    return true;
}

Result<std::string> Vault::read(const std::string& name, size_t max,
                                std::vector<std::string>& warnings) {
    const std::string full = path(name);
    File file(::open(full.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    if (!file.open()) {
        if (errno == ENOENT) {
            return std::string();
        }
        if (errno == ELOOP) {
            return file_error("not read:", full,
                              "it is a symbolic link; put the file itself there");
        }
        return file_error("cannot read", full);
    }
    struct stat st {};
    if (::fstat(file.fd(), &st) != 0) {
        return file_error("cannot look at", full);
    }
    if (!S_ISREG(st.st_mode)) {
        return file_error("not read:", full, "it is not a regular file");
    }
    if (st.st_uid != ::geteuid()) {
        return file_error("not read:", full, "it belongs to another user; chown it to yourself");
    }
    if ((st.st_mode & 077) != 0) {
        if (::fchmod(file.fd(), 0600) != 0) {
            return file_error("cannot close to others", full);
        }
        warnings.push_back(full + " was readable by other users; it is 0600 now");
    }
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t n = ::read(file.fd(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_error("cannot read", full);
        }
        if (n == 0) {
            return text;
        }
        text.append(buffer, static_cast<size_t>(n));
        if (text.size() > max) {
            return file_error("not read:", full, "it is far too long to be what it should be");
        }
    }
}

Result<void> Vault::save(const std::string& name, std::string_view text) {
    std::vector<std::string> ignored;
    if (!TRY(check_dir(ignored))) {
        TRY(make_dirs(options_.dir));
    }
    const std::string full = path(name);
    const std::string temporary = path("." + name + "." + random_hex(6));
    File file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.open()) {
        return file_error("cannot write", temporary);
    }
    const auto give_up = [&](Error error) {
        ::unlink(temporary.c_str());
        return error;
    };
    if (auto written = write_all(file.fd(), text, temporary); !written.ok()) {
        return give_up(written.error());
    }
    if (::fsync(file.fd()) != 0 || !file.close() ||
        ::rename(temporary.c_str(), full.c_str()) != 0) {
        return give_up(file_error("cannot write", full));
    }
    File dir(::open(options_.dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (dir.open() && ::fsync(dir.fd()) != 0 && errno != EINVAL) {
        return file_error("cannot sync", options_.dir);
    }
    return {};
}

Result<void> Vault::save_github_token(const Secret& token) {
    TRY(save(options_.access_token_file, token.reveal()));
    // The Copilot token there belongs to whoever was signed in before.
    TRY(forget_api_key());
    remember();
    return {};
}

Result<void> Vault::save_api_key(std::string_view json) {
    TRY(save(options_.api_key_file, json));
    api_key_seen_ = stamp(options_.api_key_file);
    return {};
}

Result<void> Vault::forget_api_key() {
    const std::string full = path(options_.api_key_file);
    if (::unlink(full.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
        return file_error("cannot remove", full);
    }
    api_key_seen_ = stamp(options_.api_key_file);
    return {};
}

Result<void> Vault::forget() {
    const std::string full = path(options_.access_token_file);
    if (::unlink(full.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) {
        return file_error("cannot remove", full);
    }
    TRY(forget_api_key());
    remember();
    return {};
}

Vault::Stamp Vault::stamp(const std::string& name) const {
    struct stat st {};
    if (::lstat(path(name).c_str(), &st) != 0) {
        return {};
    }
    return {st.st_ino, st.st_size, st.st_mtim.tv_sec * 1'000'000'000LL + st.st_mtim.tv_nsec};
}

void Vault::remember() {
    access_token_seen_ = stamp(options_.access_token_file);
    api_key_seen_ = stamp(options_.api_key_file);
}

bool Vault::changed_outside() {
    return stamp(options_.access_token_file) != access_token_seen_ ||
           stamp(options_.api_key_file) != api_key_seen_;
}

}  // namespace belay::accounts
