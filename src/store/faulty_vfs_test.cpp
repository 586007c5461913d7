#include "store/faulty_vfs.h"

#include <array>

namespace belay::store {

// Our file first, the machine's own behind it in the same block.
struct FaultyVfs::File {
    sqlite3_file base;
    FaultyVfs* owner;

    static sqlite3_file* inner(sqlite3_file* file) {
        return reinterpret_cast<sqlite3_file*>(reinterpret_cast<File*>(file) + 1);
    }
    static FaultyVfs* owner_of(sqlite3_file* file) { return reinterpret_cast<File*>(file)->owner; }

    static int close(sqlite3_file* f) { return inner(f)->pMethods->xClose(inner(f)); }
    static int read(sqlite3_file* f, void* to, int size, sqlite3_int64 at) {
        return inner(f)->pMethods->xRead(inner(f), to, size, at);
    }
    static int write(sqlite3_file* f, const void* from, int size, sqlite3_int64 at) {
        const int code = owner_of(f)->next();
        return code != SQLITE_OK ? code : inner(f)->pMethods->xWrite(inner(f), from, size, at);
    }
    static int truncate(sqlite3_file* f, sqlite3_int64 size) {
        return inner(f)->pMethods->xTruncate(inner(f), size);
    }
    static int sync(sqlite3_file* f, int flags) {
        const int code = owner_of(f)->next();
        return code != SQLITE_OK ? code : inner(f)->pMethods->xSync(inner(f), flags);
    }
    static int size(sqlite3_file* f, sqlite3_int64* out) {
        return inner(f)->pMethods->xFileSize(inner(f), out);
    }
    static int lock(sqlite3_file* f, int level) {
        return inner(f)->pMethods->xLock(inner(f), level);
    }
    static int unlock(sqlite3_file* f, int level) {
        return inner(f)->pMethods->xUnlock(inner(f), level);
    }
    static int reserved(sqlite3_file* f, int* out) {
        return inner(f)->pMethods->xCheckReservedLock(inner(f), out);
    }
    static int control(sqlite3_file* f, int op, void* arg) {
        return inner(f)->pMethods->xFileControl(inner(f), op, arg);
    }
    static int sector(sqlite3_file* f) { return inner(f)->pMethods->xSectorSize(inner(f)); }
    static int device(sqlite3_file* f) {
        return inner(f)->pMethods->xDeviceCharacteristics(inner(f));
    }
    static int shm_map(sqlite3_file* f, int page, int size, int extend, void volatile** out) {
        return inner(f)->pMethods->xShmMap(inner(f), page, size, extend, out);
    }
    static int shm_lock(sqlite3_file* f, int offset, int n, int flags) {
        return inner(f)->pMethods->xShmLock(inner(f), offset, n, flags);
    }
    static void shm_barrier(sqlite3_file* f) { inner(f)->pMethods->xShmBarrier(inner(f)); }
    static int shm_unmap(sqlite3_file* f, int remove) {
        return inner(f)->pMethods->xShmUnmap(inner(f), remove);
    }
};

FaultyVfs::FaultyVfs() {
    static std::atomic<int> count{0};
    name_ = "faulty-" + std::to_string(++count);
    sqlite3_vfs* const machine = sqlite3_vfs_find(nullptr);
    vfs_ = *machine;
    vfs_.pNext = nullptr;
    vfs_.zName = name_.c_str();
    vfs_.szOsFile = static_cast<int>(sizeof(File)) + machine->szOsFile;
    vfs_.xOpen = &FaultyVfs::open;
    // The machine's own callbacks read its pAppData, so the owner is found by the address of vfs_.
    sqlite3_vfs_register(&vfs_, 0);
}

FaultyVfs::~FaultyVfs() { sqlite3_vfs_unregister(&vfs_); }

int FaultyVfs::next() {
    const int code = code_;
    if (code == SQLITE_OK || nth_ == 0) {
        return code;
    }
    if (--nth_ != 0) {
        return SQLITE_OK;
    }
    code_ = SQLITE_OK;
    return code;
}

int FaultyVfs::open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    static constexpr sqlite3_io_methods kMethods = {2,
                                                    &File::close,
                                                    &File::read,
                                                    &File::write,
                                                    &File::truncate,
                                                    &File::sync,
                                                    &File::size,
                                                    &File::lock,
                                                    &File::unlock,
                                                    &File::reserved,
                                                    &File::control,
                                                    &File::sector,
                                                    &File::device,
                                                    &File::shm_map,
                                                    &File::shm_lock,
                                                    &File::shm_barrier,
                                                    &File::shm_unmap,
                                                    nullptr,
                                                    nullptr};
    auto* const own = reinterpret_cast<File*>(file);
    own->base.pMethods = nullptr;
    own->owner = reinterpret_cast<FaultyVfs*>(reinterpret_cast<char*>(vfs) -
                                              __builtin_offsetof(FaultyVfs, vfs_));
    sqlite3_vfs* const machine = sqlite3_vfs_find(nullptr);
    const int code = machine->xOpen(machine, path, File::inner(file), flags, out);
    if (File::inner(file)->pMethods != nullptr) {
        own->base.pMethods = &kMethods;
    }
    return code;
}

}  // namespace belay::store
