#pragma once
// The parameters of a chat request on their way to an upstream: what the deployment adds,
// overrides, always drops, and what the model does not take. LiteLLM's meaning of drop_params,
// additional_drop_params and allowed_openai_params: a parameter the model does not take is dropped
// where that is allowed, else the request is refused by name; one whose value changes nothing
// (temperature 1, n 1, null) is dropped without a word. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocols/chat_edit.h"
#include "providers/provider.h"

namespace belay::providers {

class Params {
  public:
    // `job` must outlive this. Starts with what the deployment and the fallback entry say.
    Params(const Job& job, protocols::ChatEdits& edits, std::vector<std::string>& warnings);

    // The value text the request would carry: the client's, an override's or the default's; "" =
    // none.
    [[nodiscard]] std::string_view raw(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const { return !raw(name).empty(); }

    // The model does not take it: decided in settle(), unless it is in allowed_openai_params.
    void refuse(std::string_view name);
    // Dropped whatever the settings; told in the trace when `why` is not empty.
    void drop(std::string_view name, std::string_view why = {});
    // Sent by another name (the other name's own value wins).
    void rename(std::string_view from, std::string_view to);
    // Sent with another value.
    void replace(std::string_view name, std::string raw, std::string_view why = {});
    // Sent with this value when the request says nothing.
    void default_to(std::string_view name, std::string raw);

    // Drops what was refused, or fails naming all of it.
    [[nodiscard]] Result<void> settle();

  private:
    void add_defaults();
    void add_overrides();
    [[nodiscard]] bool drops_unsupported() const;
    [[nodiscard]] bool is_allowed(std::string_view name) const;
    [[nodiscard]] bool is_dropped(std::string_view name) const;
    void forget(std::string_view name);

    // Which names may be there at all: most questions are about parameters that nobody sent, and
    // are answered from here.
    void note_name(std::string_view name) { maybe_ |= bit_of(name); }
    [[nodiscard]] static uint64_t bit_of(std::string_view name) {
        return name.empty()
                   ? 0
                   : uint64_t{1} << ((name.size() * 5 + static_cast<unsigned char>(name[0]) +
                                      static_cast<unsigned char>(name.back()) * 3) &
                                     63);
    }

    uint64_t maybe_ = 0;
    const Job& job_;
    protocols::ChatEdits& edits_;
    std::vector<std::string>& warnings_;
    std::vector<std::string> refused_;
};

// The members of a chat request that become the member at `path` of another API's
// ("reasoning.effort" of /responses is reasoning_effort). Empty: none does.
[[nodiscard]] std::vector<std::string> chat_members_of(std::string_view path);

}  // namespace belay::providers
