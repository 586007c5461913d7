#pragma once
// For this module's tests: folders that vanish, and entries with every field set.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "store/sqlite_ledger.h"

namespace belay::store {

class TempDir {
  public:
    TempDir() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "belay-store-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~TempDir() { std::filesystem::remove_all(path_); }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

inline std::unique_ptr<JournaledLedger> open_ledger(const TempDir& dir,
                                                    SqliteOptions options = {}) {
    Result<DataDir> data = DataDir::open(dir.path());
    REQUIRE(data.ok());
    options.retry_delay_max = milliseconds(100);
    auto ledger = SqliteLedger::open(std::move(*data), std::move(options));
    if (!ledger.ok()) {
        FAIL(ledger.error().message);
    }
    return std::move(*ledger);
}

// A first attempt that succeeded: what nearly every request leaves.
inline ledger::Entry plain_entry(const std::string& id) {
    ledger::Entry entry;
    ledger::SpendRecord& record = entry.record;
    record.request_id = id;
    record.call_type = ledger::CallType::acompletion;
    record.client_api = ledger::Api::chat;
    record.api = ledger::Api::chat;
    record.asked = "claude-opus-4.6";
    record.model_group = "claude-opus-4.6";
    record.deployment_id = "0123456789abcdef0123456789abcdef";
    record.provider = "github_copilot";
    record.upstream_model = "claude-opus-4.6";
    record.api_base = "https://api.individual.githubcopilot.com";
    record.status = ledger::Status::success;
    record.http_status = 200;
    record.received_ms = 1'790'000'000'000;
    record.queue_us = 90;
    record.first_byte_us = 400'000;
    record.first_token_us = 410'000;
    record.total_us = 2'300'000;
    record.usage = {1200, 800, 0, 107, 40, NanoCredits{53'400'000}};
    record.cost = NanoCredits{53'400'000};
    record.cost_source = chat::CostSource::upstream;
    record.key_fingerprint = "3f2a9c01";
    record.key_alias = "laptop";
    record.user_agent = "openai-python/1.99";
    record.initiator = ledger::Initiator::user;
    record.upstream_request_id = "CE14:5E6E4:17D68AD:1A961DE:696681B3";
    entry.trace = ledger::trace_from(record, record.total_us - 1'000);
    return entry;
}

inline ledger::Entry full_entry(const std::string& id) {
    ledger::Entry entry = plain_entry(id);
    ledger::SpendRecord& record = entry.record;
    record.status = ledger::Status::client_aborted;
    record.http_status = 499;
    record.error_kind = Kind::cancelled;
    record.error_code = "client_closed";
    record.error_message = "the client \"went\" away — ünïcode";
    record.stream = true;
    record.usage = {1, 2, 3, 4, 5, NanoCredits{77}};
    record.cost = NanoCredits{99};
    record.cost_source = chat::CostSource::catalogue;
    record.premium_milli = 27'000;
    record.user = "ada";
    record.team = "research";
    record.organization = "lab";
    record.end_user = "customer-7";
    record.session_id = "session-1";
    record.tags = {"a", "User-Agent: x"};
    record.attempted_retries = 2;
    record.attempted_fallbacks = 1;
    record.fallback_reason = "quota_month";
    record.initiator = ledger::Initiator::agent;
    record.cache_hit = true;
    record.usage_estimated = true;
    entry.trace.candidates = {{"opus", "d1", "claude-opus-4.6", "cooling: quota_month"},
                              {"gemini", "d2", "gemini-3-pro-preview", "taken"}};
    ledger::Attempt failed;
    failed.group = "opus";
    failed.deployment_id = "d1";
    failed.model = "claude-opus-4.6";
    failed.api = ledger::Api::messages;
    failed.start_us = 1;
    failed.end_us = 3;
    failed.cause = "quota_month";
    failed.status = 402;
    failed.message = "You have no quota";
    failed.decision = "next in chain";
    failed.upstream_request_id = "R1";
    entry.trace.attempts.insert(entry.trace.attempts.begin(), failed);
    entry.trace.warnings = {"dropped: thinking"};
    entry.trace.final_outcome = "cut after 4 tokens";
    return entry;
}

}  // namespace belay::store
