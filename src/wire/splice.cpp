// Splice: edits are kept as they come; what removals and additions do to commas is decided once, in
// apply(), when all of them are known.
#include <algorithm>

#include "wire/bytes.h"
#include "wire/scan.h"

namespace belay::json {

void Splice::replace(Span span, std::string_view with) {
    edits_.push_back({span.begin, span.end, std::string(with)});
}

void Splice::insert(uint32_t at, std::string_view what) {
    edits_.push_back({at, at, std::string(what)});
}

void Splice::remove(Span container, const Item& item) {
    removals_.push_back({container, item.whole.begin});
}

void Splice::add_member(Span object, std::string_view key, std::string_view raw) {
    if (type_at(text_, object) != Type::object) {
        return;
    }
    std::string text;
    text.reserve(key.size() + raw.size() + 4);
    write_string(text, key);
    text.append(1, ':').append(raw);
    additions_.push_back({object, std::move(text)});
}

// Turns the removals and additions of one container into plain edits: a removed item goes with the
// comma behind it, the removed items at the end with the comma before them.
void Splice::settle(Span container) {
    const auto removed = [&](const Item& item) {
        return std::any_of(removals_.begin(), removals_.end(), [&](const Removal& r) {
            return r.container == container && r.begin == item.whole.begin;
        });
    };
    const bool only_additions =
        std::none_of(removals_.begin(), removals_.end(),
                     [&](const Removal& r) { return r.container == container; });
    bool kept_any = false;
    uint32_t kept_end = 0;  // behind the last item that stays
    Span run;               // removed items since then
    Item item;
    for (Walker walker(text_, container); walker.next(item);) {
        if (removed(item)) {
            run = {run.empty() ? item.whole.begin : run.begin, item.whole.end};
            continue;
        }
        if (!run.empty()) {
            edits_.push_back({run.begin, item.whole.begin, {}});
            run = {};
        }
        kept_any = true;
        kept_end = item.whole.end;
        if (only_additions) {
            break;  // they only ask whether the object is empty
        }
    }
    if (!run.empty()) {
        edits_.push_back({kept_any ? kept_end : run.begin, run.end, {}});
    }
    std::string added;
    for (const Addition& addition : additions_) {
        if (addition.object == container) {
            added += added.empty() ? "" : ",";
            added += addition.text;
        }
    }
    if (!added.empty()) {
        added += kept_any ? "," : "";
        edits_.push_back({container.begin + 1, container.begin + 1, std::move(added)});
    }
}

void Splice::settle_all() {
    std::vector<Span> containers;
    const auto note = [&containers](Span container) {
        if (std::find(containers.begin(), containers.end(), container) == containers.end()) {
            containers.push_back(container);
        }
    };
    for (const Removal& removal : removals_) {
        note(removal.container);
    }
    for (const Addition& addition : additions_) {
        note(addition.object);
    }
    for (const Span container : containers) {
        settle(container);
    }
    removals_.clear();
    additions_.clear();
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
