#include "ledger/export.h"

#include <functional>

#include "ledger/log_row.h"
#include "ledger/text.h"

namespace belay::ledger {

namespace {

// A column is written by one function, so that head and rows cannot part.
struct Column {
    std::string_view name;
    void (*write)(std::string& out, const SpendRecord& record);
};

// Texts come from clients and upstreams; a leading sign would make a spreadsheet run them.
void put(std::string& out, std::string_view text) {
    const bool formula =
        !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
    if (!formula && text.find_first_of(",\"\r\n") == std::string_view::npos) {
        out += text;
        return;
    }
    out += '"';
    out += formula ? "'" : "";
    for (const char c : text) {
        out.append(c == '"' ? 2 : 1, c);
    }
    out += '"';
}

void put_after(std::string& out, const SpendRecord& record, int64_t us) {
    out += render_time(record.received_ms + (us + 500) / 1000);
}

using Record = SpendRecord;
using Out = std::string;

constexpr Column kColumns[] = {
    {"request_id", [](Out& out, const Record& r) { put(out, r.request_id); }},
    {"call_type", [](Out& out, const Record& r) { put(out, call_type_name(r.call_type)); }},
    {"api_key", [](Out& out, const Record& r) { put(out, r.key_fingerprint); }},
    {"key_alias", [](Out& out, const Record& r) { put(out, r.key_alias); }},
    {"spend", [](Out& out, const Record& r) { out += render_usd(r.cost); }},
    {"cost_source",
     [](Out& out, const Record& r) { put(out, chat::cost_source_name(r.cost_source)); }},
    {"credits", [](Out& out, const Record& r) { out += render_credits(r.cost); }},
    {"premium_requests",
     [](Out& out, const Record& r) {
         out += render_usd(NanoCredits{r.premium_milli * 100'000'000});
     }},
    {"total_tokens", [](Out& out, const Record& r) { write_number(out, r.usage.total()); }},
    {"prompt_tokens", [](Out& out, const Record& r) { write_number(out, r.usage.prompt()); }},
    {"completion_tokens", [](Out& out, const Record& r) { write_number(out, r.usage.output); }},
    {"cache_read_input_tokens",
     [](Out& out, const Record& r) { write_number(out, r.usage.cache_read); }},
    {"cache_creation_input_tokens",
     [](Out& out, const Record& r) { write_number(out, r.usage.cache_write); }},
    {"reasoning_tokens", [](Out& out, const Record& r) { write_number(out, r.usage.reasoning); }},
    {"startTime", [](Out& out, const Record& r) { put_after(out, r, 0); }},
    {"endTime", [](Out& out, const Record& r) { put_after(out, r, r.total_us); }},
    {"completionStartTime",
     [](Out& out, const Record& r) {
         if (r.first_token_us != 0) {
             put_after(out, r, r.first_token_us);
         }
     }},
    {"request_duration_ms",
     [](Out& out, const Record& r) { write_number(out, (r.total_us + 500) / 1000); }},
    {"model", [](Out& out, const Record& r) { put(out, r.upstream_model); }},
    {"model_id", [](Out& out, const Record& r) { put(out, r.deployment_id); }},
    {"model_group", [](Out& out, const Record& r) { put(out, r.model_group); }},
    {"asked", [](Out& out, const Record& r) { put(out, r.asked); }},
    {"custom_llm_provider", [](Out& out, const Record& r) { put(out, r.provider); }},
    {"api_base", [](Out& out, const Record& r) { put(out, r.api_base); }},
    {"user", [](Out& out, const Record& r) { put(out, r.user); }},
    {"team_id", [](Out& out, const Record& r) { put(out, r.team); }},
    {"organization_id", [](Out& out, const Record& r) { put(out, r.organization); }},
    {"end_user", [](Out& out, const Record& r) { put(out, r.end_user); }},
    {"session_id", [](Out& out, const Record& r) { put(out, r.session_id); }},
    {"request_tags",
     [](Out& out, const Record& r) {
         std::string tags = "[";
         for (const std::string& tag : r.tags) {
             tags += tags.size() > 1 ? "," : "";
             write_json_text(tags, tag);
         }
         put(out, tags + "]");
     }},
    {"cache_hit", [](Out& out, const Record& r) { out += r.cache_hit ? "True" : "False"; }},
    {"status", [](Out& out, const Record& r) { put(out, status_name(r.status)); }},
    {"http_status", [](Out& out, const Record& r) { write_number(out, r.http_status); }},
    {"error_code", [](Out& out, const Record& r) { put(out, r.error_code); }},
    {"error_message", [](Out& out, const Record& r) { put(out, r.error_message); }},
    {"attempted_retries",
     [](Out& out, const Record& r) { write_number(out, r.attempted_retries); }},
    {"attempted_fallbacks",
     [](Out& out, const Record& r) { write_number(out, r.attempted_fallbacks); }},
    {"fallback_reason", [](Out& out, const Record& r) { put(out, r.fallback_reason); }},
    {"user_agent", [](Out& out, const Record& r) { put(out, r.user_agent); }},
    {"upstream_request_id", [](Out& out, const Record& r) { put(out, r.upstream_request_id); }},
    {"copilot_account", [](Out& out, const Record& r) { put(out, r.shown_account()); }},
};

void write_line(std::string& out, const std::function<void(const Column&)>& write) {
    bool first = true;
    for (const Column& column : kColumns) {
        out += first ? "" : ",";
        first = false;
        write(column);
    }
    out += "\r\n";
}

}  // namespace

void write_csv_head(std::string& out) {
    write_line(out, [&out](const Column& column) { out += column.name; });
}

void write_csv_row(std::string& out, const Entry& entry) {
    write_line(out, [&](const Column& column) { column.write(out, entry.record); });
}

void write_json_line(std::string& out, const Entry& entry) {
    write_log_row(out, entry);
    out += '\n';
}

}  // namespace belay::ledger
