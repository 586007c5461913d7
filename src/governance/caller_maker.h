#pragma once
// Makes Callers and Scopes of entity documents, by LiteLLM's rules of who counts for whom. For
// directory.cpp, which keeps the documents and what is made here. Pure.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "governance/caller.h"
#include "governance/directory.h"

namespace belay::governance {

// The documents a maker looks at.
class Documents {
  public:
    virtual ~Documents() = default;
    // The document, or null.
    [[nodiscard]] virtual const json::Value& find_doc(EntityKind kind,
                                                      std::string_view id) const = 0;
    // The Copilot account that this user has connected; "" when there is none.
    [[nodiscard]] virtual std::string_view account_of(std::string_view user) const = 0;
    // What an access group holds; null when there is no such group.
    [[nodiscard]] virtual const std::vector<std::string>* find_group(
        std::string_view name) const = 0;
};

struct Maker {
    const Documents& documents;
    const Directory::Defaults& defaults;
    uint64_t generation = 0;

    // Null when there is no such key (user).
    [[nodiscard]] std::shared_ptr<Caller> make_caller(std::string_view key_hash) const;
    [[nodiscard]] std::shared_ptr<Caller> make_caller_of_user(std::string_view user) const;
    [[nodiscard]] std::shared_ptr<Caller> make_master() const;
    // Null when nothing is known of it and no default budget holds.
    [[nodiscard]] std::shared_ptr<Scope> make_customer(std::string_view id) const;
    [[nodiscard]] std::shared_ptr<Scope> make_tag(std::string_view name) const;
};

}  // namespace belay::governance
