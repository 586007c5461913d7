#include "app/resident.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace belay::app {
namespace {

// Only segments that are executable and not writable: others hold relocated, hence private, pages,
// which would be lost.
int release(dl_phdr_info* info, size_t, void*) {
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0 ||
            (segment.p_flags & PF_W) != 0) {
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

void release_startup_code() { dl_iterate_phdr(&release, nullptr); }

}  // namespace belay::app
