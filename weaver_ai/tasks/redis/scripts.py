"""What happens to a task in Redis, each step atomic; `prelude` has the keys and what the scripts share."""

from __future__ import annotations

from typing import Final

from weaver_ai.tasks.redis.prelude import FORGET_SECONDS, PRELUDE

__all__ = [
    "ACCEPT",
    "BEAT",
    "CANCEL",
    "CLAIM",
    "EMIT",
    "EXPIRE",
    "FINISH",
    "KEEP_STEP",
    "PASS_ON",
    "PUT_OFF",
    "RELEASE",
    "RETRY",
    "SURVEY",
    "SWEEP",
]

# id, priority, capability, request, fingerprint, idempotency key, its seconds, queue size, told, microseconds until it
# may start, microseconds until its deadline or ''
# -> {what came of it, some of the record's fields, groups that need a turn at its time}; {.., the known task's id};
# {.., the tasks that wait and their mean time}
ACCEPT: Final = (
    PRELUDE
    + """
local id, priority, capability, request, fingerprint = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local name, seconds, size, told, delay = ARGV[8], ARGV[9], tonumber(ARGV[10]), ARGV[11], tonumber(ARGV[12])
local function accepted()
  local fields = redis.call('HMGET', key('task', id), 'created', 'state', 'start', 'due', 'deadline')
  return {'accepted', fields, fields[2] == 'scheduled' and groups(capability) or {}}
end
if redis.call('EXISTS', key('task', id)) == 1 then return accepted() end
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
redis.call('HSET', key('task', id), 'request', request, 'priority', priority, 'capability', capability, 'created', now,
  'attempts', '0', 'lost', '0', 'keyed', name ~= '' and '1' or '0')
if ARGV[13] ~= '' then
  local deadline = whole(us() + tonumber(ARGV[13]))
  redis.call('HSET', key('task', id), 'deadline', deadline)
  redis.call('ZADD', prefix .. ':deadlines', deadline, id)
end
if delay > 0 then
  put_off(id, us() + delay)
  redis.call('HSET', key('task', id), 'ticket', id, 'start', whole(us() + delay))
  tell(id, 'task.scheduled', told)
else
  enter(id, true)
  tell(id, 'task.queued', told)
  summon(takers(id, capability), id)
end
if name ~= '' then redis.call('SET', key('key', name), fingerprint .. ' ' .. id, 'EX', seconds) end
return accepted()
"""
)

# the turn's message and ticket, what `take` takes -> {the record's fields, the time} or false
CLAIM: Final = (
    PRELUDE
    + """
local name = docket(ARGV[6])
if not taken(name .. ':stream', ARGV[12], ARGV[3], name .. ':runs:' .. ARGV[4]) then return given(5, ARGV[3]) end
return take(5, ARGV[3])
"""
)

# the turn's message and ticket, its group, who reads the group's turns
PASS_ON: Final = (
    PRELUDE
    + """
local name = docket(ARGV[5])
taken(name .. ':stream', ARGV[6], ARGV[3], name .. ':runs:' .. ARGV[4])
summon({ARGV[5]}, ARGV[4])
"""
)

# id, attempt, whether its capability has a limit, whether to go on, state, outcome, told, what `take` takes, what
# `tell_all` takes
# -> {whether it counted, nothing, what CLAIM gives}
FINISH: Final = (
    PRELUDE
    + """
local id, attempt = ARGV[3], ARGV[4]
local call = id .. '-' .. attempt
if not holds(id, attempt) then
  local stands = redis.call('HMGET', key('task', id), 'state', 'attempts', 'outcome')
  local mine = stands[1] == ARGV[7] and stands[2] == attempt and stands[3] == ARGV[8]
  return {mine and 1 or 0, {}, given(10, call)}
end
local held = redis.call('HMGET', key('task', id), 'started', 'capability')
local took = us() - tonumber(held[1])
local mean = tonumber(redis.call('GET', prefix .. ':mean') or took)
redis.call('SET', prefix .. ':mean', whole(mean + 0.2 * (took - mean)))
tell_all(id, after(10))
close(id, ARGV[7], ARGV[8], ARGV[9], {ARGV[15], ARGV[16]})
local next = ARGV[6] == '1' and go_on(10, call)
if ARGV[5] == '1' then share(id, held[2], 18) end
return {1, {}, next}
"""
)

# id, attempt, whether its capability has a limit, whether to go on, microseconds until the next attempt, spent, error,
# told, ticket, what `take` takes, what `tell_all` takes
# -> {whether it counted, 2 when the task is to be cancelled instead; groups that serve it; what CLAIM gives}
PUT_OFF: Final = (
    PRELUDE
    + """
local id, attempt = ARGV[3], ARGV[4]
local call = id .. '-' .. attempt
local held = redis.call('HMGET', key('task', id), 'state', 'capability', 'ticket')
if held[3] == ARGV[11] then return {1, held[1] == 'scheduled' and groups(held[2]) or {}, given(12, call)} end
if not holds(id, attempt) then return {0, {}, given(12, call)} end
if redis.call('HEXISTS', key('task', id), 'stop') == 1 then return {2, {}, false} end
free(id)
redis.call('HINCRBY', key('task', id), 'retried', 1)
redis.call('HSET', key('task', id), 'spent', ARGV[8], 'last_error', ARGV[9], 'ticket', ARGV[11])
put_off(id, us() + tonumber(ARGV[7]))
tell_all(id, after(12))
tell(id, 'task.retrying', ARGV[10])
local next = ARGV[6] == '1' and go_on(12, call)
if ARGV[5] == '1' then share(id, held[2], 20) end
return {1, groups(held[2]), next}
"""
)

# id, attempt, why, spent, what `tell_all` takes -> {whether it counted, 2 when the task is to be cancelled instead}
RELEASE: Final = (
    PRELUDE
    + """
if not holds(ARGV[3], ARGV[4]) then return {0} end
if redis.call('HEXISTS', key('task', ARGV[3]), 'stop') == 1 then return {2} end
tell_all(ARGV[3], 7)
redis.call('HSET', key('task', ARGV[3]), 'spent', ARGV[6])
put_back(ARGV[3], ARGV[5])
return {1}
"""
)

# id, attempt, what `tell_all` takes -> whether it counted
EMIT: Final = (
    PRELUDE
    + """
if not holds(ARGV[3], ARGV[4]) then return 0 end
tell_all(ARGV[3], 5)
return 1
"""
)

# id, attempt, step, value -> whether it counted
KEEP_STEP: Final = (
    PRELUDE
    + """
if not holds(ARGV[3], ARGV[4]) then return 0 end
redis.call('HSET', key('steps', ARGV[3]), ARGV[5], ARGV[6])
return 1
"""
)

# id, outcome, told, ttl in ms, ttl of one with a key in ms
# -> {its state before; of one that waited for its time the ticket, and the groups that have its turn}, or false
CANCEL: Final = (
    PRELUDE
    + """
local id = ARGV[3]
local held = redis.call('HMGET', key('task', id), 'state', 'capability', 'ticket', 'group')
if not held[1] then return false end
if held[1] == 'running' then
  redis.call('HSET', key('task', id), 'stop', '1')
  redis.call('PUBLISH', docket(held[4]) .. ':cancel:' .. id, id)
  return {held[1], '', {}}
end
if held[1] == 'queued' or held[1] == 'scheduled' then
  close(id, 'cancelled', ARGV[4], ARGV[5], {ARGV[6], ARGV[7]})
end
if held[1] ~= 'scheduled' then return {held[1], '', {}} end
return {held[1], held[3], groups(held[2])}
"""
)

# id, outcome, told, ttl in ms, ttl of one with a key in ms -> whether it was closed, for its deadline is over
EXPIRE: Final = (
    PRELUDE
    + """
local state = redis.call('HGET', key('task', ARGV[3]), 'state')
if (state ~= 'queued' and state ~= 'scheduled') or not overdue(ARGV[3]) then return 0 end
close(ARGV[3], 'failed', ARGV[4], ARGV[5], {ARGV[6], ARGV[7]})
return 1
"""
)

# worker, its heartbeat, lease in ms, its group, how many capabilities it serves and each, then id and attempt of each
# task that it runs -> for each `ok`, `stop` when it is to be cancelled, `lost` when it is another's by now
BEAT: Final = (
    PRELUDE
    + """
redis.call('HSET', prefix .. ':workers', ARGV[3], now .. ' ' .. ARGV[4])
redis.call('ZADD', prefix .. ':groups', now, ARGV[6])
local number = tonumber(ARGV[7])
for at = 8, 7 + number do
  redis.call('ZADD', key('serves', ARGV[at]), now, ARGV[6])
  redis.call('PEXPIRE', key('serves', ARGV[at]), FORGET * 2000)
end
local told = {}
for at = 8 + number, #ARGV, 2 do
  local id, attempt = ARGV[at], ARGV[at + 1]
  if not holds(id, attempt) then
    told[#told + 1] = 'lost'
  else
    redis.call('ZADD', prefix .. ':running', whole(us() / 1000 + tonumber(ARGV[5])), id)
    told[#told + 1] = redis.call('HEXISTS', key('task', id), 'stop') == 1 and 'stop' or 'ok'
  end
end
return told
"""
).replace("FORGET", str(FORGET_SECONDS))

# whether to take back what silent workers hold, how often a task may lose its worker, outcome and told of one that did
# so too often, of a cancelled one, and of one whose deadline is over, ttl in ms, ttl of one with a key in ms, ttl in s,
# what is served -> {how many tasks wait that may run here, groups that are no more}
SWEEP: Final = (
    PRELUDE
    + """
local ttls = {ARGV[11], ARGV[12]}
if ARGV[3] == '1' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. ':running', '-inf', whole(us() / 1000), 'LIMIT', 0, 200)) do
    if redis.call('EXISTS', key('task', id)) == 0 then
      redis.call('ZREM', prefix .. ':running', id)
    elseif redis.call('HEXISTS', key('task', id), 'stop') == 1 then
      close(id, 'cancelled', ARGV[7], ARGV[8], ttls)
    elseif overdue(id) then
      close(id, 'failed', ARGV[9], ARGV[10], ttls)
    elseif redis.call('HINCRBY', key('task', id), 'lost', 1) >= tonumber(ARGV[4]) then
      close(id, 'failed', ARGV[5], ARGV[6], ttls)
    else
      put_back(id, '{"reason":"its worker was lost"}')
    end
  end
end
promote(1000)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. ':deadlines', '-inf', now, 'LIMIT', 0, 1000)) do
  local state = redis.call('HGET', key('task', id), 'state')
  if state == 'queued' or state == 'scheduled' then
    close(id, 'failed', ARGV[9], ARGV[10], ttls)
  elseif state ~= 'running' then
    redis.call('ZREM', prefix .. ':deadlines', id)
  end
end
local beats = redis.call('HGETALL', prefix .. ':workers')
for at = 1, #beats, 2 do
  local seen = tonumber(string.match(beats[at + 1], '^%d+'))
  if us() - seen > FORGET * 1000000 then redis.call('HDEL', prefix .. ':workers', beats[at]) end
end
redis.call('ZREMRANGEBYSCORE', prefix .. ':failed', '-inf', whole(us() - tonumber(ARGV[13]) * 1000000))
local room, waits, ready = room(14), {}, 0
for _, priority in ipairs({'high', 'normal', 'low'}) do
  for _, capability in ipairs(redis.call('ZRANGE', key('heads', priority), 0, -1)) do
    waits[capability] = (waits[capability] or 0) + redis.call('ZCARD', line(priority, capability))
  end
end
for capability, number in pairs(waits) do ready = ready + math.min(number, room(capability)) end
local gone = redis.call('ZRANGEBYSCORE', prefix .. ':groups', '-inf', whole(us() - FORGET * 10000000))
for _, group in ipairs(gone) do redis.call('ZREM', prefix .. ':groups', group) end
return {ready, gone}
"""
).replace("FORGET", str(FORGET_SECONDS))

# id, told, whether to forget its steps, spent -> its state before, or false without one
RETRY: Final = (
    PRELUDE
    + """
local id = ARGV[3]
local held = redis.call('HMGET', key('task', id), 'state', 'capability')
if held[1] ~= 'failed' then return held[1] end
for _, kind in ipairs({'task', 'events', 'steps'}) do redis.call('PERSIST', key(kind, id)) end
if ARGV[5] == '1' then redis.call('DEL', key('steps', id)) end
redis.call('HDEL', key('task', id), 'outcome', 'finished', 'stop', 'deadline', 'retried', 'last_error')
redis.call('HSET', key('task', id), 'lost', '0', 'spent', ARGV[6])
redis.call('ZREM', prefix .. ':failed', id)
enter(id, true)
tell(id, 'task.queued', ARGV[4])
summon(takers(id, held[2]), id)
return held[1]
"""
)

# -> {the time, the workers' heartbeats, how many run, how many are scheduled, how many wait: priority, capability and
# number of each line}
SURVEY: Final = (
    PRELUDE
    + """
local lines = {}
for _, priority in ipairs({'high', 'normal', 'low'}) do
  for _, capability in ipairs(redis.call('ZRANGE', key('heads', priority), 0, -1)) do
    lines[#lines + 1] = priority
    lines[#lines + 1] = capability
    lines[#lines + 1] = redis.call('ZCARD', line(priority, capability))
  end
end
return {now, redis.call('HGETALL', prefix .. ':workers'), redis.call('ZCARD', prefix .. ':running'),
  redis.call('ZCARD', prefix .. ':scheduled'), lines}
"""
)
