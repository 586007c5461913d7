#include "gateway/bounds.h"

#include <algorithm>
#include <limits>

#include "ledger/price.h"
#include "routing/plan.h"
#include "routing/resolve.h"

namespace belay::gateway {
namespace {

constexpr double kForget = 0.995;            // of a high mark, per request
constexpr double kMargin = 1.05;             // on a prompt whose like was seen
constexpr int64_t kUnseenOutput = 1024;      // tokens, of an answer whose like was not seen
constexpr int64_t kFrame = 6;                // tokens around one message
constexpr int64_t kImage = 4096;             // tokens of one image
constexpr int64_t kWorthwhile = 16;          // tokens: answers this long are worth a wait for money
constexpr int64_t kOutputUnstated = 32'768;  // when nothing tells a model's limit

void raise(PricePerMillion& price, PricePerMillion to) {
    price.nanocredits = std::max(price.nanocredits, to.nanocredits);
}

void raise(Ceiling& ceiling, const chat::PriceCard& card) {
    for (const auto& input : {card.input, card.cache_read.value_or(card.input),
                              card.cache_write.value_or(card.input)}) {
        raise(ceiling.input, input);
    }
    raise(ceiling.output, card.output);
    if (card.long_context_above > 0) {
        for (const auto& input : {card.long_input, card.long_cache_read.value_or(card.long_input),
                                  card.long_cache_write.value_or(card.long_input)}) {
            raise(ceiling.input, input);
        }
        raise(ceiling.output, card.long_output);
    }
}

chat::PriceCard card_of(const accounts::ModelPrice& price) {
    chat::PriceCard card;
    card.input = price.base.input;
    card.output = price.base.output;
    card.cache_write = price.base.cache_write;
    card.long_context_above = price.long_context_from;
    card.long_input = price.long_context.input;
    card.long_output = price.long_context.output;
    card.long_cache_write = price.long_context.cache_write;
    return card;
}

void add_deployment(Ceiling& ceiling, const routing::Deployment& deployment,
                    const std::string& model, const accounts::Catalogue* catalogue,
                    const chat::PriceCard* assumed) {
    const bool copilot = deployment.provider == "github_copilot";
    const accounts::Model* listed =
        copilot && catalogue != nullptr ? catalogue->find(model) : nullptr;
    bool priced = true;
    if (deployment.price) {
        raise(ceiling, *deployment.price);
    } else if (listed != nullptr && listed->price) {
        raise(ceiling, card_of(*listed->price));
    } else if (const auto card =
                   ledger::find_price(deployment.provider, model, deployment.base_model)) {
        raise(ceiling, *card);
    } else if (assumed != nullptr) {
        raise(ceiling, *assumed);
    } else {
        priced = false;
    }
    ceiling.unknown |= !priced;
    // Only an operator's own 0 makes a model free.
    ceiling.free &= deployment.price && deployment.price->input.nanocredits == 0 &&
                    deployment.price->output.nanocredits == 0;
    int64_t most = deployment.capabilities.max_output_tokens.value_or(0);
    if (most <= 0 && listed != nullptr) {
        most = listed->limits.output;
    }
    if (most <= 0) {
        const auto facts = ledger::find_facts(deployment.provider, model, deployment.base_model);
        most = facts ? facts->max_output_tokens.value_or(0) : 0;
    }
    ceiling.max_output = std::max(ceiling.max_output, most > 0 ? most : kOutputUnstated);
    if (copilot) {
        ceiling.premium_milli =
            std::max(ceiling.premium_milli, listed != nullptr && listed->multiplier_milli
                                                ? *listed->multiplier_milli
                                                : ledger::find_premium_milli(model).value_or(0));
    }
}

Ceiling make_ceiling(const Snapshot& snapshot, const accounts::Catalogue* catalogue,
                     std::string_view model) {
    const routing::Table& table = *snapshot.table;
    Ceiling ceiling;
    ceiling.free = true;
    bool any = false;
    std::vector<std::string> names = routing::chain(table, model);
    names.insert(names.begin(), std::string(model));
    for (const auto& name : names) {
        const auto match = routing::resolve(table, name);
        if (!match) {
            continue;
        }
        for (const auto& deployment : match->deployments) {
            add_deployment(ceiling, *deployment, routing::upstream_model(*deployment, *match),
                           catalogue, snapshot.assumed_price ? &*snapshot.assumed_price : nullptr);
            any = true;
        }
        ceiling.asked_unknown |= ceiling.unknown && &name == &names.front();
    }
    ceiling.free &= any;
    return ceiling;
}

}  // namespace

bool is_priced(const routing::Deployment& deployment, const std::string& model,
               const accounts::Catalogue* catalogue) {
    Ceiling ceiling;
    add_deployment(ceiling, deployment, model, catalogue, nullptr);
    return !ceiling.unknown || !deployment.mock_response.empty();
}

const Ceiling& Bounds::of(const SnapshotPtr& snapshot, const accounts::CataloguePtr& catalogue,
                          std::string_view model) {
    if (snapshot_ != snapshot || kept_.size() >= kMax) {
        kept_.clear();
        snapshot_ = snapshot;
    }
    for (const Kept& kept : kept_) {
        if (kept.catalogue == catalogue && kept.model == model) {
            return kept.ceiling;
        }
    }
    kept_.push_back(
        {catalogue, std::string(model), make_ceiling(*snapshot, catalogue.get(), model)});
    return kept_.back().ceiling;
}

void Bounds::learn(std::string_view model, int64_t guess, int64_t prompt, int64_t output) {
    for (Kept& kept : kept_) {
        if (kept.model == model && guess > 0 && prompt > 0) {
            Ceiling& c = kept.ceiling;
            const double seen = static_cast<double>(prompt) / static_cast<double>(guess);
            c.stretch = std::max(seen, c.stretch * kForget);
            c.longest = std::max(static_cast<double>(output), c.longest * kForget);
        }
    }
}

int64_t text_tokens(const protocols::ChatFacts& facts) {
    return static_cast<int64_t>(facts.text_bytes / 2) + kFrame * facts.message_count +
           kImage * facts.image_count + kFrame;
}

int64_t prompt_bound(const Ceiling& ceiling, int64_t guess) {
    if (ceiling.stretch <= 0) {
        return guess;
    }
    return static_cast<int64_t>(static_cast<double>(guess) * ceiling.stretch * kMargin) + 1;
}

int64_t likely_output(const protocols::ChatFacts& facts, const Ceiling& ceiling) {
    const int64_t most = output_bound(facts, ceiling);
    const auto likely = ceiling.longest > 0 ? static_cast<int64_t>(ceiling.longest) : kUnseenOutput;
    return std::min(most, likely);
}

int64_t least_output(const Ceiling& ceiling) {
    return std::clamp<int64_t>(static_cast<int64_t>(ceiling.longest), 1, kWorthwhile);
}

int64_t output_bound(const protocols::ChatFacts& facts, const Ceiling& ceiling) {
    int64_t each = ceiling.max_output;
    if (facts.max_tokens && *facts.max_tokens > 0) {
        each = std::min(each, *facts.max_tokens);
    }
    return each * std::clamp<int64_t>(facts.n, 1, 128);
}

NanoCredits cost_bound(const Ceiling& ceiling, int64_t prompt, int64_t output) {
    return add(cost(prompt, ceiling.input), cost(output, ceiling.output));
}

int64_t output_for(const Ceiling& ceiling, NanoCredits amount, int64_t prompt) {
    const int64_t left = amount.value - cost(prompt, ceiling.input).value;
    if (left <= 0) {
        return 0;
    }
    if (ceiling.output.nanocredits <= 0) {
        return std::numeric_limits<int64_t>::max();
    }
    const auto tokens = static_cast<__int128>(left) * 1'000'000 / ceiling.output.nanocredits;
    return static_cast<int64_t>(std::min<__int128>(tokens, std::numeric_limits<int64_t>::max()));
}

}  // namespace belay::gateway
