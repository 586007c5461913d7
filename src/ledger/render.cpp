#include "ledger/render.h"

#include <cstdio>

#include "ledger/text.h"

namespace belay::ledger {

namespace {

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kBold = "\x1b[1m";

constexpr int64_t kMillion = 1'000'000;

class Painter {
  public:
    Painter(std::string& out, Colour colour) : out_(out), on_(colour == Colour::on) {}
    void put(std::string_view style, std::string_view text) {
        if (on_ && !style.empty()) {
            out_ += style;
            out_ += text;
            out_ += kReset;
        } else {
            out_ += text;
        }
    }

  private:
    std::string& out_;
    bool on_;
};

std::string_view status_style(const SpendRecord& record) {
    if (record.status == Status::success) {
        return kGreen;
    }
    return record.status == Status::client_aborted ? kYellow : kRed;
}

std::string time_of_day(int64_t unix_ms) {
    const int64_t second = (unix_ms / 1000) % 86'400;
    char text[16];
    std::snprintf(text, sizeof text, "%02d:%02d:%02d", static_cast<int>(second / 3600),
                  static_cast<int>(second / 60 % 60), static_cast<int>(second % 60));
    return text;
}

// A name fit for a terminal: no control bytes, cut.
std::string shown(std::string_view name, size_t max = 40) {
    std::string out;
    write_clean(out, name, max);
    return out.empty() ? "?" : out;
}

std::string_view without_provider(std::string_view model) {
    constexpr std::string_view kCopilot = "github_copilot/";
    return model.substr(0, kCopilot.size()) == kCopilot ? model.substr(kCopilot.size()) : model;
}

std::string served_name(const SpendRecord& record) {
    return shown(without_provider(record.upstream_model.empty() ? record.model_group
                                                                : record.upstream_model));
}

std::string why(const SpendRecord& record) {
    std::string out;
    if (!record.fallback_reason.empty()) {
        out = shown(record.fallback_reason);
    }
    if (record.attempted_retries > 0) {
        out += (out.empty() ? "" : ", ") + std::to_string(record.attempted_retries) +
               (record.attempted_retries == 1 ? " retry" : " retries");
    }
    return out;
}

std::string describe_tokens(const SpendRecord& record) {
    const chat::Usage& usage = record.usage;
    std::string out = describe_count(usage.input + usage.cache_write);
    if (usage.cache_read > 0) {
        out += "+" + describe_count(usage.cache_read) + "c";
    }
    return out + "→" + describe_count(usage.output);
}

// Where the figure is from: none for the upstream's own word, "~" for a price list's.
std::string_view cost_mark(chat::CostSource source) {
    switch (source) {
        case chat::CostSource::upstream:
        case chat::CostSource::configured:
            return "";
        case chat::CostSource::catalogue:
        case chat::CostSource::price_table:
            return "~";
        case chat::CostSource::unknown:
            return "?";
    }
    return "?";
}

// US$ when the price was configured in dollars, else credits; four decimals at most.
std::string describe_cost(const SpendRecord& record) {
    if (record.cost_source == chat::CostSource::unknown) {
        return record.usage.empty() ? "-" : "cost ?";
    }
    std::string credits = render_credits(record.cost);
    if (const size_t dot = credits.find('.'); dot != std::string::npos &&
                                              credits.size() - dot > 5 &&
                                              credits.substr(0, dot + 5) != "0.0000") {
        credits.resize(dot + 5);
    }
    return std::string(cost_mark(record.cost_source)) + credits + "cr";
}

std::string seconds_text(int64_t us) {
    char text[32];
    std::snprintf(text, sizeof text, us < 10 * kMillion ? "%.2fs" : "%.1fs",
                  static_cast<double>(us) / static_cast<double>(kMillion));
    return text;
}

std::string short_id(std::string_view id) { return shown(id.substr(0, 8)); }

void write_text_member(std::string& out, std::string_view key, std::string_view value) {
    if (!value.empty()) {
        write_key(out, key);
        write_json_text(out, value);
    }
}

void write_number_member(std::string& out, std::string_view key, int64_t value) {
    write_key(out, key);
    write_number(out, value);
}

void write_usage(std::string& out, const chat::Usage& usage) {
    write_number_member(out, "prompt_tokens", usage.prompt());
    write_number_member(out, "completion_tokens", usage.output);
    write_number_member(out, "total_tokens", usage.total());
    write_number_member(out, "cache_read_tokens", usage.cache_read);
    write_number_member(out, "cache_write_tokens", usage.cache_write);
    write_number_member(out, "reasoning_tokens", usage.reasoning);
}

void write_cost(std::string& out, const SpendRecord& record) {
    write_key(out, "spend");
    if (record.cost_source == chat::CostSource::unknown) {
        out += "null";
    } else {
        out += render_usd(record.cost);
        write_number_member(out, "cost_nanocredits", record.cost.value);
    }
    write_text_member(out, "cost_source", chat::cost_source_name(record.cost_source));
    if (record.premium_milli != 0) {
        write_number_member(out, "premium_milli", record.premium_milli);
    }
}

void write_tags(std::string& out, const std::vector<std::string>& tags) {
    if (tags.empty()) {
        return;
    }
    write_key(out, "request_tags");
    char lead = '[';
    for (const std::string& tag : tags) {
        out += lead;
        write_json_text(out, tag);
        lead = ',';
    }
    out += ']';
}

}  // namespace

std::string describe_count(int64_t count) {
    char text[32];
    if (count < 1000) {
        return std::to_string(count);
    }
    const bool millions = count >= 999'950;
    const double value = static_cast<double>(count) / (millions ? 1e6 : 1e3);
    std::snprintf(text, sizeof text, value < 99.95 ? "%.1f%c" : "%.0f%c", value,
                  millions ? 'M' : 'k');
    return text;
}

std::string describe_duration(int64_t us) {
    char text[48];
    if (us < 1000) {
        std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(us) / 1e3);
    } else if (us < kMillion) {
        std::snprintf(text, sizeof text, "%d ms", static_cast<int>(us / 1000));
    } else if (us < 120 * kMillion) {
        std::snprintf(text, sizeof text, "%.2f s", static_cast<double>(us) / 1e6);
    } else {
        const int64_t total = us / kMillion;
        std::snprintf(text, sizeof text, "%d min %d s", static_cast<int>(total / 60),
                      static_cast<int>(total % 60));
    }
    return text;
}

void render_line(std::string& out, const SpendRecord& record, Colour colour) {
    Painter paint(out, colour);
    paint.put(kDim, time_of_day(record.received_ms));
    out += ' ';
    paint.put(status_style(record), std::to_string(record.http_status));
    out += ' ';
    const std::string asked = shown(without_provider(record.asked));
    const std::string served = served_name(record);
    out += asked;
    if (served != asked && served != "?") {
        out += " → ";
        paint.put(kBold, served);
    }
    if (const std::string reason = why(record); !reason.empty()) {
        paint.put(kYellow, " (" + reason + ")");
    }
    if (record.status == Status::client_aborted) {
        paint.put(kYellow, " client left");
    } else if (record.status == Status::failure) {
        const std::string_view code = !record.error_code.empty()
                                          ? std::string_view(record.error_code)
                                      : record.error_kind ? kind_name(*record.error_kind)
                                                          : std::string_view("failed");
        paint.put(kRed, " " + shown(code));
    }
    if (!record.usage.empty()) {
        out += "  " + describe_tokens(record) + "  " + describe_cost(record);
    }
    out += "  ";
    if (record.first_token_us > 0 && record.stream) {
        std::string first = seconds_text(record.first_token_us);
        first.back() = '/';  // "0.41/2.30s": first token, total
        out += first;
    }
    out += seconds_text(record.total_us) + "  ";
    paint.put(kDim, short_id(record.request_id));
}

std::string render_line(const SpendRecord& record, Colour colour) {
    std::string out;
    render_line(out, record, colour);
    return out;
}

void write_json(std::string& out, const SpendRecord& record) {
    out += '{';
    write_text_member(out, "request_id", record.request_id);
    write_text_member(out, "call_type", call_type_name(record.call_type));
    write_text_member(out, "status", status_name(record.status));
    write_number_member(out, "http_status", record.http_status);
    write_text_member(out, "asked", record.asked);
    write_text_member(out, "model_group", record.model_group);
    write_text_member(out, "model", record.upstream_model);
    write_text_member(out, "model_id", record.deployment_id);
    write_text_member(out, "custom_llm_provider", record.provider);
    write_text_member(out, "api_base", record.api_base);
    write_text_member(out, "upstream_api", api_name(record.api));
    write_key(out, "stream");
    out += record.stream ? "true" : "false";
    write_number_member(out, "received_ms", record.received_ms);
    write_number_member(out, "queue_us", record.queue_us);
    write_number_member(out, "first_byte_us", record.first_byte_us);
    write_number_member(out, "first_token_us", record.first_token_us);
    write_number_member(out, "total_us", record.total_us);
    write_usage(out, record.usage);
    write_cost(out, record);
    write_number_member(out, "attempted_retries", record.attempted_retries);
    write_number_member(out, "attempted_fallbacks", record.attempted_fallbacks);
    write_text_member(out, "fallback_reason", record.fallback_reason);
    write_text_member(out, "initiator", initiator_name(record.initiator));
    write_text_member(out, "upstream_request_id", record.upstream_request_id);
    write_text_member(out, "copilot_account", record.account);
    write_text_member(out, "api_key", record.key_fingerprint);
    write_text_member(out, "key_alias", record.key_alias);
    write_text_member(out, "user", record.user);
    write_text_member(out, "end_user", record.end_user);
    write_text_member(out, "session_id", record.session_id);
    write_text_member(out, "user_agent", record.user_agent);
    write_tags(out, record.tags);
    if (record.error_kind) {
        write_text_member(out, "error_kind", kind_name(*record.error_kind));
    }
    write_text_member(out, "error_code", record.error_code);
    write_text_member(out, "error_message", record.error_message);
    if (record.cache_hit) {
        write_key(out, "cache_hit");
        out += "true";
    }
    if (record.usage_estimated) {
        write_key(out, "usage_estimated");
        out += "true";
    }
    out += '}';
}

}  // namespace belay::ledger
