#include "sim/quirks.h"

namespace belay::sim {
namespace {

struct Row {
    std::string_view name;
    bool Quirks::*member;
};

constexpr Row kRows[] = {
    {"no_object", &Quirks::no_object},
    {"no_index", &Quirks::no_index},
    {"split_choices", &Quirks::split_choices},
    {"human_model", &Quirks::human_model},
    {"no_usage", &Quirks::no_usage},
    {"empty_choices", &Quirks::empty_choices},
    {"prompt_filter", &Quirks::prompt_filter},
    {"content_filter", &Quirks::content_filter},
    {"role_null", &Quirks::role_null},
    {"role_repeated", &Quirks::role_repeated},
    {"empty_ids", &Quirks::empty_ids},
    {"usage_separate", &Quirks::usage_separate},
    {"usage_null", &Quirks::usage_null},
    {"usage_zero", &Quirks::usage_zero},
    {"whole_tool_calls", &Quirks::whole_tool_calls},
    {"reuse_tool_index", &Quirks::reuse_tool_index},
    {"name_first", &Quirks::name_first},
    {"stop_with_tools", &Quirks::stop_with_tools},
    {"no_finish", &Quirks::no_finish},
    {"no_done", &Quirks::no_done},
    {"late_cot_id", &Quirks::late_cot_id},
    {"null_choices", &Quirks::null_choices},
    {"reasoning", &Quirks::reasoning},
    {"prompt_filtered", &Quirks::prompt_filtered},
    {"output_filtered", &Quirks::output_filtered},
    {"whitespace_arguments", &Quirks::whitespace_arguments},
    {"stable_item_ids", &Quirks::stable_item_ids},
    {"no_terminal", &Quirks::no_terminal},
    {"summary_late", &Quirks::summary_late},
};

}  // namespace

Quirks default_quirks(Family family) {
    Quirks q;
    switch (family) {
        case Family::gpt:
            q.prompt_filter = q.content_filter = q.role_null = true;
            break;
        case Family::claude:
            q.no_object = q.no_index = q.split_choices = q.human_model = true;
            q.role_repeated = q.reuse_tool_index = q.name_first = true;
            break;
        case Family::gemini:
            q.no_object = q.role_repeated = q.usage_zero = q.whole_tool_calls = true;
            q.reasoning = true;
            break;
    }
    return q;
}

bool Quirks::*find_quirk(std::string_view name) {
    for (const Row& row : kRows) {
        if (row.name == name) {
            return row.member;
        }
    }
    return nullptr;
}

std::vector<std::string_view> quirk_names() {
    std::vector<std::string_view> names;
    for (const Row& row : kRows) {
        names.push_back(row.name);
    }
    return names;
}

}  // namespace belay::sim
