#include "app/resident.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

// tcmalloc's own, when the program is linked with it (gperftools, malloc_extension_c.h).
extern "C" [[gnu::weak]] void MallocExtension_ReleaseFreeMemory();

namespace belay::app {
namespace {

// Only segments that are not writable: others hold relocated, hence private, pages, which would be
// lost. These are read from the file again when they are needed.
int release(dl_phdr_info* info, size_t, void*) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) {
            continue;
        }
        const uintptr_t begin = (info->dlpi_addr + segment.p_vaddr + page - 1) / page * page;
        const uintptr_t end = (info->dlpi_addr + segment.p_vaddr + segment.p_memsz) / page * page;
        if (end > begin) {
            (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
        }
    }
    return 1;  // the first object is the program itself; libraries are shared with others anyway
}

}  // namespace

void release_startup_memory() {
    dl_iterate_phdr(&release, nullptr);
    if (MallocExtension_ReleaseFreeMemory != nullptr) {
        MallocExtension_ReleaseFreeMemory();
    } else {
        malloc_trim(0);
    }
}

}  // namespace belay::app
