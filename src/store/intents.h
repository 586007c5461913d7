#pragma once
// ledger::Intents in a mapped file, one for each event loop: a slot that was written outlives
// `kill -9` without a system call. Blocks are allocated before they are mapped, so a full disk
// means requests without a note and never a signal. The file is the user's alone (0600).
//
//   file = slot*          slot = IntentHead texts
//
// A format on disk, read by the same program later or by a newer one: IntentHead::mark names it.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/intents.h"
#include "ledger/query.h"

namespace belay::store {

inline constexpr size_t kIntentBytes = 512;

class IntentFile final : public ledger::Intents {
  public:
    struct Options {
        uint32_t slots_first = 256;     // allocated from the start
        uint32_t slots_max = 64 << 10;  // requests at once; a power of two times slots_first
    };
    // Makes the file anew: read what an earlier process left (below) before.
    [[nodiscard]] static Result<std::unique_ptr<IntentFile>> make(const std::string& path,
                                                                  Options options);
    [[nodiscard]] static Result<std::unique_ptr<IntentFile>> make(const std::string& path) {
        return make(path, Options{});
    }
    ~IntentFile() override;
    IntentFile(const IntentFile&) = delete;
    IntentFile& operator=(const IntentFile&) = delete;

    [[nodiscard]] uint32_t begin(const ledger::SpendRecord& record, NanoCredits held, int attempt,
                                 uint32_t slot) noexcept override;
    void end(uint32_t slot) noexcept override;

  private:
    IntentFile(int file, Options options) : file_(file), options_(options) {}
    [[nodiscard]] bool grow() noexcept;

    const int file_;
    const Options options_;
    char* memory_ = nullptr;      // room for slots_max; what is not allocated is not touched
    uint32_t allocated_ = 0;      // slots
    std::vector<uint32_t> free_;  // the lowest last, so that few pages are in use
    bool full_ = false;           // and told
};

// The requests that the slots in these bytes tell of. Trusts none of them: a slot that makes no
// sense is left out.
[[nodiscard]] std::vector<ledger::Entry> read_intents(std::string_view bytes);

// One file per loop in `dir` ("intents.0", ...). Before they are made anew, what a process that was
// killed left in them becomes records, but for requests of which the ledger has one already.
struct IntentFiles {
    std::vector<std::unique_ptr<IntentFile>> files;
    size_t interrupted = 0;  // records made
};
[[nodiscard]] Result<IntentFiles> open_intents(const std::string& dir, size_t loops,
                                               ledger::Ledger& ledger, ledger::Queries& queries);

}  // namespace belay::store
