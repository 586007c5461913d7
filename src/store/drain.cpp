#include "store/drain.h"

#include <algorithm>
#include <utility>

#include "base/ids.h"
#include "base/log.h"

namespace belay::store {

namespace {

constexpr milliseconds kFirstRetry{100};
// Fewer new batches are not worth a look; so many are in a reader's way, however busy it is.
constexpr int64_t kSavesToMerge = 8;
constexpr int64_t kBusySaves = 1024;
constexpr int64_t kMergedAlready = 64;  // batches looked at beside the new ones

}  // namespace

Drain::Drain(LedgerWriter writer, std::unique_ptr<Journal> journal, milliseconds retry_delay_max)
    : writer_(std::move(writer)),
      journal_(std::move(journal)),
      retry_delay_max_(retry_delay_max),
      saves_since_merge_(kBusySaves),  // the last run may have left as many
      memory_name_{quick_random() & ~uint64_t{1}, 0} {
    if (journal_ == nullptr) {
        return;
    }
    for (Segment& segment : journal_->take_recovered()) {
        const uint64_t count = segment.count();
        const SegmentName name = segment.name();
        batches_.push_back({std::move(segment), {}, count, true, name});
    }
    if (!batches_.empty()) {
        log::write(log::Level::info, "ledger.replay",
                   "Records that the last run left in the journal go into the ledger.",
                   {{"rows", count()}});
    }
}

void Drain::add(Batch batch) {
    if (batch.segment.exists()) {
        batch.name = batch.segment.name();
    } else {
        ++memory_name_.sequence;
        batch.name = memory_name_;
    }
    batches_.push_back(std::move(batch));
}

uint64_t Drain::count() const {
    uint64_t count = 0;
    for (const Batch& batch : batches_) {
        count += batch.count;
    }
    return count;
}

uint64_t Drain::memory_count() const {
    uint64_t count = 0;
    for (const Batch& batch : batches_) {
        count += batch.segment.exists() ? 0 : batch.count;
    }
    return count;
}

size_t Drain::memory_bytes() const {
    size_t bytes = 0;
    for (const Batch& batch : batches_) {
        bytes += batch.memory.size();
    }
    return bytes;
}

Drain::Done Drain::settle() {
    Done done;
    while (!batches_.empty()) {
        Batch& batch = batches_.front();
        if (Result<void> saved = writer_.save(batch.rows(), batch.name); !saved.ok()) {
            note_failure(saved.error());
            break;
        }
        done.saved += batch.count;
        ++saves_since_merge_;
        if (batch.segment.exists()) {
            journal_->release(std::move(batch.segment));
        }
        batches_.pop_front();
    }
    if (batches_.empty()) {
        note_success(done.saved);
        return done;
    }
    for (Batch& batch : batches_) {
        done.refused += batch.segment.exists() && !batch.refused ? batch.count : 0;
        batch.refused = true;
    }
    rest();
    return done;
}

bool Drain::merge(Pace pace) {
    if (failing() || saves_since_merge_ < (pace == Pace::quiet ? kSavesToMerge : kBusySaves)) {
        return false;
    }
    const Result<bool> merged = writer_.merge_some(saves_since_merge_ + kMergedAlready);
    if (!merged.ok() || !*merged) {
        saves_since_merge_ = 0;
        return false;
    }
    return true;
}

void Drain::rest() {
    if (journal_) {
        journal_->trim();
    }
}

void Drain::note_failure(const Error& error) {
    if (!failing()) {
        log::write(log::Level::error, "ledger.failing",
                   "The ledger cannot be written: " + error.message +
                       ". Records are kept aside until it can.",
                   {{"code", error.code}, {"reason", error.detail}});
        retry_after_ = std::min(kFirstRetry, retry_delay_max_);
        return;
    }
    retry_after_ = std::min(retry_after_ * 2, retry_delay_max_);
}

void Drain::note_success(uint64_t saved) {
    if (failing()) {
        log::write(log::Level::info, "ledger.recovered",
                   "The ledger is written again; nothing is kept aside any more.",
                   {{"rows", saved}});
        retry_after_ = milliseconds(0);
    }
}

}  // namespace belay::store
