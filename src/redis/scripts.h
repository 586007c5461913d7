#pragma once
// The Lua scripts behind the shared meters and what else instances tell each other. Each decides in
// one step on the server, by the server's clock. Keys begin with one namespace in braces, so that a
// cluster keeps them on one node:
//
//   {ns}:store            which store this is: a new value when counters may have been lost
//   {ns}:b:<name>         a budget window: b, a = spent before and since it was seeded in this
//                         store; r = reserved; P, p, q = the same for premium requests;
//                         g = how often an administrator set it; m = store; i:<instance> =
//                         who has told what it knew (rates: i:<instance.term>)
//   {ns}:h:<name>         who holds how much of it: member "id:bound:premium", score = end of lease
//   {ns}:r:<name>         requests and tokens: h, n, t = newest second and sums; 0..60 = buckets
//                         "second:requests:tokens"
//   {ns}:s:<name>         who holds a slot
//   {ns}:d:<id>           a settlement that was counted, so that none counts twice
//   {ns}:changed          budget windows by the time of their last change
//   {ns}:instances        who is alive
//   {ns}:cool, {ns}:seq   cooldowns by deployment, and the number of their last change
#include "redis/script.h"

namespace belay::redis {

// What each expects is written at its text. Numbers travel as decimal text.
[[nodiscard]] const Script& store_script();
[[nodiscard]] const Script& take_script();
[[nodiscard]] const Script& settle_script();
[[nodiscard]] const Script& renew_script();
[[nodiscard]] const Script& set_script();
[[nodiscard]] const Script& raise_script();
[[nodiscard]] const Script& tick_script();
[[nodiscard]] const Script& cool_script();

}  // namespace belay::redis
