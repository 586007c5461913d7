// The story of one request in plain sentences: asked, considered, tried, got, paid.
#include <cstdio>
#include <ctime>

#include "ledger/render.h"
#include "ledger/text.h"

namespace belay::ledger {

namespace {

constexpr size_t kWidth = 80;

// Columns a text takes on a terminal: its characters, counted by their lead bytes.
size_t columns(std::string_view text) {
    size_t count = 0;
    for (const char c : text) {
        count += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1 : 0;
    }
    return count;
}

// Appends `text` wrapped at word gaps: the first line after `lead`, the others indented as deep. A
// word longer than a line stands alone.
void wrap(std::string& out, std::string_view lead, std::string_view text) {
    const std::string indent(columns(lead), ' ');
    out += lead;
    size_t at = indent.size();
    bool first = true;
    while (!text.empty()) {
        const size_t gap = text.find(' ');
        const std::string_view word = text.substr(0, gap);
        text = gap == std::string_view::npos ? std::string_view{} : text.substr(gap + 1);
        const size_t width = columns(word);
        if (!first && at + 1 + width > kWidth) {
            out += '\n';
            out += indent;
            at = indent.size();
            first = true;
        }
        if (!first) {
            out += ' ';
            ++at;
        }
        out += word;
        at += width;
        first = false;
    }
    out += '\n';
}

std::string clean(std::string_view text, size_t max = kMaxErrorMessage) {
    std::string out;
    write_clean(out, text, max);
    return out;
}

std::string date_time(int64_t unix_ms) {
    const std::time_t second = static_cast<std::time_t>(unix_ms / 1000);
    std::tm parts{};
    gmtime_r(&second, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return text;
}

std::string with_thousands(int64_t value) {
    std::string digits = std::to_string(value);
    for (size_t at = digits.size(); at > 3 && digits[at - 4] != '-'; at -= 3) {
        digits.insert(at - 3, ",");
    }
    return digits;
}

std::string ordinal(size_t index) { return std::to_string(index + 1) + ". "; }

// What a cause means, for people; an unknown one speaks for itself.
std::string describe_cause(std::string_view cause) {
    struct Words {
        std::string_view cause;
        std::string_view words;
    };
    static constexpr Words kWords[] = {
        {"success", "answered"},
        {"quota_month", "the month's quota is used up"},
        {"quota_session", "the session's quota is used up"},
        {"quota_week", "the week's quota is used up"},
        {"quota_budget", "the spending limit is reached"},
        {"rate_limited", "too many requests"},
        {"overloaded", "the model is overloaded"},
        {"model_unavailable", "the model is not available to this account"},
        {"wrong_endpoint", "the model is served by another API"},
        {"context_too_long", "the prompt is too long for the model"},
        {"content_refused", "the content was refused"},
        {"bad_parameter", "a parameter is not supported"},
        {"vision_header", "the image header was missing"},
        {"bad_request", "the request was refused as malformed"},
        {"too_large", "the request is too large"},
        {"token_expired", "the token had expired"},
        {"auth", "the credential is not accepted"},
        {"forbidden", "access is not allowed"},
        {"wrong_host", "the account belongs to another host"},
        {"item_id_mismatch", "an item id belongs to another connection"},
        {"api_version", "the API version is no longer accepted"},
        {"not_found", "there is no such address"},
        {"server_error", "the upstream failed"},
        {"malformed", "the answer made no sense"},
        {"timeout", "no answer in time"},
        {"connection", "the connection failed"},
        {"stale_connection", "a reused connection had gone stale"},
        {"cancelled", "the client went away"},
    };
    for (const Words& entry : kWords) {
        if (entry.cause == cause) {
            return std::string(entry.words);
        }
    }
    return clean(cause);
}

std::string asked_sentence(const SpendRecord& record) {
    std::string text = "Asked for " + clean(record.asked);
    if (!record.model_group.empty() && record.model_group != record.asked) {
        text += " (served as " + clean(record.model_group) + ")";
    }
    text += record.stream ? ", streaming" : "";
    if (!record.key_alias.empty() || !record.key_fingerprint.empty()) {
        text += ", with key " +
                clean(record.key_alias.empty() ? record.key_fingerprint : record.key_alias);
    }
    if (!record.user_agent.empty()) {
        text += ", by " + clean(record.user_agent);
    }
    return text + ".";
}

void tell_candidates(std::string& out, const Trace& trace) {
    if (trace.candidates.empty()) {
        return;
    }
    out += "\nConsidered\n";
    for (const Candidate& candidate : trace.candidates) {
        wrap(out, "  - ",
             clean(candidate.model) + " (" + clean(candidate.group) + "): " +
                 (candidate.verdict.empty() ? "not reached" : clean(candidate.verdict)) + ".");
    }
}

std::string attempt_sentence(const Attempt& attempt) {
    std::string text = clean(attempt.model);
    if (attempt.api != Api::other) {
        text += " by " + std::string(api_name(attempt.api));
    }
    text += ", " + describe_duration(attempt.start_us) +
            " after the request came: " + describe_cause(attempt.cause);
    if (attempt.status != 0) {
        text += " (HTTP " + std::to_string(attempt.status) + ")";
    }
    if (attempt.first_byte_us > attempt.start_us) {
        text += ", first byte after " + describe_duration(attempt.first_byte_us - attempt.start_us);
    }
    if (attempt.end_us > attempt.start_us) {
        text += ", over after " + describe_duration(attempt.end_us - attempt.start_us);
    }
    text += ".";
    if (!attempt.message.empty()) {
        text += " It said: \"" + clean(attempt.message) + "\".";
    }
    if (!attempt.decision.empty()) {
        text += " Then: " + clean(attempt.decision) + ".";
    }
    if (!attempt.upstream_request_id.empty()) {
        text += " Upstream's id: " + clean(attempt.upstream_request_id) + ".";
    }
    return text;
}

void tell_attempts(std::string& out, const Trace& trace) {
    out += "\nTried\n";
    if (trace.attempts.empty()) {
        wrap(out, "  ", "Nothing was sent upstream.");
    }
    for (size_t i = 0; i < trace.attempts.size(); ++i) {
        wrap(out, "  " + ordinal(i), attempt_sentence(trace.attempts[i]));
    }
}

std::string result_sentence(const Trace& trace, const SpendRecord& record) {
    std::string text;
    switch (record.status) {
        case Status::success:
            text = "The client got the answer (HTTP " + std::to_string(record.http_status) + ")";
            break;
        case Status::failure:
            text = "The client got an error (HTTP " + std::to_string(record.http_status);
            text += record.error_code.empty() ? ")" : ", " + clean(record.error_code) + ")";
            break;
        case Status::client_aborted:
            text = "The client went away before the end";
            break;
    }
    text += " after " + describe_duration(record.total_us);
    if (record.first_token_us > 0) {
        text += ", the first token after " + describe_duration(record.first_token_us);
    }
    text += ".";
    if (record.cache_hit) {
        text += " It came from the gateway's cache.";
    }
    if (!record.error_message.empty()) {
        text += " It read: \"" + clean(record.error_message) + "\".";
    }
    if (!trace.final_outcome.empty()) {
        text += " " + clean(trace.final_outcome) + ".";
    }
    return text;
}

std::string source_words(chat::CostSource source) {
    switch (source) {
        case chat::CostSource::upstream:
            return "the upstream's own figure";
        case chat::CostSource::configured:
            return "by the price in the configuration";
        case chat::CostSource::catalogue:
            return "by the upstream's live price list";
        case chat::CostSource::price_table:
            return "by the price table shipped with Belay";
        case chat::CostSource::unknown:
            return "unknown";
    }
    return "unknown";
}

std::string tokens_sentence(const SpendRecord& record) {
    const chat::Usage& usage = record.usage;
    std::string text = with_thousands(usage.prompt()) + " prompt tokens";
    if (usage.cache_read > 0 || usage.cache_write > 0) {
        text += " (" + with_thousands(usage.cache_read) + " from cache, " +
                with_thousands(usage.cache_write) + " written to it)";
    }
    text += ", " + with_thousands(usage.output) + " completion tokens";
    if (usage.reasoning > 0) {
        text += " (" + with_thousands(usage.reasoning) + " of them reasoning)";
    }
    return text + (record.usage_estimated ? ", counted by the gateway." : ".");
}

std::string cost_sentence(const SpendRecord& record) {
    std::string text;
    if (record.cost_source == chat::CostSource::unknown) {
        text = "The cost is unknown: neither the upstream nor any price list names one.";
    } else {
        text = render_credits(record.cost) + " credits (US$ " + render_usd(record.cost) + "), " +
               source_words(record.cost_source) + ".";
    }
    if (record.premium_milli > 0) {
        char count[32];
        std::snprintf(count, sizeof count, "%g", static_cast<double>(record.premium_milli) / 1000);
        text += " On an annual plan: " + std::string(count) + " premium requests.";
    }
    return text;
}

void tell_cost(std::string& out, const SpendRecord& record) {
    out += "\nCost\n";
    if (record.usage.empty() && record.cost.value == 0) {
        wrap(out, "  ", "Nothing was consumed.");
        return;
    }
    wrap(out, "  ", tokens_sentence(record));
    wrap(out, "  ", cost_sentence(record));
}

}  // namespace

std::string explain(const Trace& trace, const SpendRecord& record) {
    std::string out;
    wrap(out, "", "Request " + clean(record.request_id) + ", " + date_time(record.received_ms));
    wrap(out, "", asked_sentence(record));
    tell_candidates(out, trace);
    tell_attempts(out, trace);
    if (!trace.warnings.empty()) {
        out += "\nChanged on the way\n";
        for (const std::string& warning : trace.warnings) {
            wrap(out, "  - ", clean(warning));
        }
    }
    out += "\nResult\n";
    wrap(out, "  ", result_sentence(trace, record));
    tell_cost(out, record);
    return out;
}

}  // namespace belay::ledger
