#include "accounts/models_text.h"

#include <algorithm>
#include <array>

#include "accounts/login_cli.h"
#include "wire/json.h"

namespace belay::accounts {
namespace {

constexpr size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;
using Widths = std::array<size_t, kColumns>;

std::string usd(PricePerMillion rate) { return render_usd(NanoCredits{rate.nanocredits}); }

std::string render_multiplier(int32_t milli) {
    std::string text = std::to_string(milli / 1000);
    if (const int32_t rest = milli % 1000; rest != 0) {
        std::string digits = std::to_string(1000 + rest).substr(1);
        digits.erase(digits.find_last_not_of('0') + 1);
        text += "." + digits;
    }
    return text + "x";
}

std::string price_text(const Model& m, Billing billing) {
    if (billing == Billing::requests && m.multiplier_milli) {
        return render_multiplier(*m.multiplier_milli);
    }
    if (m.price && m.type == "embeddings") {
        return usd(m.price->base.input) + " in";
    }
    if (m.price) {
        return usd(m.price->base.input) + " in, " + usd(m.price->base.output) + " out";
    }
    return m.multiplier_milli ? render_multiplier(*m.multiplier_milli) : "not said";
}

std::string endpoints_text(const Model& m) {
    std::string text;
    for (const auto& [endpoint, name] :
         {std::pair{Endpoint::chat, "chat"}, std::pair{Endpoint::responses, "responses"},
          std::pair{Endpoint::messages, "messages"},
          std::pair{Endpoint::embeddings, "embeddings"}}) {
        if (m.offers(endpoint)) {
            text += (text.empty() ? "" : " ") + std::string(name);
        }
    }
    return text.empty() ? "websocket" : text;
}

Row row_of(const Model& m, Billing billing) {
    const int64_t context = m.limits.context > 0 ? m.limits.context : m.limits.prompt;
    return {plain_text(m.id),  plain_text(m.vendor),   render_tokens(context),
            endpoints_text(m), price_text(m, billing), m.enabled() ? "yes" : "no"};
}

// What does not fit ends in "…", which takes one column.
std::string cut(const std::string& text, size_t width) {
    if (text.size() <= width) {
        return text;
    }
    return width == 0 ? "" : text.substr(0, width - 1) + "…";
}

std::string pad(const std::string& text, size_t width, bool right) {
    const std::string shown = cut(text, width);
    const size_t columns = std::min(text.size(), width);
    const std::string space(width - columns, ' ');
    return right ? space + shown : shown + space;
}

constexpr size_t kGap = 2;

// Natural widths, then the least telling columns give way until the line fits.
Widths fit(const std::vector<Row>& rows, size_t width) {
    Widths widths{};
    for (const Row& row : rows) {
        for (size_t i = 0; i < kColumns; ++i) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    constexpr std::array<std::pair<size_t, size_t>, 4> kGiveWay = {
        {{1, 6}, {3, 9}, {0, 20}, {4, 8}}};  // column, its least width
    size_t total = kGap * (kColumns - 1);
    for (const size_t w : widths) {
        total += w;
    }
    for (const auto& [column, least] : kGiveWay) {
        if (total > width && widths[column] > least) {
            const size_t gain = std::min(total - width, widths[column] - least);
            widths[column] -= gain;
            total -= gain;
        }
    }
    return widths;
}

std::string render_row(const Row& row, const Widths& widths) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) {
        line += (i == 0 ? "" : std::string(kGap, ' ')) + pad(row[i], widths[i], i == 2);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

// "  id: reason", wrapped at spaces.
std::string render_reason(const std::string& id, const std::string& reason, size_t width) {
    std::string text;
    std::string line = "  " + id + ":";
    size_t begin = 0;
    while (begin < reason.size()) {
        const size_t end = std::min(reason.find(' ', begin), reason.size());
        const std::string word = reason.substr(begin, end - begin);
        if (line.size() + 1 + word.size() > width && line.size() > 4) {
            text += line + "\n";
            line = "   ";
        }
        line += " " + word;
        begin = end + 1;
    }
    return text + line + "\n";
}

json::Value rates_json(const TokenRates& rates) {
    json::Value v;
    v.set("input", json::Number{usd(rates.input)});
    v.set("output", json::Number{usd(rates.output)});
    v.set("cache_read", json::Number{usd(rates.cache_read)});
    v.set("cache_write", json::Number{usd(rates.cache_write)});
    return v;
}

json::Value texts_json(const std::vector<std::string>& texts) {
    json::Array array;
    for (const std::string& text : texts) {
        array.emplace_back(text);
    }
    return array;
}

json::Value limits_json(const ModelLimits& limits) {
    json::Value v = json::Object{};
    const auto put = [&](const char* name, int64_t tokens) {
        if (tokens > 0) {
            v.set(name, tokens);
        }
    };
    put("context_window", limits.context);
    put("max_prompt_tokens", limits.prompt);
    put("max_output_tokens", limits.output);
    put("max_output_tokens_plain", limits.output_plain);
    put("max_images", limits.images);
    put("max_inputs", limits.inputs);
    return v;
}

json::Value model_json(const Model& m) {
    json::Value v;
    v.set("id", m.id);
    v.set("name", m.name);
    v.set("vendor", m.vendor);
    v.set("version", m.version);
    v.set("type", m.type);
    v.set("preview", m.preview);
    json::Value& endpoints = v.set("endpoints", json::Array{});
    for (const Endpoint e : {Endpoint::chat, Endpoint::responses, Endpoint::responses_ws,
                             Endpoint::messages, Endpoint::embeddings}) {
        if (m.offers(e)) {
            endpoints.push(endpoint_path(e));
        }
    }
    v.set("limits", limits_json(m.limits));
    json::Value supports;
    supports.set("streaming", m.supports.streaming);
    supports.set("tools", m.supports.tools);
    supports.set("vision", m.supports.vision);
    supports.set("structured_outputs", m.supports.structured_outputs);
    supports.set("reasoning_effort", texts_json(m.supports.reasoning_effort));
    v.set("supports", std::move(supports));
    if (m.multiplier_milli) {
        std::string text = render_multiplier(*m.multiplier_milli);
        text.pop_back();
        v.set("multiplier", json::Number{text});
    }
    if (m.price) {
        json::Value& price = v.set("usd_per_million", rates_json(m.price->base));
        if (m.price->long_context_from > 0) {
            json::Value above = rates_json(m.price->long_context);
            above.set("from_prompt_tokens", m.price->long_context_from);
            price.set("long_context", std::move(above));
        }
    }
    v.set("restricted_to", texts_json(m.restricted_to));
    v.set("enabled", m.enabled());
    if (!m.enabled()) {
        v.set("reason", why_not(m));
    }
    if (!m.warning.empty()) {
        v.set("warning", m.warning);
    }
    return v;
}

}  // namespace

std::string render_tokens(int64_t tokens) {
    if (tokens <= 0) {
        return {};
    }
    if (tokens >= 1'000'000) {
        const int64_t tenths = (tokens + 50'000) / 100'000;
        return std::to_string(tenths / 10) +
               (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10)) + "M";
    }
    return tokens < 10'000 ? std::to_string(tokens) : std::to_string((tokens + 500) / 1000) + "K";
}

std::string render_models_table(const Catalogue& catalogue, const TableOptions& options) {
    if (catalogue.models.empty()) {
        return "Copilot offers this account no models.\n";
    }
    std::vector<const Model*> models;
    for (const Model& m : catalogue.models) {
        models.push_back(&m);
    }
    std::stable_sort(models.begin(), models.end(), [](const Model* a, const Model* b) {
        return std::tuple(!a->enabled(), a->type, a->vendor, a->id) <
               std::tuple(!b->enabled(), b->type, b->vendor, b->id);
    });
    std::vector<Row> rows = {{"MODEL", "VENDOR", "CONTEXT", "ENDPOINTS",
                              options.billing == Billing::credits ? "$ PER MILLION" : "MULTIPLIER",
                              "USABLE"}};
    for (const Model* m : models) {
        rows.push_back(row_of(*m, options.billing));
    }
    const size_t width = std::clamp<size_t>(options.width, 60, 300);
    const Widths widths = fit(rows, width);
    std::string text;
    for (const Row& row : rows) {
        text += render_row(row, widths);
    }
    std::string reasons;
    for (const Model* m : models) {
        if (!m->enabled()) {
            reasons += render_reason(plain_text(m->id), plain_text(why_not(*m)), width);
        }
    }
    return reasons.empty() ? text : text + "\nNot usable:\n" + reasons;
}

std::string render_models_json(const Catalogue& catalogue) {
    json::Value out;
    out.set("object", "list");
    json::Value& data = out.set("data", json::Array{});
    for (const Model& m : catalogue.models) {
        data.push(model_json(m));
    }
    return json::dump_pretty(out) + "\n";
}

}  // namespace belay::accounts
