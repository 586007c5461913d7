#pragma once
// A copy, in the data folder, of the keys and the rest that another place keeps, and of what is
// spent: so that a start while that place is away knows its callers and their budgets. Kept by one
// thread, in files of the user's alone (store/snapshot_file.h); what is sealed in the database is
// sealed here.
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "governance/directory.h"
#include "governance/governor.h"

namespace belay::app {

class LocalCopy {
  public:
    // `origin` is a word for the place that is copied: a copy of another one is not used.
    LocalCopy(std::string dir, std::string origin);

    // Called every second: writes what has changed, some seconds after it has; more seldom when
    // that takes long.
    void keep(const governance::Directory& directory, const governance::Governor& governor);
    // At the end: what is spent, once more.
    void close(const governance::Governor& governor);

    struct Restored {
        std::vector<governance::Entity> entities;
        std::vector<governance::Spent> spent;
        int64_t saved_ms = 0;
    };
    // Kind::not_found when there is none.
    [[nodiscard]] Result<Restored> read() const;

  private:
    // When one of the files is written.
    struct Pace {
        Mono changed{};  // when it was seen first; {} = unchanged
        Mono next{};     // not before
    };
    void write(const governance::Directory& directory);
    void write(const governance::Governor& governor);
    void told(const Result<void>& written);

    const std::string dir_;
    const std::string origin_;
    uint64_t generation_ = 0;  // of the directory that was written
    Pace entities_;
    Mono next_spent_{};
    size_t spent_hash_ = 0;  // of what was written
    bool failing_ = false;
};

}  // namespace belay::app
