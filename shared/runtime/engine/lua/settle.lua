-- Applies commits, each whole or refused by itself. No rule lives here: versions and balances are
-- compared, nothing else. All of a commit is checked before its first write, because a script is
-- isolated but not rolled back.
--
-- KEYS: generation, outbox, last sequence, timers, then per commit its documents, its accounts and the
-- sorted set of each of its entries.
-- ARGV: expected generation, channel, ttl of balances in s, what documents' keys begin with, number of
-- commits, then per commit: the numbers of its documents, charges, timers, entries and lines, then
--   the timer that fired ('' = none), what it was due at in ms
--   how many lines the outbox may hold with its own
--   d documents: version, body ('' = expect only), ttl in s (0 = none)
--   c charges:   amount, ceiling
--   t timers:    member, due in ms ('' = clear)
--   e entries:   key of the document, score ('' = leaves), ttl in s (0 = none)
--   l lines
-- A document is stored as 10 digits of version, then its JSON.
-- Returns per commit {0, sequence} | {1, key} | {2, account, balance} | {3} generation | {4} full
--   | {5, key} of another type, or no number.
local KEYS_FIXED = 4
local CHUNK = 4000 -- below the limit of Lua's unpack (about 8,000)
local expected_generation, channel = ARGV[1], ARGV[2]
local balance_ttl, prefix, commits = ARGV[3], ARGV[4], tonumber(ARGV[5])
local k, a = KEYS_FIXED, 5
local results = {}
local generation = redis.call('GET', KEYS[1])
local waiting = redis.call('LLEN', KEYS[2])
local stored_sequence = redis.call('GET', KEYS[3]) or '0'
if not string.find(stored_sequence, '^%d+$') then
  return redis.error_reply('WRONGTYPE ' .. KEYS[3])
end
local sequence = tonumber(stored_sequence)
redis.call('ZCARD', KEYS[4]) -- raises for a key of another type, before anything is written
local appended = false

local function call_in_chunks(command, key, args)
  for start = 1, #args, CHUNK do
    redis.call(command, key, unpack(args, start, math.min(start + CHUNK - 1, #args)))
  end
end

-- The values of keys, and the first key that holds something else than a value.
local function read_in_chunks(from, count)
  local values, wrong = {}, nil
  for start = 1, count, CHUNK do
    local stop = math.min(start + CHUNK - 1, count)
    local part = redis.call('MGET', unpack(KEYS, from + start, from + stop))
    for i = 1, stop - start + 1 do
      values[start + i - 1] = part[i]
      -- MGET says nil of a key of another type too, and writing would replace it; GET does not.
      local key = KEYS[from + start + i - 1]
      if not part[i] and type(redis.pcall('GET', key)) == 'table' then wrong = wrong or key end
    end
  end
  return values, wrong
end

-- Puts a document into a sorted set. Documents are forgotten by themselves and their entries are not:
-- two others that happen to stand there are looked at, so that a set never holds many of those.
local function enter(set, document, score, ttl)
  local is_new = redis.call('EXISTS', set) == 0
  redis.call('ZADD', set, score, document)
  if ttl == '0' then
    redis.call('PERSIST', set)
  elseif is_new then
    redis.call('EXPIRE', set, ttl)
  else
    redis.call('EXPIRE', set, ttl, 'GT')
  end
  for _, other in ipairs(redis.call('ZRANDMEMBER', set, 2)) do
    if redis.call('EXISTS', prefix .. other) == 0 then redis.call('ZREM', set, other) end
  end
end

for n = 1, commits do
  local documents, charges = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local timers, entries, lines = tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5])
  local fired, fired_due, outbox_max = ARGV[a + 6], tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8])
  local at_documents = a + 8
  local at_charges = at_documents + 3 * documents
  local at_timers = at_charges + 2 * charges
  local at_entries = at_timers + 2 * timers
  local at_lines = at_entries + 3 * entries
  a = at_lines + lines
  local first_document, first_account = k, k + documents
  local first_set = first_account + charges
  k = first_set + entries
  local refused

  if generation ~= expected_generation then
    refused = {3}
  elseif lines > 0 and waiting + lines > outbox_max then
    refused = {4}
  end
  if not refused then
    local stored, wrong = read_in_chunks(first_document, documents)
    if wrong then refused = {5, wrong} end
    for i = 1, refused and 0 or documents do
      local version = stored[i] and tonumber(string.sub(stored[i], 1, 10)) or 0
      if version ~= tonumber(ARGV[at_documents + 3 * i - 2]) then
        refused = {1, KEYS[first_document + i]}
        break
      end
    end
  end
  for i = 1, refused and 0 or entries do
    local kind = redis.call('TYPE', KEYS[first_set + i]).ok
    if kind ~= 'zset' and kind ~= 'none' then refused = {5, KEYS[first_set + i]} end
  end
  local balances = {}
  if not refused and charges > 0 then
    local stored, wrong = read_in_chunks(first_account, charges)
    for i = 1, charges do
      -- Computing with anything else would end the script between two commits.
      if not string.find(stored[i] or '0', '^%-?%d+$') then wrong = KEYS[first_account + i] end
    end
    if wrong then refused = {5, wrong} end
    for i = 1, refused and 0 or charges do
      local key = KEYS[first_account + i]
      local before = balances[key] or tonumber(stored[i] or '0')
      local after = before + tonumber(ARGV[at_charges + 2 * i - 1])
      if after < 0 or after > tonumber(ARGV[at_charges + 2 * i]) then
        refused = {2, key, string.format('%d', before)}
        break
      end
      balances[key] = after
    end
  end

  if refused then
    results[n] = refused
  else
    for i = 1, documents do
      local body = ARGV[at_documents + 3 * i - 1]
      if body ~= '' then
        local value = string.format('%010d', tonumber(ARGV[at_documents + 3 * i - 2]) + 1) .. body
        local ttl = ARGV[at_documents + 3 * i]
        if ttl == '0' then
          redis.call('SET', KEYS[first_document + i], value)
        else
          redis.call('SET', KEYS[first_document + i], value, 'EX', ttl)
        end
      end
    end
    for key, balance in pairs(balances) do
      redis.call('SET', key, string.format('%d', balance), 'EX', balance_ttl)
    end
    for i = 1, entries do
      local at, set = at_entries + 3 * i - 2, KEYS[first_set + i]
      if ARGV[at + 1] == '' then
        redis.call('ZREM', set, ARGV[at])
      else
        enter(set, ARGV[at], ARGV[at + 1], ARGV[at + 2])
      end
    end
    local set, cleared = {}, {}
    for i = 1, timers do
      local due = ARGV[at_timers + 2 * i]
      if due == '' then
        cleared[#cleared + 1] = ARGV[at_timers + 2 * i - 1]
      else
        set[#set + 1] = due
        set[#set + 1] = ARGV[at_timers + 2 * i - 1]
      end
    end
    if fired ~= '' then
      local due = redis.call('ZSCORE', KEYS[4], fired)
      -- One that fires twice was perhaps set again the first time.
      if due and tonumber(due) <= fired_due then cleared[#cleared + 1] = fired end
    end
    call_in_chunks('ZREM', KEYS[4], cleared)
    call_in_chunks('ZADD', KEYS[4], set)
    if lines > 0 then
      for start = 1, lines, CHUNK do
        local stop = math.min(start + CHUNK - 1, lines)
        redis.call('RPUSH', KEYS[2], unpack(ARGV, at_lines + start, at_lines + stop))
      end
      waiting = waiting + lines
      sequence = sequence + lines
      appended = true
    end
    results[n] = {0, sequence}
  end
end
if appended then
  redis.call('SET', KEYS[3], string.format('%d', sequence))
  redis.call('PUBLISH', channel, 'pending')
end
return results
