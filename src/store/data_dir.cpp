#include "store/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace belay::store {

namespace {

constexpr std::string_view kCure =
    "; give the user a writable folder or name another one in BELAY_DATA_DIR";

Error folder_error(const std::string& path, std::string_view what, int code) {
    return gateway_error(Kind::internal, "data folder " + path + ": " + std::string(what) + ": " +
                                             std::strerror(code) + std::string(kCure));
}

// mkdir -p; folders made here are 0700.
Result<void> make_folders(const std::string& path) {
    for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
        const std::string part = path.substr(0, at);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
            return folder_error(path, "cannot make " + part, errno);
        }
        if (at == std::string::npos) {
            return {};
        }
    }
}

Result<void> tighten(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) {
        return folder_error(path, "cannot look at it", errno);
    }
    if (!S_ISDIR(info.st_mode)) {
        return folder_error(path, "it is a file", ENOTDIR);
    }
    if ((info.st_mode & 0077) != 0 && ::chmod(path.c_str(), 0700) != 0) {
        return folder_error(path, "others can read it and its mode cannot be changed to 0700",
                            errno);
    }
    return {};
}

std::string read_holder(int lock) {
    char text[64];
    const ssize_t size = ::pread(lock, text, sizeof text - 1, 0);
    std::string holder;
    for (ssize_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; ++i) {
        holder += text[i];
    }
    return holder.empty() ? "another process" : "process " + holder;
}

}  // namespace

std::string default_data_dir(std::optional<std::string_view> belay_data_dir,
                             std::optional<std::string_view> xdg_data_home,
                             std::optional<std::string_view> home) {
    if (belay_data_dir && !belay_data_dir->empty()) {
        return std::string(*belay_data_dir);
    }
    if (xdg_data_home && !xdg_data_home->empty() && xdg_data_home->front() == '/') {
        return std::string(*xdg_data_home) + "/belay";
    }
    if (home && !home->empty()) {
        return std::string(*home) + "/.local/share/belay";
    }
    return {};
}

Result<void> make_data_dir(const std::string& path) {
    if (path.empty()) {
        return gateway_error(Kind::invalid_request,
                             "no data folder: neither HOME nor BELAY_DATA_DIR is set");
    }
    TRY(make_folders(path));
    return tighten(path);
}

Result<DataDir> DataDir::open(const std::string& path) {
    TRY(make_data_dir(path));
    const std::string name = path + "/lock";
    const int lock = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return folder_error(path, "cannot write in it", errno);
    }
    DataDir dir(path, lock);
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return folder_error(path, "cannot lock it", errno);
        }
        return gateway_error(Kind::invalid_request,
                             "data folder " + path + " is in use by " + read_holder(lock) +
                                 "; stop it, or name another folder in BELAY_DATA_DIR");
    }
    const std::string pid = std::to_string(::getpid()) + "\n";
    if (::ftruncate(lock, 0) != 0 ||
        ::pwrite(lock, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
        return folder_error(path, "cannot write in it", errno);
    }
    return dir;
}

DataDir::DataDir(DataDir&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

DataDir& DataDir::operator=(DataDir&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
}

DataDir::~DataDir() {
    if (lock_ >= 0) {
        ::close(lock_);  // releases the lock; the file stays, so that nobody locks a deleted one
    }
}

std::string DataDir::file(std::string_view name) const { return path_ + "/" + std::string(name); }

}  // namespace belay::store
