#include "store/libpq.h"

#include <dlfcn.h>

#include <string>

namespace belay::store {

namespace {

constexpr const char* kLibrary = "libpq.so.5";

Error missing(const char* reason) {
    return gateway_error(Kind::unsupported,
                         "database_url is set, but PostgreSQL's client library libpq.so.5 is not "
                         "there: install it (Debian: libpq5)",
                         reason != nullptr ? reason : "");
}

Result<Libpq> open_library() {
    void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        return missing(::dlerror());
    }
    Libpq pq;
#define BELAY_FIND(name)                                                    \
    pq.name = reinterpret_cast<decltype(pq.name)>(::dlsym(library, #name)); \
    if (pq.name == nullptr) {                                               \
        return missing("it has no function " #name);                        \
    }
    BELAY_LIBPQ(BELAY_FIND)
#undef BELAY_FIND
    return pq;
}

}  // namespace

Result<const Libpq*> Libpq::load() {
    static const Result<Libpq> library = open_library();
    if (!library.ok()) {
        return library.error();
    }
    return &*library;
}

}  // namespace belay::store
