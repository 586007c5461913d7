// POST /embeddings: floats without `object` and `model`, an array of strings or nothing.
#include <cmath>

#include "sim/capi.h"

namespace belay::sim {
namespace {

// A unit vector that depends on the text alone: equal texts are equal, others nearly orthogonal.
json::Value vector_of(std::string_view text, int64_t dimensions) {
    Random random(keyed_hash(17, text));
    std::vector<double> values(static_cast<size_t>(dimensions));
    double norm = 0;
    for (double& v : values) {
        v = random.unit() - 0.5;
        norm += v * v;
    }
    norm = std::sqrt(norm);
    json::Value out = json::Value::array();
    out.items().reserve(values.size());
    for (const double v : values) {
        out.push(std::round(v / norm * 1e7) / 1e7);
    }
    return out;
}

}  // namespace

Reply serve_embeddings(Call& call) {
    const json::Value& input = call.body["input"];
    if (!call.body.is_object() || !input.is_array() || input.size() == 0) {
        return named_error(call, "bad_request_text");
    }
    if (auto refusal = check_model(call, "/embeddings")) {
        return std::move(*refusal);
    }
    if (call.credential == Credential::github) {
        // Raw tokens of applications that are not listed for embeddings.
        const auto value = call.request.header("authorization");
        const auto token = call.state.github_tokens.find(value.substr(value.find(' ') + 1));
        if (token != call.state.github_tokens.end() &&
            token->second.client_id.starts_with("Ov23")) {
            Reply r = named_error(call, "forbidden");
            r.headers.push_back({"x-endpoint-client-forbidden", "tpm:Embed:" + call.model_id});
            return r;
        }
    }
    if (static_cast<int64_t>(input.size()) > call.model->inputs_max) {
        return capi_error(call, 400, "invalid_request_body",
                          "too many inputs: " + std::to_string(input.size()) + " exceeds " +
                              std::to_string(call.model->inputs_max));
    }
    const int64_t dimensions = call.body["dimensions"].as_int().value_or(call.model->dimensions);
    if (dimensions < 1 || dimensions > call.model->dimensions) {
        return capi_error(call, 400, "invalid_request_body", "Invalid value for 'dimensions'.");
    }
    Usage usage;
    json::Value data = json::Value::array();
    for (size_t i = 0; i < input.size(); ++i) {
        if (!input[i].is_string()) {
            return named_error(call, "bad_request_text");
        }
        usage.input += count_tokens(input[i].as_string());
        data.push(
            json::Value::object({{"object", "embedding"},
                                 {"index", static_cast<int64_t>(i)},
                                 {"embedding", vector_of(input[i].as_string(), dimensions)}}));
    }
    count_usage(call, usage, 0);
    return json_reply(200, json::Value::object(
                               {{"data", std::move(data)},
                                {"usage", json::Value::object({{"prompt_tokens", usage.input},
                                                               {"total_tokens", usage.input}})}}));
}

}  // namespace belay::sim
