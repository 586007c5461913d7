#pragma once
// The habits of Copilot's model families that differ from the OpenAI shape, each a switch. Defaults
// are what was seen on the wire for the family; a scenario or a fault flips them.
#include <string_view>
#include <vector>

#include "sim/catalogue.h"

namespace belay::sim {

struct Quirks {
    // shape of a plain chat reply
    bool no_object = false;      // `object` is missing
    bool no_index = false;       // `index` of choices is missing
    bool split_choices = false;  // text and each tool call come as a choice of their own
    bool human_model = false;    // `model` is "Claude Sonnet 4.5"
    bool no_usage = false;       // usage is missing
    bool empty_choices = false;  // choices: []
    // streams
    bool prompt_filter = false;     // a first chunk with prompt_filter_results and no choices
    bool content_filter = false;    // content_filter_* members on choices
    bool role_null = false;         // delta.role null after the first
    bool role_repeated = false;     // delta.role on every text delta
    bool empty_ids = false;         // id, model, object are "" or absent on chunks
    bool usage_separate = false;    // usage in a last chunk with choices: []
    bool usage_null = false;        // usage: null on the chunks before
    bool usage_zero = false;        // all-zero usage on every chunk but the last
    bool whole_tool_calls = false;  // a tool call is one chunk
    bool reuse_tool_index = false;  // parallel calls share index 0
    bool name_first = false;        // the first fragment has no arguments member
    bool stop_with_tools = false;   // finish_reason "stop" although tools were called
    bool no_finish = false;         // no finish_reason at all
    bool no_done = false;           // no [DONE]
    bool late_cot_id = false;       // a chunk with cot_id after the finish
    bool null_choices = false;      // a chunk with choices: null and copilot_references
    bool reasoning = false;         // reasoning_text and reasoning_opaque unasked
    // content filters
    bool prompt_filtered = false;       // the prompt trips the filter: content_filter and no text
    bool output_filtered = false;       // the answer is cut off by the filter
    bool whitespace_arguments = false;  // tool arguments run into endless white space
    // responses and messages
    bool stable_item_ids = false;  // item ids do not change (they do, upstream)
    bool no_terminal = false;      // the stream ends without its terminal event
    bool summary_late = false;     // the reasoning summary only inside output_item.done
};

[[nodiscard]] Quirks default_quirks(Family family);
// nullptr when there is no such quirk.
[[nodiscard]] bool Quirks::*find_quirk(std::string_view name);
[[nodiscard]] std::vector<std::string_view> quirk_names();

}  // namespace belay::sim
