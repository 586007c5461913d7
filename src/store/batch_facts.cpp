#include "store/batch_facts.h"

#include <algorithm>
#include <cstring>

namespace belay::store {

namespace {

constexpr uint64_t kStir = 0x9E3779B97F4A7C15U;
constexpr size_t kEntrySize = sizeof(uint64_t) + sizeof(uint32_t);

uint64_t stir(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * kStir;
    return hash ^ hash >> 29U;
}

uint64_t hash_at(std::string_view summary, size_t index) {
    uint64_t hash = 0;
    std::memcpy(&hash, summary.data() + index * kEntrySize, sizeof hash);
    return hash;
}

uint32_t count_at(std::string_view summary, size_t index) {
    uint32_t count = 0;
    std::memcpy(&count, summary.data() + index * kEntrySize + sizeof(uint64_t), sizeof count);
    return count;
}

std::string merge(std::string_view left, std::string_view right) {
    Tally tally;
    tally.add_summary(left);
    tally.add_summary(right);
    return tally.take();
}

// -1 for what is no lower-case hex digit.
constexpr std::array<int8_t, 256> kHexValues = [] {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    for (int i = 0; i < 10; ++i) {
        values[static_cast<size_t>('0' + i)] = static_cast<int8_t>(i);
    }
    for (int i = 0; i < 6; ++i) {
        values[static_cast<size_t>('a' + i)] = static_cast<int8_t>(10 + i);
    }
    return values;
}();

int hex_value(char c) { return kHexValues[static_cast<unsigned char>(c)]; }

}  // namespace

uint32_t id_key(std::string_view id) {
    const std::string_view head = id.substr(0, kIdKeyChars);
    uint32_t key = 0;
    uint32_t hash = 0x811c9dc5;  // FNV-1a, for ids that are not hex
    int valid = 0;               // negative: one of them is not
    for (const char c : head) {
        const int value = hex_value(c);
        valid |= value;
        key = key << 4U | (static_cast<uint32_t>(value) & 0xFU);
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
    }
    const auto missing = static_cast<unsigned>(kIdKeyChars - head.size());
    return valid < 0 ? hash : missing == kIdKeyChars ? 0 : key << 4U * missing;
}

void write_id_key(std::string& out, std::string_view id) {
    const uint32_t key = __builtin_bswap32(id_key(id));
    char bytes[sizeof key];
    std::memcpy(bytes, &key, sizeof key);
    out.append(bytes, sizeof bytes);
}

uint64_t hash_text(std::string_view text, uint64_t seed) {
    uint64_t hash = stir(seed, text.size());
    const char* at = text.data();
    size_t left = text.size();
    for (; left >= sizeof hash; left -= sizeof hash, at += sizeof hash) {
        uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        hash = stir(hash, word);
    }
    uint64_t rest = 0;
    std::memcpy(&rest, at, left);
    return stir(stir(hash, rest), seed);
}

void Tally::add_summary(std::string_view summary) {
    for (size_t i = 0; i < summary.size() / kEntrySize; ++i) {
        entries_.push_back({hash_at(summary, i), count_at(summary, i)});
    }
}

std::string Tally::take() {
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& left, const Entry& right) { return left.hash < right.hash; });
    std::string out;
    for (size_t i = 0; i < entries_.size();) {
        Entry entry = entries_[i++];
        for (; i < entries_.size() && entries_[i].hash == entry.hash; ++i) {
            entry.count += entries_[i].count;
        }
        out.append(reinterpret_cast<const char*>(&entry.hash), sizeof entry.hash);
        out.append(reinterpret_cast<const char*>(&entry.count), sizeof entry.count);
    }
    entries_.clear();
    return out;
}

uint32_t count_in(std::string_view summary, uint64_t hash) {
    size_t low = 0;
    size_t high = summary.size() / kEntrySize;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (hash_at(summary, middle) < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < summary.size() / kEntrySize && hash_at(summary, low) == hash
               ? count_at(summary, low)
               : 0;
}

std::string write_mixes(std::vector<Mix>& mixes) {
    std::sort(mixes.begin(), mixes.end(),
              [](const Mix& left, const Mix& right) { return left.hashes < right.hashes; });
    std::string out;
    for (size_t i = 0; i < mixes.size();) {
        Mix mix = mixes[i++];
        for (; i < mixes.size() && mixes[i].hashes == mix.hashes; ++i) {
            for (size_t status = 0; status < kStatuses; ++status) {
                mix.uses[status] += mixes[i].uses[status];
            }
        }
        out.append(reinterpret_cast<const char*>(&mix), sizeof mix);
    }
    return out;
}

std::vector<Mix> read_mixes(std::string_view text) {
    std::vector<Mix> mixes(text.size() / sizeof(Mix));
    if (!mixes.empty()) {
        std::memcpy(mixes.data(), text.data(), mixes.size() * sizeof(Mix));
    }
    return mixes;
}

void BatchFacts::absorb(const BatchFacts& next) {
    requests += next.requests;
    failures += next.failures;
    prompt_tokens += next.prompt_tokens;
    output_tokens += next.output_tokens;
    cost = add(cost, next.cost);
    cost_unknown += next.cost_unknown;
    received_ms.add(next.received_ms);
    cost_each.add(next.cost_each);
    tokens_each.add(next.tokens_each);
    total_us.add(next.total_us);
    first_token_us.add(next.first_token_us);
    id_keys += next.id_keys;
    common = merge(common, next.common);
    varied = merge(varied, next.varied);
    std::vector<Mix> all = read_mixes(mixes + next.mixes);
    mixes = write_mixes(all);
}

}  // namespace belay::store
