#include "providers/prepared_cache.h"

#include <algorithm>
#include <iterator>

namespace belay::providers {
namespace {

constexpr size_t kValueMax = 64;    // bytes of one parameter's value
constexpr uint32_t kFewTools = 64;  // every upstream takes as many

// The members of a request whose value some provider looks at. All others go through prepare()
// unseen; providers/*.cpp name these and no more.
constexpr std::string_view kLookedAt[] = {
    "n",
    "top_p",
    "logprobs",
    "thinking",
    "reasoning",
    "dimensions",
    "logit_bias",
    "max_tokens",
    "drop_params",
    "temperature",
    "top_logprobs",
    "presence_penalty",
    "reasoning_effort",
    "frequency_penalty",
    "allowed_openai_params",
    "max_completion_tokens",
    "additional_drop_params",
};

// Length and first letter tell most names apart from these.
constexpr uint64_t bit_of(std::string_view name) {
    return uint64_t{1} << ((name.size() * 7 + static_cast<unsigned char>(name[0])) % 64);
}

constexpr uint64_t kBits = [] {
    uint64_t bits = 0;
    for (const std::string_view name : kLookedAt) {
        bits |= bit_of(name);
    }
    return bits;
}();

bool is_looked_at(std::string_view name) {
    if (name.empty() || (kBits & bit_of(name)) == 0) {
        return false;
    }
    return std::find(std::begin(kLookedAt), std::end(kLookedAt), name) != std::end(kLookedAt);
}

bool is_plain(const Adjustments& adjust) {
    return !adjust.avoid && adjust.strip.empty() && adjust.rename.empty() && !adjust.force_vision &&
           !adjust.no_api_version;
}

uint32_t shape_of(const Job& job) {
    return static_cast<uint32_t>(job.client) | (job.facts.stream ? 16U : 0U) |
           (job.facts.has_images ? 32U : 0U) | (job.facts.tool_count > 0 ? 64U : 0U) |
           (job.drop_params ? 128U : 0U);
}

}  // namespace

bool PreparedCache::describe(const Job& job) {
    if (job.overrides != nullptr || job.repeat || job.output_cap != 0 ||
        job.deployment.defaults.size() != 0 || !job.inbound_beta.empty() ||
        job.facts.tool_count > kFewTools || !is_plain(job.adjust)) {
        return false;
    }
    shape_ = shape_of(job);
    values_.clear();
    for (const auto& member : job.facts.members) {
        if (member.item.key_escaped) {
            return false;
        }
        if (!is_looked_at(member.name)) {
            continue;
        }
        const std::string_view value = member.item.value.of(job.body);
        if (value.size() > kValueMax) {
            return false;
        }
        values_.append(member.name).append(1, '=').append(value).append(1, '\n');
    }
    return true;
}

Result<std::shared_ptr<const Prepared>> PreparedCache::prepare(Provider& provider, const Job& job,
                                                               const Held& held) {
    const bool known_kind = describe(job);
    const uint64_t lessons = provider.lessons();
    if (known_kind) {
        for (const Kept& kept : kept_) {
            if (kept.held.deployment == held.deployment && kept.shape == shape_ &&
                kept.model == job.model && kept.held.credential == held.credential &&
                kept.lessons == lessons && kept.upstream_model == job.upstream_model &&
                kept.values == values_) {
                return kept.prepared;
            }
        }
    }
    auto prepared = std::make_shared<const Prepared>(TRY(provider.prepare(job)));
    if (!known_kind || !prepared->lasting || !prepared->warnings.empty()) {
        return std::shared_ptr<const Prepared>(std::move(prepared));
    }
    Kept kept{held, job.model, lessons, shape_, std::string(job.upstream_model), values_, prepared};
    if (kept_.size() < kMax) {
        kept_.push_back(std::move(kept));
    } else {
        kept_[next_] = std::move(kept);
        next_ = (next_ + 1) % kMax;
    }
    return std::shared_ptr<const Prepared>(std::move(prepared));
}

}  // namespace belay::providers
