#pragma once
// DATABASE_URL as people have it: PostgreSQL's URL (libpq's documentation, "Connection URIs") with
// the parameters that LiteLLM's database client adds to it (Prisma's documentation, "PostgreSQL
// connector", "Arguments"). Read here and not by libpq, because its errors quote what they stumble
// over, which may be a piece of the password.
//
//   postgres[ql]://[user[:password]@][host[:port][,...]][/database][?name=value[&...]]
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace belay::store {

struct PostgresUrl {
    // libpq's names and values, the password apart.
    std::vector<std::pair<std::string, std::string>> settings;
    Secret password;
    std::string schema;  // Prisma's "schema": where our tables are; "" = the server's search path

    [[nodiscard]] std::string describe() const;  // "db.example:5432/belay": for logs
};

// Errors name the part at fault, never its content.
[[nodiscard]] Result<PostgresUrl> parse_postgres_url(std::string_view text);

}  // namespace belay::store
