#pragma once
// For tests: a SQLite file system that is the machine's own until it is told to fail. Faults are
// real return codes of writes and syncs, so SQLite takes its own way through them.
#include <sqlite3.h>

#include <atomic>
#include <string>

namespace belay::store {

class FaultyVfs {
  public:
    FaultyVfs();
    ~FaultyVfs();
    FaultyVfs(const FaultyVfs&) = delete;
    FaultyVfs& operator=(const FaultyVfs&) = delete;

    [[nodiscard]] const std::string& name() const { return name_; }
    void fail_writes(int code) {
        nth_ = 0;
        code_ = code;
    }
    // The nth write or sync from now on fails, and only that one.
    void fail_nth_write(int n, int code) {
        nth_ = n;
        code_ = code;
    }
    void heal() { code_ = SQLITE_OK; }

  private:
    struct File;
    [[nodiscard]] int next();
    static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out);

    std::string name_;
    sqlite3_vfs vfs_{};
    std::atomic<int> code_{SQLITE_OK};
    std::atomic<int> nth_{0};
};

}  // namespace belay::store
