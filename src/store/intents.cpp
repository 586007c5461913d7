#include "store/intents.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/ids.h"
#include "base/log.h"

namespace belay::store {
namespace {

constexpr uint32_t kMark = 0x31544e49;  // "INT1"
constexpr std::string_view kPrefix = "intents.";
constexpr size_t kTexts = 12;

struct IntentHead {
    uint32_t mark = 0;  // 0: nobody's; written last, cleared first
    uint16_t attempt = 0;
    uint8_t stream = 0;
    uint8_t initiator = 0;
    uint8_t call_type = 0;
    uint8_t client_api = 0;
    uint8_t api = 0;
    uint8_t spare = 0;
    uint32_t queue_us = 0;
    int64_t received_ms = 0;
    int64_t held = 0;
    std::array<uint16_t, kTexts> lengths{};
};
static_assert(sizeof(IntentHead) == 56);
constexpr size_t kTextBytes = kIntentBytes - sizeof(IntentHead);

// The order is by what a record can least do without: what has no room any more is cut.
template <typename Record>
auto texts_of(Record& r) {
    return std::array{&r.request_id,    &r.key_fingerprint, &r.team,        &r.user,
                      &r.organization,  &r.upstream_model,  &r.model_group, &r.asked,
                      &r.deployment_id, &r.provider,        &r.end_user,    &r.key_alias};
}

Error file_error(const std::string& path, std::string_view what, int code) {
    return gateway_error(Kind::internal, std::string(what) + " " + path + ": " +
                                             std::strerror(code) +
                                             ". Make its folder writable, or set BELAY_DATA_DIR");
}

class File {
  public:
    File(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
    ~File() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

// Only as much of a slot as makes sense.
bool read_slot(std::string_view slot, std::vector<ledger::Entry>& out) {
    IntentHead head;
    std::memcpy(&head, slot.data(), sizeof head);
    if (head.mark != kMark) {
        return false;
    }
    ledger::SpendRecord record;
    size_t at = sizeof head;
    size_t i = 0;
    for (std::string* text : texts_of(record)) {
        const size_t length = head.lengths[i++];
        if (at + length > slot.size()) {
            return false;
        }
        text->assign(slot.substr(at, length));
        at += length;
    }
    if (record.request_id.empty() || head.received_ms <= 0 || head.held < 0) {
        return false;
    }
    record.received_ms = head.received_ms;
    record.queue_us = head.queue_us;
    record.stream = head.stream != 0;
    record.initiator = static_cast<ledger::Initiator>(head.initiator % 3);
    record.call_type = static_cast<ledger::CallType>(head.call_type % 6);
    record.client_api = static_cast<ledger::Api>(head.client_api % 6);
    record.api = static_cast<ledger::Api>(head.api % 6);
    out.push_back(ledger::interrupted(std::move(record), NanoCredits{head.held}, head.attempt));
    return true;
}

Result<std::string> read_file(const std::string& path) {
    const File file(path, O_RDONLY);
    if (file.get() < 0) {
        return file_error(path, "cannot read", errno);
    }
    std::string bytes;
    std::string piece(64 << 10, '\0');
    constexpr size_t kMost = 64 << 20;
    while (bytes.size() < kMost) {
        const ssize_t n = ::read(file.get(), piece.data(), piece.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return file_error(path, "cannot read", errno);
        }
        if (n == 0) {
            break;
        }
        bytes.append(piece, 0, static_cast<size_t>(n));
    }
    return bytes;
}

std::vector<std::string> list_files(const std::string& dir) {
    std::vector<std::string> paths;
    DIR* const folder = ::opendir(dir.c_str());
    if (folder == nullptr) {
        return paths;
    }
    while (const dirent* entry = ::readdir(folder)) {
        if (std::string_view(entry->d_name).starts_with(kPrefix)) {
            paths.push_back(dir + "/" + entry->d_name);
        }
    }
    ::closedir(folder);
    return paths;
}

// Its record was kept, and the process died before the note was taken back.
// The moment belongs to its name, for a client may use an id of its own twice.
Result<bool> has_record(ledger::Queries& queries, const ledger::SpendRecord& record) {
    ledger::LogFilter filter;
    filter.request_id = record.request_id;
    filter.from_ms = record.received_ms;
    filter.until_ms = record.received_ms + 1;
    const auto found = queries.find_page(filter);
    if (!found.ok() && found.error().kind == Kind::upstream_unavailable) {
        return found.error();
    }
    return found.ok() && !found->entries.empty();
}

// Once the journal has the records, the notes may go. While the ledger cannot be asked which ones
// it has, they wait under another name for the next start.
Result<void> recover(const std::string& path, ledger::Ledger& ledger, ledger::Queries& queries,
                     IntentFiles& opened) {
    const std::string bytes = TRY(read_file(path));
    for (const auto& entry : read_intents(bytes)) {
        const Result<bool> known = has_record(queries, entry.record);
        if (!known.ok()) {
            const std::string name = path.substr(0, path.rfind('/') + 1) + std::string(kPrefix) +
                                     "wait-" + random_hex(8);
            if (std::rename(path.c_str(), name.c_str()) != 0) {
                return file_error(path, "cannot rename", errno);
            }
            return {};
        }
        if (!*known) {
            ledger.append(entry.record, entry.trace);
            ++opened.interrupted;
        }
    }
    ::unlink(path.c_str());
    return {};
}

}  // namespace

Result<std::unique_ptr<IntentFile>> IntentFile::make(const std::string& path, Options options) {
    File file(path, O_RDWR | O_CREAT | O_TRUNC);
    if (file.get() < 0) {
        return file_error(path, "cannot make", errno);
    }
    std::unique_ptr<IntentFile> made(new IntentFile(file.release(), options));
    void* const memory = ::mmap(nullptr, size_t{options.slots_max} * kIntentBytes,
                                PROT_READ | PROT_WRITE, MAP_SHARED, made->file_, 0);
    if (memory == MAP_FAILED) {
        return file_error(path, "cannot map", errno);
    }
    made->memory_ = static_cast<char*>(memory);
    (void)made->grow();
    return made;
}

IntentFile::~IntentFile() {
    if (memory_ != nullptr) {
        ::munmap(memory_, size_t{options_.slots_max} * kIntentBytes);
    }
    ::close(file_);
}

bool IntentFile::grow() noexcept {
    const uint32_t wanted = allocated_ == 0 ? options_.slots_first : allocated_ * 2;
    if (wanted > options_.slots_max) {
        return false;
    }
    int code = 0;
    do {
        code = ::posix_fallocate(file_, off_t{allocated_} * kIntentBytes,
                                 off_t{wanted - allocated_} * kIntentBytes);
    } while (code == EINTR);
    if (code != 0) {
        return false;
    }
    free_.reserve(wanted);
    for (uint32_t slot = wanted; slot > allocated_; --slot) {
        free_.push_back(slot - 1);
    }
    allocated_ = wanted;
    return true;
}

uint32_t IntentFile::begin(const ledger::SpendRecord& record, NanoCredits held, int attempt,
                           uint32_t slot) noexcept {
    if (slot == kNone) {
        if (free_.empty() && !grow()) {
            if (!std::exchange(full_, true)) {
                log::write(log::Level::warn, "ledger.intents",
                           "no room to note running requests: a crash now could lose theirs");
            }
            return kNone;
        }
        slot = free_.back();
        free_.pop_back();
    }
    char* const at = memory_ + size_t{slot} * kIntentBytes;
    auto* const head = reinterpret_cast<IntentHead*>(at);
    // Nobody reads a slot while it is written but a process that finds it after a kill: that one
    // must see no mark over half a slot.
    std::atomic_ref<uint32_t> mark(head->mark);
    mark.store(0, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    head->attempt = static_cast<uint16_t>(attempt);
    head->stream = record.stream ? 1 : 0;
    head->initiator = static_cast<uint8_t>(record.initiator);
    head->call_type = static_cast<uint8_t>(record.call_type);
    head->client_api = static_cast<uint8_t>(record.client_api);
    head->api = static_cast<uint8_t>(record.api);
    head->queue_us = static_cast<uint32_t>(record.queue_us);
    head->received_ms = record.received_ms;
    head->held = held.value;
    char* text = at + sizeof(IntentHead);
    size_t room = kTextBytes;
    size_t i = 0;
    for (const std::string* value : texts_of(record)) {
        const size_t length = std::min({value->size(), room, ledger::kMaxText});
        head->lengths[i++] = static_cast<uint16_t>(length);
        if (length != 0) {  // most requests lack half of them
            std::memcpy(text, value->data(), length);
            text += length;
            room -= length;
        }
    }
    mark.store(kMark, std::memory_order_release);
    return slot;
}

void IntentFile::end(uint32_t slot) noexcept {
    if (slot == kNone) {
        return;
    }
    auto* const head = reinterpret_cast<IntentHead*>(memory_ + size_t{slot} * kIntentBytes);
    std::atomic_ref<uint32_t>(head->mark).store(0, std::memory_order_release);
    free_.push_back(slot);  // has room: it held all slots once
}

std::vector<ledger::Entry> read_intents(std::string_view bytes) {
    std::vector<ledger::Entry> entries;
    for (; bytes.size() >= kIntentBytes; bytes.remove_prefix(kIntentBytes)) {
        (void)read_slot(bytes.substr(0, kIntentBytes), entries);
    }
    return entries;
}

Result<IntentFiles> open_intents(const std::string& dir, size_t loops, ledger::Ledger& ledger,
                                 ledger::Queries& queries) {
    IntentFiles opened;
    const std::vector<std::string> left = list_files(dir);
    for (const auto& path : left) {
        TRY(recover(path, ledger, queries, opened));
    }
    for (size_t i = 0; i < loops; ++i) {
        opened.files.push_back(
            TRY(IntentFile::make(dir + "/" + std::string(kPrefix) + std::to_string(i))));
    }
    if (opened.interrupted > 0) {
        log::write(log::Level::warn, "ledger.interrupted",
                   std::to_string(opened.interrupted) +
                       " requests were on their way when the gateway was stopped; each has a "
                       "record with what was reserved for it");
    }
    return opened;
}

}  // namespace belay::store
