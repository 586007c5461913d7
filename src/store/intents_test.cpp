// What intents promise: a request that was on its way when the process was killed becomes one
// record, one that has its record becomes none, and no bytes on the disk can do harm.
#include "store/intents.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <random>

#include "store/memory_ledger.h"
#include "store/test_support.h"

namespace belay::store {
namespace {

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void put_bytes(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::unique_ptr<IntentFile> make_file(const TempDir& dir, IntentFile::Options options = {}) {
    auto file = IntentFile::make(dir.file("intents.0"), options);
    REQUIRE(file.ok());
    return std::move(*file);
}

std::vector<std::string> ids_of(const std::vector<ledger::Entry>& entries) {
    std::vector<std::string> ids;
    for (const auto& entry : entries) {
        ids.push_back(entry.record.request_id);
    }
    return ids;
}

}  // namespace

// Guarantee: what is known of a request before its first upstream byte is in its record after a
// kill, and the budget is charged with what was held.
TEST_CASE("a request that was on its way is told with all that was known") {
    const TempDir dir;
    const auto file = make_file(dir);
    const ledger::SpendRecord asked = full_entry("one").record;
    const uint32_t slot = file->begin(asked, NanoCredits{777}, 1, IntentFile::kNone);
    CHECK(file->begin(asked, NanoCredits{778}, 3, slot) == slot);
    const auto left = read_intents(bytes_of(dir.file("intents.0")));
    REQUIRE(left.size() == 1);
    const auto& [record, trace] = left[0];
    CHECK(record.request_id == "one");
    CHECK(record.received_ms == asked.received_ms);
    CHECK(record.queue_us == asked.queue_us);
    CHECK(record.key_fingerprint == asked.key_fingerprint);
    CHECK(record.key_alias == asked.key_alias);
    CHECK(record.user == asked.user);
    CHECK(record.team == asked.team);
    CHECK(record.organization == asked.organization);
    CHECK(record.end_user == asked.end_user);
    CHECK(record.asked == asked.asked);
    CHECK(record.model_group == asked.model_group);
    CHECK(record.upstream_model == asked.upstream_model);
    CHECK(record.deployment_id == asked.deployment_id);
    CHECK(record.provider == asked.provider);
    CHECK(record.stream == asked.stream);
    CHECK(record.initiator == asked.initiator);
    CHECK(record.call_type == asked.call_type);
    CHECK(record.client_api == asked.client_api);
    CHECK(record.status == ledger::Status::failure);
    CHECK(record.error_code == "interrupted");
    CHECK(record.cost == NanoCredits{778});
    CHECK(record.cost_source == chat::CostSource::unknown);
    CHECK(record.attempted_retries == 2);
    REQUIRE(trace.attempts.size() == 1);
    CHECK(trace.attempts[0].cause == "interrupted");
}

// Guarantee: a request that has ended leaves nothing, and its slot is used again.
TEST_CASE("an ended request leaves no note") {
    const TempDir dir;
    const auto file = make_file(dir);
    const auto record = plain_entry("one").record;
    const uint32_t first = file->begin(record, {}, 1, IntentFile::kNone);
    file->end(first);
    CHECK(read_intents(bytes_of(dir.file("intents.0"))).empty());
    CHECK(file->begin(record, {}, 1, IntentFile::kNone) == first);
}

// Guarantee: more requests at once make the file grow up to its bound; beyond it requests go on
// without a note.
TEST_CASE("the file grows up to its bound") {
    const TempDir dir;
    const auto file = make_file(dir, {.slots_first = 2, .slots_max = 8});
    std::vector<uint32_t> slots;
    for (int i = 0; i < 9; ++i) {
        slots.push_back(
            file->begin(plain_entry("r" + std::to_string(i)).record, {}, 1, IntentFile::kNone));
    }
    CHECK(slots.back() == IntentFile::kNone);
    CHECK(read_intents(bytes_of(dir.file("intents.0"))).size() == 8);
    for (const uint32_t slot : slots) {
        file->end(slot);
    }
    CHECK(file->begin(plain_entry("again").record, {}, 1, IntentFile::kNone) != IntentFile::kNone);
}

// Guarantee: texts of any length never leave their slot; the request's id and whose it was are
// kept before all else.
TEST_CASE("long texts are cut within the slot") {
    const TempDir dir;
    const auto file = make_file(dir);
    ledger::SpendRecord record = plain_entry(std::string(300, 'i')).record;
    record.key_fingerprint = std::string(64, 'k');
    record.asked = std::string(5000, 'm');
    (void)file->begin(record, {}, 1, IntentFile::kNone);
    (void)file->begin(plain_entry("next").record, {}, 1, IntentFile::kNone);
    const auto left = read_intents(bytes_of(dir.file("intents.0")));
    REQUIRE(left.size() == 2);
    CHECK(left[0].record.request_id == std::string(ledger::kMaxText, 'i'));
    CHECK(left[0].record.key_fingerprint == record.key_fingerprint);
    CHECK(left[1].record.request_id == "next");
}

// Guarantee: after a kill each request has exactly one record, however often the recovery itself is
// cut short; a request whose record was kept gets no second one.
TEST_CASE("what was left behind becomes records, once") {
    const TempDir dir;
    MemoryLedger ledger;
    const auto kept = plain_entry("kept");
    ledger.append(kept.record, kept.trace);
    {
        const auto file = make_file(dir);
        (void)file->begin(kept.record, {}, 1, IntentFile::kNone);
        (void)file->begin(plain_entry("lost").record, NanoCredits{5}, 1, IntentFile::kNone);
        ledger::SpendRecord same_id = kept.record;  // a client's own id, used again later
        same_id.received_ms += 1;
        (void)file->begin(same_id, {}, 1, IntentFile::kNone);
    }
    const std::string bytes = bytes_of(dir.file("intents.0"));
    for (int i = 0; i < 2; ++i) {
        put_bytes(dir.file("intents.0"), bytes);  // the second time: killed before it was emptied
        auto opened = open_intents(dir.path(), 2, ledger, ledger);
        REQUIRE(opened.ok());
        CHECK(opened->files.size() == 2);
        CHECK(opened->interrupted == (i == 0 ? 2 : 0));
        CHECK(read_intents(bytes_of(dir.file("intents.0"))).empty());
    }
    REQUIRE(ledger.find("lost").ok());
    CHECK(ledger.find("lost")->record.cost == NanoCredits{5});
}

// Guarantee: a damaged file gives no crash and no record that makes no sense.
TEST_CASE("damaged notes are left out") {
    const TempDir dir;
    std::string whole;
    {
        const auto file = make_file(dir, {.slots_first = 4, .slots_max = 4});
        for (int i = 0; i < 4; ++i) {
            (void)file->begin(plain_entry("r" + std::to_string(i)).record, {}, 1,
                              IntentFile::kNone);
        }
        whole = bytes_of(dir.file("intents.0"));
    }
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        std::string bytes = whole.substr(0, random() % (whole.size() + 1));
        for (int i = 0; i < 8 && !bytes.empty(); ++i) {
            bytes[random() % std::min<size_t>(bytes.size(), 64)] = static_cast<char>(random());
        }
        for (const auto& entry : read_intents(bytes)) {
            CHECK(!entry.record.request_id.empty());
            CHECK(entry.record.cost.value >= 0);
        }
    }
    CHECK(ids_of(read_intents(whole)) == std::vector<std::string>{"r0", "r1", "r2", "r3"});
}

}  // namespace belay::store
