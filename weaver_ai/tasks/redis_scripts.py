"""What happens to a task in Redis, each step atomic.

The keys, all below one prefix: `task:<id>` is the record (a hash whose `request` is JSON), `events:<id>` its events
(a stream whose ids are `1-0`, `2-0`, ...), `steps:<id>` the results of its finished steps, `queue:<priority>` the ids
that wait (lists), `running` the ids that run, by the end of their lease (a sorted set), `failed` the dead letters (a
sorted set, by time), `key:<key>` an idempotency key, `workers` the workers' heartbeats (a hash). Times are Redis' own,
so that the clocks of the machines don't matter. Only commands of Redis 6.2 are used.

An attempt is fenced by its number: what it writes after its task was given to another is dropped.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ACCEPT", "BEAT", "CANCEL", "CLAIM", "EMIT", "FINISH", "KEEP_STEP", "RELEASE", "RETRY", "SWEEP"]

_PRELUDE: Final = """
local prefix = ARGV[1]
local max_events = ARGV[2]
local function key(kind, id) return prefix .. ':' .. kind .. ':' .. id end
local function us()
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end
local now = string.format('%.0f', us())
local function tell(id, kind, data)
  local number = redis.call('HINCRBY', key('task', id), 'events', 1)
  local events = key('events', id)
  redis.call('XADD', events, 'MAXLEN', max_events, number .. '-0', 'type', kind, 'time', now, 'data', data)
  -- Redis takes 4 KiB for a stream's first entries; read back, the stream takes what they need. An ACL may forbid it.
  if number == 1 then redis.pcall('RESTORE', events, 0, redis.call('DUMP', events), 'REPLACE') end
  redis.call('PUBLISH', key('news', id), number)
end
local function waiting()
  return redis.call('LLEN', key('queue', 'high')) + redis.call('LLEN', key('queue', 'normal'))
    + redis.call('LLEN', key('queue', 'low'))
end
local function expire(id, ttl)
  for _, kind in ipairs({'task', 'events', 'steps'}) do redis.call('PEXPIRE', key(kind, id), ttl) end
end
local function close(id, state, outcome, told, ttls)
  redis.call('ZREM', prefix .. ':running', id)
  redis.call('HSET', key('task', id), 'state', state, 'finished', now, 'outcome', outcome)
  tell(id, 'task.' .. state, told)
  local keyed = redis.call('HGET', key('task', id), 'keyed') == '1'
  expire(id, keyed and ttls[2] or ttls[1])
  if state == 'failed' then
    redis.call('ZADD', prefix .. ':failed', now, id)
    redis.call('ZREMRANGEBYRANK', prefix .. ':failed', 0, -10001)
  end
end
local function put_back(id, why)
  redis.call('ZREM', prefix .. ':running', id)
  redis.call('HSET', key('task', id), 'state', 'queued')
  redis.call('LPUSH', key('queue', redis.call('HGET', key('task', id), 'priority')), id)
  tell(id, 'task.requeued', why)
end
local function holds(id, attempt)
  local held = redis.call('HMGET', key('task', id), 'state', 'attempts')
  return held[1] == 'running' and held[2] == attempt
end
"""

# id, priority, request, fingerprint, idempotency key, its seconds, queue size, told
# -> {what came of it, its time, the known task's id, or the tasks that wait and their mean time}
ACCEPT: Final = (
    _PRELUDE
    + """
local id, priority, request, fingerprint = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local name, seconds, size, told = ARGV[7], ARGV[8], tonumber(ARGV[9]), ARGV[10]
local before = redis.call('HGET', key('task', id), 'created')
if before then return {'accepted', before} end
if name ~= '' then
  local known = redis.call('GET', key('key', name))
  if known then
    if string.sub(known, 1, 64) ~= fingerprint then return {'conflict', ''} end
    return {'known', string.sub(known, 66)}
  end
end
local queued = waiting()
if queued >= size then
  return {'full', tostring(queued) .. ' ' .. (redis.call('GET', prefix .. ':mean') or '1000000')}
end
redis.call('HSET', key('task', id), 'request', request, 'state', 'queued', 'priority', priority, 'created', now,
  'attempts', '0', 'lost', '0', 'keyed', name ~= '' and '1' or '0')
redis.call('RPUSH', key('queue', priority), id)
tell(id, 'task.queued', told)
if name ~= '' then redis.call('SET', key('key', name), fingerprint .. ' ' .. id, 'EX', seconds) end
return {'accepted', now}
"""
)

# worker, ticket, lease in ms -> {id, the record's fields} or false
CLAIM: Final = (
    _PRELUDE
    + """
local worker, ticket, lease = ARGV[3], ARGV[4], tonumber(ARGV[5])
for _, priority in ipairs({'high', 'normal', 'low'}) do
  local id = redis.call('LPOP', key('queue', priority))
  while id do
    if redis.call('HGET', key('task', id), 'state') == 'queued' then
      local attempt = redis.call('HINCRBY', key('task', id), 'attempts', 1)
      redis.call('HSET', key('task', id), 'state', 'running', 'started', now, 'worker', worker, 'ticket', ticket)
      redis.call('ZADD', prefix .. ':running', string.format('%.0f', us() / 1000 + lease), id)
      tell(id, 'task.started', '{"attempt":' .. attempt .. '}')
      return {id, redis.call('HGETALL', key('task', id))}
    end
    id = redis.call('LPOP', key('queue', priority))
  end
end
return false
"""
)

# id, attempt, state, outcome, told, ttl in ms, ttl of one with a key in ms -> whether it counted
FINISH: Final = (
    _PRELUDE
    + """
local id, attempt = ARGV[3], ARGV[4]
if not holds(id, attempt) then return 0 end
local took = us() - tonumber(redis.call('HGET', key('task', id), 'started'))
local mean = tonumber(redis.call('GET', prefix .. ':mean') or took)
redis.call('SET', prefix .. ':mean', string.format('%.0f', mean + 0.2 * (took - mean)))
close(id, ARGV[5], ARGV[6], ARGV[7], {ARGV[8], ARGV[9]})
return 1
"""
)

# id, attempt, why -> whether it counted; 2 when the task is to be cancelled instead
RELEASE: Final = (
    _PRELUDE
    + """
if not holds(ARGV[3], ARGV[4]) then return 0 end
if redis.call('HEXISTS', key('task', ARGV[3]), 'stop') == 1 then return 2 end
put_back(ARGV[3], ARGV[5])
return 1
"""
)

# id, attempt, type, data -> whether it counted
EMIT: Final = (
    _PRELUDE
    + """
if not holds(ARGV[3], ARGV[4]) then return 0 end
tell(ARGV[3], ARGV[5], ARGV[6])
return 1
"""
)

# id, attempt, step, value -> whether it counted
KEEP_STEP: Final = (
    _PRELUDE
    + """
if not holds(ARGV[3], ARGV[4]) then return 0 end
redis.call('HSET', key('steps', ARGV[3]), ARGV[5], ARGV[6])
return 1
"""
)

# id, outcome, told, ttl in ms, ttl of one with a key in ms -> {its state before, its ticket}, or false without one
CANCEL: Final = (
    _PRELUDE
    + """
local id = ARGV[3]
local held = redis.call('HMGET', key('task', id), 'state', 'priority', 'ticket')
if not held[1] then return false end
if held[1] == 'queued' then
  redis.call('LREM', key('queue', held[2]), 1, id)
  close(id, 'cancelled', ARGV[4], ARGV[5], {ARGV[6], ARGV[7]})
elseif held[1] == 'running' then
  redis.call('HSET', key('task', id), 'stop', '1')
end
return {held[1], held[3] or ''}
"""
)

# worker, its heartbeat, lease in ms, then id and attempt of each task that it runs
# -> for each `ok`, `stop` when it is to be cancelled, `lost` when it is another's by now
BEAT: Final = (
    _PRELUDE
    + """
redis.call('HSET', prefix .. ':workers', ARGV[3], now .. ' ' .. ARGV[4])
local told = {}
for at = 6, #ARGV, 2 do
  local id, attempt = ARGV[at], ARGV[at + 1]
  if not holds(id, attempt) then
    told[#told + 1] = 'lost'
  else
    redis.call('ZADD', prefix .. ':running', string.format('%.0f', us() / 1000 + tonumber(ARGV[5])), id)
    told[#told + 1] = redis.call('HEXISTS', key('task', id), 'stop') == 1 and 'stop' or 'ok'
  end
end
return told
"""
)

# whether to take back what silent workers hold, how often a task may lose its worker, outcome and told of one that did
# so too often, outcome and told of a cancelled one, ttl in ms, ttl of one with a key in ms, ms until a worker's
# heartbeat is forgotten, ttl in s -> {tasks that wait, tasks that run, tasks that were taken back}
SWEEP: Final = (
    _PRELUDE
    + """
local ttls = {ARGV[9], ARGV[10]}
local taken = 0
if ARGV[3] == '1' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. ':running', '-inf', string.format('%.0f', us() / 1000),
      'LIMIT', 0, 200)) do
    taken = taken + 1
    if redis.call('EXISTS', key('task', id)) == 0 then
      redis.call('ZREM', prefix .. ':running', id)
    elseif redis.call('HEXISTS', key('task', id), 'stop') == 1 then
      close(id, 'cancelled', ARGV[7], ARGV[8], ttls)
    elseif redis.call('HINCRBY', key('task', id), 'lost', 1) >= tonumber(ARGV[4]) then
      close(id, 'failed', ARGV[5], ARGV[6], ttls)
    else
      put_back(id, '{"reason":"its worker was lost"}')
    end
  end
end
local beats = redis.call('HGETALL', prefix .. ':workers')
for at = 1, #beats, 2 do
  local seen = tonumber(string.match(beats[at + 1], '^%d+'))
  if us() - seen > tonumber(ARGV[11]) * 1000 then redis.call('HDEL', prefix .. ':workers', beats[at]) end
end
redis.call('ZREMRANGEBYSCORE', prefix .. ':failed', '-inf', string.format('%.0f', us() - tonumber(ARGV[12]) * 1000000))
return {waiting(), redis.call('ZCARD', prefix .. ':running'), taken}
"""
)

# id, told, whether to forget its steps -> its state before, or false without one
RETRY: Final = (
    _PRELUDE
    + """
local id = ARGV[3]
local held = redis.call('HMGET', key('task', id), 'state', 'priority')
if held[1] ~= 'failed' then return held[1] end
for _, kind in ipairs({'task', 'events', 'steps'}) do redis.call('PERSIST', key(kind, id)) end
if ARGV[5] == '1' then redis.call('DEL', key('steps', id)) end
redis.call('HDEL', key('task', id), 'outcome', 'finished', 'stop')
redis.call('HSET', key('task', id), 'state', 'queued', 'lost', '0')
redis.call('ZREM', prefix .. ':failed', id)
redis.call('RPUSH', key('queue', held[2]), id)
tell(id, 'task.queued', ARGV[4])
return 'failed'
"""
)
