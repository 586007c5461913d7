#include "app/yaml.h"

#include <yaml.h>

#include <algorithm>
#include <map>
#include <unordered_map>

namespace belay::yaml {
namespace {

class Builder {
  public:
    Builder(std::string_view text, int source, const Limits& limits)
        : source_(source), limits_(limits) {
        yaml_parser_initialize(&parser_);
        yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                     text.size());
    }
    ~Builder() {
        drop_event();
        yaml_parser_delete(&parser_);
    }
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    Parsed build() {
        parsed_.ok = read_document();
        return std::move(parsed_);
    }

  private:
    bool read_document() {
        if (!advance() || !advance()) {  // stream start, then a document or the end
            return false;
        }
        if (event_.type == YAML_STREAM_END_EVENT) {
            return true;
        }
        if (!advance() || !read_node(parsed_.root, 1) || !advance() || !advance()) {
            return false;
        }
        if (event_.type != YAML_STREAM_END_EVENT) {
            return fail(here(), "a second document begins here",
                        "keep one document in the file: remove the '---' line");
        }
        return true;
    }

    // Reads the node whose first event is current.
    bool read_node(Node& out, size_t depth) {
        out.place = here();
        if (depth > limits_.depth) {
            return fail(out.place, "values are nested too deeply", "at most 64 levels are read");
        }
        switch (event_.type) {
            case YAML_ALIAS_EVENT:
                return read_alias(out, depth);
            case YAML_SCALAR_EVENT:
                return read_scalar(out);
            case YAML_SEQUENCE_START_EVENT:
                return read_sequence(out, depth);
            case YAML_MAPPING_START_EVENT:
                return read_mapping(out, depth);
            default:
                return fail(out.place, "a value is expected here", "");
        }
    }

    bool read_scalar(Node& out) {
        const auto& scalar = event_.data.scalar;
        std::string_view text(reinterpret_cast<const char*>(scalar.value), scalar.length);
        std::string tag = tag_text(scalar.tag);
        std::string anchor = tag_text(scalar.anchor);
        if (!charge(1, text.size(), out.place)) {
            return false;
        }
        out.style = style_of(scalar.style);
        out.type = Type::text;
        out.text = std::string(text);
        bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (tag.empty() ? plain : is_core_scalar_tag(tag)) {
            std::string normal;
            out.type = resolve_plain(text, normal);
            out.text = std::move(normal);
        } else if (!tag.empty() && tag != "tag:yaml.org,2002:str" && tag != "!") {
            return refuse_tag(tag, out.place);
        }
        return keep_anchor(anchor, out);
    }

    bool read_sequence(Node& out, size_t depth) {
        std::string anchor = tag_text(event_.data.sequence_start.anchor);
        std::string tag = tag_text(event_.data.sequence_start.tag);
        if (!tag.empty() && tag != "tag:yaml.org,2002:seq" && tag != "!") {
            return refuse_tag(tag, out.place);
        }
        if (!charge(1, 0, out.place)) {
            return false;
        }
        out.type = Type::sequence;
        while (advance()) {
            if (event_.type == YAML_SEQUENCE_END_EVENT) {
                return keep_anchor(anchor, out);
            }
            out.items.emplace_back();
            if (!read_node(out.items.back(), depth + 1)) {
                return false;
            }
        }
        return false;
    }

    bool read_mapping(Node& out, size_t depth) {
        std::string anchor = tag_text(event_.data.mapping_start.anchor);
        std::string tag = tag_text(event_.data.mapping_start.tag);
        if (!tag.empty() && tag != "tag:yaml.org,2002:map" && tag != "!") {
            return refuse_tag(tag, out.place);
        }
        if (!charge(1, 0, out.place)) {
            return false;
        }
        out.type = Type::mapping;
        std::unordered_map<std::string, size_t> index;
        std::vector<Node> merges;
        while (advance()) {
            if (event_.type == YAML_MAPPING_END_EVENT) {
                apply_merges(out, index, merges);
                return keep_anchor(anchor, out);
            }
            if (!read_member(out, index, merges, depth)) {
                return false;
            }
        }
        return false;
    }

    bool read_member(Node& out, std::unordered_map<std::string, size_t>& index,
                     std::vector<Node>& merges, size_t depth) {
        Place place = here();
        bool merge = false;
        std::string key;
        if (!read_key(key, merge)) {
            return false;
        }
        Node value;
        if (!advance() || !read_node(value, depth + 1)) {
            return false;
        }
        if (merge) {
            return add_merge(merges, std::move(value));
        }
        auto [at, fresh] = index.try_emplace(key, out.entries.size());
        if (fresh) {
            out.entries.push_back({std::move(key), place, std::move(value)});
            return true;
        }
        Entry& earlier = out.entries[at->second];
        if (parsed_.duplicates.size() < 100) {
            parsed_.duplicates.push_back({key, earlier.place, place});
        }
        earlier.place = place;
        earlier.value = std::move(value);
        return true;
    }

    bool read_key(std::string& key, bool& merge) {
        Place place = here();
        if (event_.type == YAML_ALIAS_EVENT) {
            std::string name = tag_text(event_.data.alias.anchor);
            auto found = anchors_.find(name);
            if (found != anchors_.end() && found->second.is_scalar()) {
                key = found->second.text;
                return charge(0, key.size(), place);
            }
        }
        if (event_.type != YAML_SCALAR_EVENT) {
            return fail(place, "a key must be plain text, not a list or a mapping",
                        "quote it if it begins with one of [ { * & ! | > % @ `");
        }
        const auto& scalar = event_.data.scalar;
        key.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
        merge = key == "<<" && scalar.style == YAML_PLAIN_SCALAR_STYLE;
        Node node;
        node.place = place;
        node.type = Type::text;
        node.text = key;
        return charge(0, key.size(), place) && keep_anchor(tag_text(scalar.anchor), node);
    }

    bool add_merge(std::vector<Node>& merges, Node value) {
        if (value.is_mapping()) {
            merges.push_back(std::move(value));
            return true;
        }
        bool mappings = value.is_sequence();
        for (const Node& item : value.items) {
            mappings = mappings && item.is_mapping();
        }
        if (!mappings) {
            return fail(value.place, "'<<' merges a mapping, or a list of mappings",
                        "give it an alias of a mapping: '<<: *name'");
        }
        std::move(value.items.begin(), value.items.end(), std::back_inserter(merges));
        return true;
    }

    // Explicit members win over merged ones, earlier merges over later ones.
    static void apply_merges(Node& out, std::unordered_map<std::string, size_t>& index,
                             std::vector<Node>& merges) {
        for (Node& merge : merges) {
            for (Entry& entry : merge.entries) {
                if (index.try_emplace(entry.key, out.entries.size()).second) {
                    out.entries.push_back(std::move(entry));
                }
            }
        }
    }

    struct Weight {
        size_t nodes = 0, bytes = 0, depth = 0;
    };

    static Weight weigh(const Node& node) {
        Weight total{1, node.text.size(), 1};
        auto include = [&total](const Node& child) {
            Weight inner = weigh(child);
            total.nodes += inner.nodes;
            total.bytes += inner.bytes;
            total.depth = std::max(total.depth, inner.depth + 1);
        };
        for (const Node& item : node.items) {
            include(item);
        }
        for (const Entry& entry : node.entries) {
            total.bytes += entry.key.size();
            include(entry.value);
        }
        return total;
    }

    bool read_alias(Node& out, size_t depth) {
        Place place = out.place;
        std::string name = tag_text(event_.data.alias.anchor);
        auto found = anchors_.find(name);
        if (found == anchors_.end()) {
            return fail(place, "the alias '*" + name + "' names no anchor before it",
                        "define '&" + name + "' first; write \"*\" in quotes to mean the text *");
        }
        Weight weight = weigh(found->second);
        if (depth + weight.depth - 1 > limits_.depth) {
            return fail(place, "aliases nest values too deeply", "at most 64 levels are read");
        }
        if (!charge(weight.nodes, weight.bytes, place)) {
            return false;
        }
        out = found->second;
        return true;
    }

    bool keep_anchor(const std::string& anchor, const Node& node) {
        if (anchor.empty()) {
            return true;
        }
        Weight weight = weigh(node);
        if (!charge(weight.nodes, weight.bytes, node.place)) {
            return false;
        }
        anchors_[anchor] = node;
        return true;
    }

    bool charge(size_t nodes, size_t bytes, Place place) {
        nodes_ += nodes;
        bytes_ += bytes;
        if (nodes_ <= limits_.nodes && bytes_ <= limits_.text_bytes) {
            return true;
        }
        return fail(place, "the file holds too many values once its aliases are expanded",
                    "use fewer aliases, or split the file with 'include'");
    }

    bool refuse_tag(const std::string& tag, Place place) {
        return fail(place, "the tag '" + tag.substr(0, 60) + "' is not read here",
                    "remove the tag; plain YAML values are enough");
    }

    bool advance() {
        drop_event();
        if (yaml_parser_parse(&parser_, &event_) != 0) {
            have_event_ = true;
            return true;
        }
        bool marked = parser_.problem_mark.line != 0 || parser_.problem_mark.column != 0 ||
                      parser_.problem_mark.index != 0;
        Place place = marked ? place_of(parser_.problem_mark) : place_of(parser_.mark);
        std::string message =
            parser_.problem != nullptr ? parser_.problem : "the YAML is not valid";
        if (parser_.context != nullptr) {
            message = std::string(parser_.context) + opened(parser_) + ": " + message;
        }
        return fail(place, std::move(message), cure(parser_.error, parser_.problem));
    }

    // Where the bracket or quote that is not closed stands, when that is another line.
    static std::string opened(const yaml_parser_t& parser) {
        size_t line = parser.context_mark.line;
        bool told = parser.error == YAML_PARSER_ERROR || parser.error == YAML_SCANNER_ERROR;
        return told && line != parser.problem_mark.line
                   ? " that begins in line " + std::to_string(line + 1)
                   : "";
    }

    static std::string cure(yaml_error_type_t error, const char* problem) {
        std::string_view text = problem == nullptr ? "" : problem;
        if (error == YAML_READER_ERROR) {
            return "save the file as UTF-8 without control characters";
        }
        if (text.find("cannot start any token") != std::string_view::npos) {
            return "indent with spaces, not tabs, and quote values that begin with @ or `";
        }
        if (text.find("alias") != std::string_view::npos ||
            text.find("alphabetic or numeric") != std::string_view::npos) {
            return "write \"*\" in quotes";
        }
        if (text.find("mapping values are not allowed") != std::string_view::npos) {
            return "quote values that hold ': ', and check the indentation of this line";
        }
        if (text.find("expected <block end>") != std::string_view::npos ||
            text.find("could not find expected ':'") != std::string_view::npos) {
            return "check the indentation and the ':' of this line and the one above";
        }
        return "check quotes, brackets and indentation here";
    }

    bool fail(Place place, std::string message, std::string hint) {
        parsed_.problem = {place, std::move(message), std::move(hint)};
        return false;
    }

    [[nodiscard]] Place place_of(const yaml_mark_t& mark) const {
        return {source_, static_cast<int>(mark.line) + 1, static_cast<int>(mark.column) + 1};
    }
    [[nodiscard]] Place here() const { return place_of(event_.start_mark); }

    static std::string tag_text(const yaml_char_t* text) {
        return text == nullptr ? "" : reinterpret_cast<const char*>(text);
    }
    static bool is_core_scalar_tag(std::string_view tag) {
        for (std::string_view name : {"int", "float", "bool", "null"}) {
            if (tag == "tag:yaml.org,2002:" + std::string(name)) {
                return true;
            }
        }
        return false;
    }
    static Style style_of(yaml_scalar_style_t style) {
        switch (style) {
            case YAML_SINGLE_QUOTED_SCALAR_STYLE:
            case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
                return Style::quoted;
            case YAML_LITERAL_SCALAR_STYLE:
            case YAML_FOLDED_SCALAR_STYLE:
                return Style::block;
            default:
                return Style::plain;
        }
    }

    void drop_event() {
        if (have_event_) {
            yaml_event_delete(&event_);
            have_event_ = false;
        }
    }

    yaml_parser_t parser_{};
    yaml_event_t event_{};
    bool have_event_ = false;
    int source_;
    Limits limits_;
    size_t nodes_ = 0;
    size_t bytes_ = 0;
    std::map<std::string, Node> anchors_;
    Parsed parsed_;
};

}  // namespace

Parsed parse(std::string_view text, int source, const Limits& limits) {
    if (text.size() > limits.bytes) {
        Parsed parsed;
        parsed.problem = {{source, 1, 1},
                          "the file is larger than " + std::to_string(limits.bytes >> 20) + " MiB",
                          "split it with 'include'"};
        return parsed;
    }
    if (text.starts_with("\xEF\xBB\xBF")) {
        text.remove_prefix(3);
    }
    return Builder(text, source, limits).build();
}

const Entry* Node::find_entry(std::string_view key) const {
    for (const Entry& entry : entries) {
        if (entry.key == key) {
            return &entry;
        }
    }
    return nullptr;
}

const Node* Node::find(std::string_view key) const {
    const Entry* entry = find_entry(key);
    return entry == nullptr ? nullptr : &entry->value;
}

Node* Node::find(std::string_view key) {
    return const_cast<Node*>(static_cast<const Node*>(this)->find(key));
}

std::string_view describe(Type type) {
    switch (type) {
        case Type::null:
            return "nothing";
        case Type::boolean:
            return "a boolean";
        case Type::integer:
            return "a whole number";
        case Type::real:
            return "a number";
        case Type::text:
            return "text";
        case Type::sequence:
            return "a list";
        case Type::mapping:
            return "a mapping";
    }
    return "";
}

}  // namespace belay::yaml
