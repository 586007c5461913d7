#pragma once
// What the routes of accounts and the connect page share.
#include <string>
#include <string_view>

#include "admin/call.h"
#include "governance/keys.h"

namespace belay::admin {

// The account that this user owns, connected or not yet; "" when there is none.
[[nodiscard]] std::string account_of_user(const Call& call, std::string_view user);
// Room for a sign-in; the account is there after the commit. Its id.
[[nodiscard]] std::string make_account(Call& call, const std::string& user,
                                       const std::string& alias);

}  // namespace belay::admin
