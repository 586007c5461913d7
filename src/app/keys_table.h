#pragma once
// The one table of configuration keys. Validation (config*.cpp), did-you-mean, and the reference
// page docs/reference/configuration.md (`belay check --reference`) are all made from it, so a key
// that is not here is unknown, and a key that is here is documented. The rows are in
// keys_table.cpp.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace belay::app {

// Where a key stands. A row of model_list is model_entry; its two mappings have their own sections.
enum class Section : uint8_t {
    root,
    server_settings,
    model_entry,
    litellm_params,
    model_info,
    litellm_settings,
    general_settings,
    router_settings,
    model_group_alias,  // the object form of one alias
    retry_policy,
    allowed_fails_policy,
    credential,
    mcp_server,
    mcp_semantic_tool_filter,
    cache_params,
    pass_through_endpoint,
};

enum class KeyType : uint8_t {
    text,
    secret,  // text that is never shown
    url,     // http:// or https://
    boolean,
    count,      // whole number >= 0
    port,       // 1 .. 65535
    number,     // any number >= 0
    seconds,    // number >= 0, or the same as text
    duration,   // "30s", "5m", "24h", "7d", "1mo"; a bare number is seconds
    usd,        // US$ >= 0, exact: 0.000005 or 5e-06
    choice,     // one of Key::choices
    text_list,  // list of text; a single text counts as a list of one
    list,
    map,
    headers,       // mapping of header name to text
    fallbacks,     // list of names, of {model: name, ...}, or of {group: [name, ...]}
    fallback_map,  // list of {group: [name, ...]}
    any,
};

enum class Support : uint8_t {
    supported,
    accepted,  // kept, has no effect yet: said so in a note
    ignored,   // has no meaning here and never will: silent
};

struct Key {
    Section section;
    std::string_view name;
    KeyType type;
    std::string_view fallback;  // the default, as it is documented; "" = none
    std::string_view doc;       // one line
    bool reloadable;            // false: a changed value needs a restart
    Support support;
    std::string_view choices;  // for KeyType::choice: "a|b|c"
};

[[nodiscard]] std::span<const Key> keys();
[[nodiscard]] const Key* find_key(Section section, std::string_view name);

// A field of the request that litellm_params may hold as a default (rows documented as such).
[[nodiscard]] inline bool is_request_default(const Key& key) {
    return key.section == Section::litellm_params && key.doc.starts_with("Request default");
}

// "general_settings"; "" for root; "model_list[].litellm_params".
[[nodiscard]] std::string_view section_name(Section section);
// "general_settings.master_key", "model_list".
[[nodiscard]] std::string dotted(const Key& key);
[[nodiscard]] std::string_view type_name(KeyType type);
[[nodiscard]] std::string_view support_name(Support support);

// The known key that an unknown one most likely means.
struct KeySuggestion {
    const Key* key = nullptr;
    bool elsewhere = false;  // it belongs in another section
    double score = 0;        // 0 = the same but for spelling; the larger the less sure
};
[[nodiscard]] std::optional<KeySuggestion> suggest_key(Section section, std::string_view name);

// docs/reference/configuration.md, whole.
[[nodiscard]] std::string render_reference();

}  // namespace belay::app
