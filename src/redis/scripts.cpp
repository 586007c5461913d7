#include "redis/scripts.h"

#include <string>

namespace belay::redis {
namespace {

// Shared by those that touch counters. `marker`, `who`, `now`, `second` are set by each.
constexpr const char* kCommon = R"(
local time = redis.call('TIME')
local second = tonumber(time[1])
local now = second * 1000 + math.floor(tonumber(time[2]) / 1000)

local function raise(key, field, by) if by ~= '0' then redis.call('HINCRBY', key, field, by) end end
local function lower(key, field, by)
  if by ~= '0' then redis.call('HINCRBY', key, field, '-' .. by) end
end
-- Never '-0', which no counter takes.
local function whole(n) if n == 0 then return '0' end return string.format('%.0f', n) end

-- Holds whose lease is over give back what they held.
local function purge(money, holds)
  local dead = redis.call('ZRANGEBYSCORE', holds, '-inf', now, 'LIMIT', 0, 64)
  for _, member in ipairs(dead) do
    redis.call('ZREM', holds, member)
    local bound, premium = string.match(member, ':(%d+):(%d+)$')
    if money and bound then
      lower(money, 'r', bound)
      lower(money, 'q', premium)
    end
  end
end

-- The whole spend is no less than that. False when it was more already. One that has not heard of an
-- administrator's change has nothing to add.
local function at_least(key, spent, premium, generation)
  local v = redis.call('HMGET', key, 'b', 'a', 'P', 'p', 'g')
  if tonumber(generation) < tonumber(v[5]) then return false end
  local more = tonumber(spent) - tonumber(v[1]) - tonumber(v[2] or '0')
  if more > 0 then raise(key, 'b', whole(more)) end
  local premium_more = tonumber(premium) - tonumber(v[3]) - tonumber(v[4] or '0')
  if premium_more > 0 then raise(key, 'P', whole(premium_more)) end
  return more > 0 or premium_more > 0
end

-- True when the budget window is known in this store, and this instance has told it what it knew.
-- seeded: 0 = nothing is brought, 1 = what an older store has said, 2 = what this one has, or the ledger.
local function ready(key, holds, marker, who, seeded, spent, premium, generation)
  local known = redis.call('HMGET', key, 'm', 'i:' .. who)
  if known[1] == marker and known[2] then return true end
  if seeded == '0' then return false end
  if known[1] == marker and seeded == '2' then
    at_least(key, spent, premium, generation)
    redis.call('HSET', key, 'i:' .. who, '1')
    return true
  end
  if known[1] ~= marker then
    -- What an older store left behind may be too little, never too much.
    local old = redis.call('HMGET', key, 'b', 'a', 'P', 'p', 'g')
    redis.call('DEL', key)
    redis.call('HSET', key, 'm', marker, 'b', old[1] or '0', 'P', old[3] or '0', 'g', old[5] or generation)
    raise(key, 'b', old[2] or '0')
    raise(key, 'P', old[4] or '0')
    for _, member in ipairs(redis.call('ZRANGE', holds, 0, -1)) do
      local bound, reserved = string.match(member, ':(%d+):(%d+)$')
      if bound then
        raise(key, 'r', bound)
        raise(key, 'q', reserved)
      end
    end
  end
  local base = redis.call('HMGET', key, 'b', 'P', 'g')
  -- One that has not heard of an administrator's change has nothing to add.
  if tonumber(generation) >= tonumber(base[3]) then
    if tonumber(spent) > tonumber(base[1]) then redis.call('HSET', key, 'b', spent) end
    if tonumber(premium) > tonumber(base[2]) then redis.call('HSET', key, 'P', premium) end
  end
  redis.call('HSET', key, 'i:' .. who, '1')
  return true
end

-- Into one bucket of the last 61 seconds.
local function count(key, at, requests, tokens)
  local slot = whole(at % 61)
  local bucket = redis.call('HGET', key, slot)
  local n, t = 0, 0
  if bucket then
    local s, old_n, old_t = string.match(bucket, '^(%d+):(%d+):(%d+)$')
    if tonumber(s) == at then n, t = tonumber(old_n), tonumber(old_t) end
  end
  if requests < -n then requests = -n end
  if tokens < -t then tokens = -t end
  redis.call('HSET', key, slot, whole(at) .. ':' .. whole(n + requests) .. ':' .. whole(t + tokens))
  raise(key, 'n', whole(requests))
  raise(key, 't', whole(tokens))
end

-- Moves the window of requests and tokens to this second.
local function advance(key)
  local known = redis.call('HMGET', key, 'h', 'n', 't')
  local head, n, t = tonumber(known[1] or '0'), tonumber(known[2] or '0'), tonumber(known[3] or '0')
  if second <= head then return end
  if second - head >= 61 then
    redis.call('HSET', key, 'h', whole(second), 'n', '0', 't', '0')
    return
  end
  for at = head + 1, second do
    local bucket = redis.call('HGET', key, whole(at % 61))
    if bucket then
      local s, old_n, old_t = string.match(bucket, '^(%d+):(%d+):(%d+)$')
      if tonumber(s) == at - 61 then n, t = n - tonumber(old_n), t - tonumber(old_t) end
    end
  end
  redis.call('HSET', key, 'h', whole(second), 'n', whole(n), 't', whole(t))
end

-- Milliseconds until `need` more may fit below `limit`.
local function wait(key, what, used, need, limit)
  local over = used + need - limit
  for at = second - 60, second do
    local bucket = redis.call('HGET', key, whole(at % 61))
    if bucket then
      local s, n, t = string.match(bucket, '^(%d+):(%d+):(%d+)$')
      if tonumber(s) == at then
        over = over - tonumber(what == 'requests' and n or t)
        if over <= 0 then return (at + 61) * 1000 - now end
      end
    end
  end
  return 61000
end
)";

// KEYS: store. ARGV: run id of the server, a value for a store that begins.
// Answers {the store's value}: another one after each start of the server.
constexpr const char* kStore = R"(
local known = redis.call('GET', KEYS[1])
local run = known and string.match(known, '^(.*)|')
if not known or run ~= ARGV[1] then
  known = ARGV[1] .. '|' .. ARGV[2]
  redis.call('SET', KEYS[1], known)
end
return {known}
)";

// KEYS: store, then two for each row (counters and holds; the second is not used by rates).
// ARGV: store, instance, term, id of the hold, lease in ms, then 10 for each row:
//   'b' most equal bound premium_most premium seeded spent premium generation
//   'r' rpm tpm need tokens seeded "age:requests:tokens;..." - - -
//   's' most - - - - - - - -                              (no limit: '-1')
// Answers {'store'} when the store is another, {'unknown'} when a seed is wanted, else
// {'granted' or the limit's name, row, second, then 7 numbers for each row}.
constexpr const char* kTake = R"(
local marker, who, term, id, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
if redis.call('GET', KEYS[1]) ~= marker then return {'store'} end
local rows = (#KEYS - 1) / 2
local function arg(row, i) return ARGV[5 + (row - 1) * 10 + i] end

for row = 1, rows do
  local key, holds = KEYS[row * 2], KEYS[row * 2 + 1]
  if arg(row, 1) == 'b' then
    if not ready(key, holds, marker, who, arg(row, 7), arg(row, 8), arg(row, 9), arg(row, 10)) then
      return {'unknown'}
    end
    purge(key, holds)
  elseif arg(row, 1) == 'r' then
    advance(key)
    if arg(row, 6) == '1' and redis.call('HSETNX', key, 'i:' .. who .. '.' .. term, '1') == 1 then
      for age, n, t in string.gmatch(arg(row, 7), '(%d+):(%d+):(%d+);') do
        if tonumber(age) < 61 then count(key, second - tonumber(age), tonumber(n), tonumber(t)) end
      end
    end
  else
    purge(nil, holds)
  end
end

local refused, why, delay = 0, 'granted', 0
for row = 1, rows do
  local key, holds = KEYS[row * 2], KEYS[row * 2 + 1]
  local kind = arg(row, 1)
  if kind == 'b' then
    -- The same hold twice, after an answer that was lost: it is there already.
    local member = id .. ':' .. arg(row, 4) .. ':' .. arg(row, 6)
    if not redis.call('ZSCORE', holds, member) then
      local v = redis.call('HMGET', key, 'b', 'a', 'r', 'P', 'p', 'q')
      local most, bound = tonumber(arg(row, 2)), tonumber(arg(row, 4))
      local used = tonumber(v[1]) + tonumber(v[2] or '0') + tonumber(v[3] or '0')
      if most >= 0 then
        local equal = arg(row, 3) == '1'
        local fits = used <= most
        if bound > 0 or equal then fits = used + bound <= most and not (equal and used >= most) end
        if not fits then refused, why = row, 'budget' break end
      end
      local premium_most, premium = tonumber(arg(row, 5)), tonumber(arg(row, 6))
      local premium_used = tonumber(v[4]) + tonumber(v[5] or '0') + tonumber(v[6] or '0')
      if premium_most >= 0 and premium > 0 and premium_used + premium > premium_most then
        refused, why = row, 'premium' break
      end
    end
  elseif kind == 'r' then
    local v = redis.call('HMGET', key, 'n', 't')
    local n, t = tonumber(v[1] or '0'), tonumber(v[2] or '0')
    local rpm, tpm, need = tonumber(arg(row, 2)), tonumber(arg(row, 3)), tonumber(arg(row, 4))
    if rpm >= 0 and n + 1 > rpm then
      refused, why, delay = row, 'requests', wait(key, 'requests', n, 1, rpm) break
    end
    if tpm >= 0 and (tpm == 0 or t > tpm - need) then
      refused, why, delay = row, 'tokens', wait(key, 'tokens', t, need, tpm) break
    end
  elseif not redis.call('ZSCORE', holds, id) then
    if redis.call('ZCARD', holds) + 1 > tonumber(arg(row, 2)) then
      refused, why, delay = row, 'max_parallel_requests', 1000 break
    end
  end
end

local out = {why, refused, second}
for row = 1, rows do
  local key, holds = KEYS[row * 2], KEYS[row * 2 + 1]
  local kind = arg(row, 1)
  if kind == 'b' then
    if refused == 0 then
      local member = id .. ':' .. arg(row, 4) .. ':' .. arg(row, 6)
      if redis.call('ZADD', holds, now + lease, member) == 1 then
        raise(key, 'r', arg(row, 4))
        raise(key, 'q', arg(row, 6))
      end
      redis.call('PEXPIRE', holds, lease * 2)
    end
    redis.call('PEXPIRE', key, 3456000000)
    local v = redis.call('HMGET', key, 'b', 'a', 'r', 'P', 'p', 'q', 'g')
    for i = 1, 7 do out[#out + 1] = v[i] or '0' end
  elseif kind == 'r' then
    if refused == 0 then count(key, second, 1, tonumber(arg(row, 5))) end
    redis.call('PEXPIRE', key, 130000)
    local v = redis.call('HMGET', key, 'n', 't')
    local late = refused == row and delay or 0
    for _, x in ipairs({v[1] or '0', v[2] or '0', whole(late), '0', '0', '0', '0'}) do out[#out + 1] = x end
  else
    if refused == 0 then
      redis.call('ZADD', holds, now + lease, id)
      redis.call('PEXPIRE', holds, lease * 2)
    end
    for _, x in ipairs({whole(redis.call('ZCARD', holds)), '0', '0', '0', '0', '0', '0'}) do out[#out + 1] = x end
  end
end
return out
)";

// KEYS: store, changed, "done" of the hold, then two for each row.
// ARGV: store, instance, id of the hold, taken ('1' or '0'), second it was counted in,
//   cost, tokens, premium, then 7 for each row:
//   'b' bound premium seeded spent premium generation
//   'r' tokens that were counted - - - - -
//   's' - - - - - -
// Answers {'store'}, {'unknown'} or {'done'}.
constexpr const char* kSettle = R"(
local marker, who, id, taken, at = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local cost, tokens, premium = ARGV[6], tonumber(ARGV[7]), ARGV[8]
if redis.call('GET', KEYS[1]) ~= marker then return {'store'} end
local rows = (#KEYS - 3) / 2
local function arg(row, i) return ARGV[8 + (row - 1) * 7 + i] end
if redis.call('EXISTS', KEYS[3]) == 1 then return {'done'} end

for row = 1, rows do
  local key, holds = KEYS[row * 2 + 2], KEYS[row * 2 + 3]
  if arg(row, 1) == 'b' and
     not ready(key, holds, marker, who, arg(row, 4), arg(row, 5), arg(row, 6), arg(row, 7)) then
    return {'unknown'}
  end
end
redis.call('SET', KEYS[3], '1', 'PX', 600000)
for row = 1, rows do
  local key, holds = KEYS[row * 2 + 2], KEYS[row * 2 + 3]
  local kind = arg(row, 1)
  if kind == 'b' then
    if redis.call('ZREM', holds, id .. ':' .. arg(row, 2) .. ':' .. arg(row, 3)) == 1 then
      lower(key, 'r', arg(row, 2))
      lower(key, 'q', arg(row, 3))
    end
    raise(key, 'a', cost)
    raise(key, 'p', premium)
    if cost ~= '0' or premium ~= '0' then redis.call('ZADD', KEYS[2], now, key) end
    redis.call('PEXPIRE', key, 3456000000)
  elseif kind == 'r' then
    if taken == '1' and second - at < 61 and redis.call('EXISTS', key) == 1 then
      advance(key)
      count(key, at, 0, tokens - tonumber(arg(row, 2)))
    end
  else
    redis.call('ZREM', holds, id)
  end
end
return {'done'}
)";

// KEYS: holds. ARGV: lease in ms, then the member of each. Those that have ended stay so.
constexpr const char* kRenew = R"(
for i, holds in ipairs(KEYS) do
  redis.call('ZADD', holds, 'XX', now + tonumber(ARGV[1]), ARGV[1 + i])
  redis.call('PEXPIRE', holds, tonumber(ARGV[1]) * 2)
end
return {'done'}
)";

// KEYS: store, changed, a budget window. ARGV: store, instance, spent.
// Answers {generation}, or {'store'}.
constexpr const char* kSet = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'store'} end
local key = KEYS[3]
local g = redis.call('HINCRBY', key, 'g', 1)
redis.call('HSET', key, 'm', ARGV[1], 'b', ARGV[3], 'a', '0', 'P', '0', 'p', '0', 'i:' .. ARGV[2], '1')
redis.call('PEXPIRE', key, 3456000000)
redis.call('ZADD', KEYS[2], now, key)
return {g}
)";

// KEYS: store, changed, budget windows. ARGV: store, then spent, premium and generation of each.
constexpr const char* kRaise = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'store'} end
for i = 3, #KEYS do
  local at = 2 + (i - 3) * 3
  if redis.call('HGET', KEYS[i], 'm') == ARGV[1] and
     at_least(KEYS[i], ARGV[at], ARGV[at + 1], ARGV[at + 2]) then
    redis.call('ZADD', KEYS[2], now, KEYS[i])
  end
end
return {'done'}
)";

// KEYS: store, instances, changed, cool. ARGV: store, instance, ms it counts as alive, ms since
//   when changes are wanted, number of the last cooldown that is known, most changes.
// Answers {'store'} or {now, alive, {cooldown, its value, ...}, {key, b, a, r, P, p, q, g, ...}}.
constexpr const char* kTick = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'store'} end
redis.call('ZADD', KEYS[2], now, ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[2], 60000)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3600000)
local cool = {}
local all = redis.call('HGETALL', KEYS[4])
for i = 1, #all, 2 do
  local until_ms, seq = string.match(all[i + 1], '^(%d+)|(%d+)|')
  if tonumber(until_ms) + 60000 < now then
    redis.call('HDEL', KEYS[4], all[i])
  elseif tonumber(seq) > tonumber(ARGV[5]) then
    cool[#cool + 1] = all[i]
    cool[#cool + 1] = all[i + 1]
  end
end
local changed = {}
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], ARGV[4], '+inf', 'LIMIT', 0, ARGV[6])) do
  local v = redis.call('HMGET', key, 'm', 'b', 'a', 'r', 'P', 'p', 'q', 'g')
  if v[1] == ARGV[1] then
    changed[#changed + 1] = key
    for i = 2, 8 do changed[#changed + 1] = v[i] or '0' end
  end
end
return {whole(now), redis.call('ZCARD', KEYS[2]), cool, changed}
)";

// KEYS: cool, seq, channel of news. ARGV: instance, deployment, ms it still rests (0: lifted),
//   cause, the fields that name it.
// "until|seq|instance|cause|fields"; the news is told at once.
constexpr const char* kCool = R"(
local seq = redis.call('INCR', KEYS[2])
local rest = tonumber(ARGV[3])
local value = whole(rest > 0 and now + rest or now) .. '|' .. seq .. '|' .. ARGV[1] .. '|' ..
  (rest > 0 and ARGV[4] or 'lifted') .. '|' .. ARGV[5]
redis.call('HSET', KEYS[1], ARGV[2], value)
redis.call('PUBLISH', KEYS[3], 'cooldown ' .. ARGV[1])
return {seq}
)";

std::string with_common(const char* text) { return std::string(kCommon) + text; }

}  // namespace

const Script& store_script() {
    static const Script script{std::string(kStore)};
    return script;
}

const Script& take_script() {
    static const Script script(with_common(kTake));
    return script;
}

const Script& settle_script() {
    static const Script script(with_common(kSettle));
    return script;
}

const Script& renew_script() {
    static const Script script(with_common(kRenew));
    return script;
}

const Script& set_script() {
    static const Script script(with_common(kSet));
    return script;
}

const Script& raise_script() {
    static const Script script(with_common(kRaise));
    return script;
}

const Script& tick_script() {
    static const Script script(with_common(kTick));
    return script;
}

const Script& cool_script() {
    static const Script script(with_common(kCool));
    return script;
}

}  // namespace belay::redis
