#pragma once
// The ledger for other programs: CSV (RFC 4180, one header line) and JSON lines. Columns bear the
// names of LiteLLM's spend log (LiteLLM docs, spend logs); money is exact decimal US$. A CSV field
// that a spreadsheet would take for a formula begins with an apostrophe instead.
#include <string>

#include "ledger/ledger.h"

namespace belay::ledger {

// The header line, ending in CR LF.
void write_csv_head(std::string& out);
void write_csv_row(std::string& out, const Entry& entry);
// One line of JSON (log_row.h), ending in LF.
void write_json_line(std::string& out, const Entry& entry);

}  // namespace belay::ledger
