#pragma once
// The folder that holds everything Belay keeps (ledger, journal): mode 0700, owned by the user,
// used by one process at a time. The lock is a file held for the life of the object, so a second
// process on the same data stops at once and names the holder; a crash releases it.
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace belay::store {

// Where it is unless told otherwise: BELAY_DATA_DIR, else $XDG_DATA_HOME/belay, else
// $HOME/.local/share/belay; "" when none of them is set. The values are the caller's to look up.
[[nodiscard]] std::string default_data_dir(std::optional<std::string_view> belay_data_dir,
                                           std::optional<std::string_view> xdg_data_home,
                                           std::optional<std::string_view> home);

// Makes the folder (and its parents) and tightens its mode, without the lock: for those who use a
// database in it beside a running gateway.
[[nodiscard]] Result<void> make_data_dir(const std::string& path);

class DataDir {
  public:
    // Makes the folder (and its parents), tightens its mode, takes the lock. Errors name the folder
    // and the cure, and the process that holds it.
    [[nodiscard]] static Result<DataDir> open(const std::string& path);

    DataDir(DataDir&& other) noexcept;
    DataDir& operator=(DataDir&& other) noexcept;
    DataDir(const DataDir&) = delete;
    DataDir& operator=(const DataDir&) = delete;
    ~DataDir();

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(std::string_view name) const;

  private:
    DataDir(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
    std::string path_;
    int lock_ = -1;
};

}  // namespace belay::store
