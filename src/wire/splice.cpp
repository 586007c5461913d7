// Splice: edits are kept as they come; what removals and additions do to commas is decided once, in
// apply(), when all of them are known.
#include <algorithm>

#include "wire/scan.h"

namespace belay::json {

void Splice::replace(Span span, std::string_view with) {
    edits_.push_back({span.begin, span.end, std::string(with)});
}

void Splice::insert(uint32_t at, std::string_view what) {
    edits_.push_back({at, at, std::string(what)});
}

void Splice::remove(Span container, const Item& item) {
    removals_.push_back({container, item.whole.begin, {}});
}

void Splice::add_member(Span object, std::string_view key, std::string_view raw) {
    if (type_at(text_, object) != Type::object) {
        return;
    }
    std::string text;
    text.reserve(key.size() + raw.size() + 4);
    write_string(text, key);
    text.append(1, ':').append(raw);
    additions_.push_back({object, 0, std::move(text)});
}

// Turns removals and additions into plain edits, container by container. Both lists are sorted, so
// that a text with very many edited containers costs no more than its sorting.
void Splice::settle_all() {
    const auto by_place = [](const Structural& a, const Structural& b) {
        if (a.container.begin != b.container.begin) {
            return a.container.begin < b.container.begin;
        }
        return a.at < b.at;
    };
    std::stable_sort(removals_.begin(), removals_.end(), by_place);
    std::stable_sort(additions_.begin(), additions_.end(), by_place);
    auto removal = removals_.cbegin();
    auto addition = additions_.cbegin();
    while (removal != removals_.cend() || addition != additions_.cend()) {
        const bool has_removal = removal != removals_.cend();
        const bool has_addition = addition != additions_.cend();
        const Span container =
            has_removal && (!has_addition || removal->container.begin <= addition->container.begin)
                ? removal->container
                : addition->container;
        const auto elsewhere = [&container](const Structural& s) {
            return s.container.begin != container.begin;
        };
        const auto removals_end = std::find_if(removal, removals_.cend(), elsewhere);
        const auto additions_end = std::find_if(addition, additions_.cend(), elsewhere);
        const bool kept_any = settle_removals(container, removal, removals_end);
        std::string added;
        for (; addition != additions_end; ++addition) {
            added += added.empty() ? "" : ",";
            added += addition->text;
        }
        if (!added.empty()) {
            added += kept_any ? "," : "";
            edits_.push_back({container.begin + 1, container.begin + 1, std::move(added)});
        }
        removal = removals_end;
    }
    removals_.clear();
    additions_.clear();
}

// A removed item goes with the comma behind it, the removed items at the end with the comma before
// them. True when an item of the container stays.
bool Splice::settle_removals(Span container, StructuralIterator removal, StructuralIterator end) {
    const bool none = removal == end;
    bool kept_any = false;
    uint32_t kept_end = 0;  // behind the last item that stays
    Span run;               // removed items since then
    Item item;
    for (Walker walker(text_, container); walker.next(item);) {
        while (removal != end && removal->at < item.whole.begin) {
            ++removal;  // the same item again, or none of this container
        }
        if (removal != end && removal->at == item.whole.begin) {
            run = {run.empty() ? item.whole.begin : run.begin, item.whole.end};
            continue;
        }
        if (!run.empty()) {
            edits_.push_back({run.begin, item.whole.begin, {}});
            run = {};
        }
        kept_any = true;
        kept_end = item.whole.end;
        if (none) {
            break;  // additions only ask whether the object is empty
        }
    }
    if (!run.empty()) {
        edits_.push_back({kept_any ? kept_end : run.begin, run.end, {}});
    }
    return kept_any;
}

void Splice::apply(std::string& out) {
    if (!removals_.empty() || !additions_.empty()) {
        settle_all();
    }
    // At one place insertions come first, in the order they were made.
    std::stable_sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) {
        return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    size_t added = 0;
    for (const Edit& edit : edits_) {
        added += edit.with.size();
    }
    out.reserve(out.size() + text_.size() + added);
    size_t at = 0;
    for (const Edit& edit : edits_) {
        // An edit inside what another one has taken away has nothing left to change.
        if (edit.begin < at || edit.end < edit.begin || edit.end > text_.size()) {
            continue;
        }
        out.append(text_.substr(at, edit.begin - at)).append(edit.with);
        at = edit.end;
    }
    out.append(text_.substr(at));
}

std::string Splice::apply() {
    std::string out;
    apply(out);
    return out;
}

}  // namespace belay::json
