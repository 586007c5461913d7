// /audit: who changed what, when litellm_settings.store_audit_logs says so. management.cpp writes
// the rows, in the same transaction as the change.
#include <array>

#include "admin/call.h"
#include "admin/families.h"
#include "admin/log_rows.h"

namespace belay::admin {
namespace {

constexpr Field kRow[] = {
    {"id", Type::text, "its id"},
    {"updated_at", Type::time, "when"},
    {"changed_by", Type::text, "who"},
    {"changed_by_api_key", Type::text, "with which key"},
    {"action", Type::text, "what"},
    {"table_name", Type::text, "in which table"},
    {"object_id", Type::text, "to which"},
    {"before_value", Type::map, "as it was"},
    {"updated_values", Type::map, "as it is"},
};

Value row(const Value& document) {
    Value out = Value::object();
    for (const Field& field : kRow) {
        out.set(field.name, document[field.name]);
    }
    return out;
}

Result<Value> list(Call& call) {
    int64_t from = 0;
    int64_t until = INT64_MAX;
    if (!call.asked("start_date").empty()) {
        from = parse_moment(call.asked("start_date")).value_or(0);
    }
    if (!call.asked("end_date").empty()) {
        until = parse_end(call.asked("end_date")).value_or(INT64_MAX);
    }
    std::vector<Value> found;
    for (const auto& entity : call.services.directory.list(EntityKind::audit)) {
        bool fits = true;
        for (const std::string_view name :
             {"changed_by", "changed_by_api_key", "action", "table_name", "object_id"}) {
            const std::string wanted = call.asked(name);
            fits = fits && (wanted.empty() || entity->doc[name].as_string() == wanted);
        }
        const int64_t at = unix_millis(parse_utc(entity->doc["updated_at"].as_string()));
        if (fits && at >= from && at < until) {
            found.push_back(row(entity->doc));
        }
    }
    sort_rows(found, call.asked("sort_by"), call.asked("sort_order") != "asc");
    const Page page = page_of(found.size(), call.asked_int("page"), call.asked_int("page_size"));
    Value rows = Value::array();
    for (size_t i = page.from; i < page.until; ++i) {
        rows.push(std::move(found[i]));
    }
    return Value::object({{"audit_logs", std::move(rows)},
                          {"total", Value(page.total)},
                          {"page", Value(page.page)},
                          {"page_size", Value(page.size)},
                          {"total_pages", Value(page.pages)}});
}

Result<Value> one(Call& call) {
    const Value document = call.doc(EntityKind::audit, call.in_path("id"));
    if (document.is_null()) {
        return not_found(in_error("Audit log not found"), "id");
    }
    return row(document);
}

constexpr Field kQuery[] = {
    {"page", Type::integer, "from 1", "1", false, "", 1, kPagesMost},
    {"page_size", Type::integer, "rows on a page", "10", false, "", 1, 100},
    {"changed_by", Type::text, "who"},
    {"changed_by_api_key", Type::text, "with which key"},
    {"action", Type::text, "what", "", false, "created|updated|deleted|blocked|regenerated"},
    {"table_name", Type::text, "in which table"},
    {"object_id", Type::text, "to which"},
    {"start_date", Type::text, "YYYY-MM-DD"},
    {"end_date", Type::text, "YYYY-MM-DD, included"},
    {"sort_by", Type::text, "order", "\"updated_at\"", false,
     "updated_at|changed_by|action|table_name|object_id"},
    {"sort_order", Type::text, "direction", "\"desc\"", false, "asc|desc"},
};

}  // namespace

std::span<const Route> audit_routes() {
    static const std::array made = {
        Route{"GET",
              "/audit",
              "",
              "list_audit",
              "audit",
              "Changes by page",
              kAdminsRead,
              list,
              Effect::reads,
              {},
              kQuery},
        Route{"GET", "/audit/{id}", "", "audit_info", "audit", "One change", kAdminsRead, one},
    };
    return made;
}

}  // namespace belay::admin
