-- What wrk sends: wrk ... -s perf/events.lua URL -- KIND KEY
-- single   one server-side event; the server mints its id
-- close    the same, each on a connection of its own
-- ids      the same with an id of the client's
-- browser  one page view as the tracker sends it
-- batch    100 server-side events; batchids: with ids of the client's

local AGENTS = {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
}
local REFERRERS = { "https://www.google.com/", "https://news.ycombinator.com/", "", "https://chatgpt.com/" }
local EVENTS_A_BATCH = 100
local DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

-- Ids as the tracker mints them: 8 base 36 digits of milliseconds, then 6 digits, here a counter.
local triples = {}
for i = 0, 46655 do
  local a, b, c = math.floor(i / 1296), math.floor(i / 36) % 36, i % 36
  triples[i] = DIGITS:sub(a + 1, a + 1) .. DIGITS:sub(b + 1, b + 1) .. DIGITS:sub(c + 1, c + 1)
end
local function base36(number, digits)
  local text = ""
  for _ = 1, digits do
    local digit = number % 36
    text = DIGITS:sub(digit + 1, digit + 1) .. text
    number = (number - digit) / 36
  end
  return text
end
local prefix, counter = nil, 0
local function mint()
  counter = counter + 1
  local high = math.floor(counter / 46656)
  return prefix .. triples[high] .. triples[counter - high * 46656]
end

local function head(i)
  return string.format(
    '{"event":"%s","url":"https://perf.example/page/%d","referrer":"%s","ip":"84.128.%d.%d","user_agent":"%s",'
      .. '"language":"de-DE","properties":{"plan":"pro","step":%d}',
    i % 5 == 0 and "click" or "pageview", i % 97, REFERRERS[i % 4 + 1], i % 64, i % 251 + 1, AGENTS[i % 4 + 1], i % 7)
end
local function tracked(i)
  return string.format(
    '{"sent_at":%d,"events":[{"event":"pageview","timestamp":%d,"url":"https://perf.example/page/%d",'
      .. '"referrer":"%s","screen":"1920x1080","language":"de-DE","timezone":"Europe/Berlin","title":"A page","properties":{}',
    os.time() * 1000, os.time() * 1000, i % 97, REFERRERS[i % 4 + 1])
end

local kind, path, headers
local parts, number = {}, 0

function init(args)
  kind = args[1]
  prefix = base36(os.time() * 1000 + math.random(0, 999), 8)
  path = "/api/v1/events/ingest"
  headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. args[2] }
  if kind == "close" then headers["Connection"] = "close" end
  if kind == "browser" then
    path = path .. "?key=" .. args[2]
    headers = {
      ["Content-Type"] = "text/plain;charset=UTF-8", ["Origin"] = "https://perf.example",
      ["User-Agent"] = AGENTS[1], ["Accept"] = "*/*", ["Accept-Language"] = "de-DE,de;q=0.9",
      ["Accept-Encoding"] = "gzip, deflate, br", ["Sec-Fetch-Site"] = "cross-site", ["Sec-Fetch-Mode"] = "cors",
      ["Sec-Fetch-Dest"] = "empty", ["Referer"] = "https://perf.example/",
    }
  end
  -- Written out before the clock runs; what needs an id is kept as the text around it.
  for i = 1, 512 do
    if kind == "batch" then
      local events = {}
      for j = 1, EVENTS_A_BATCH do events[j] = head(i * EVENTS_A_BATCH + j) .. "}" end
      parts[i] = wrk.format("POST", path, headers, '{"events":[' .. table.concat(events, ",") .. "]}")
      if i == 64 then break end
    elseif kind == "single" or kind == "close" then
      parts[i] = wrk.format("POST", path, headers, head(i) .. "}")
    elseif kind == "batchids" then
      parts[i] = head(i)
    else
      local body = (kind == "ids" and head(i) .. ',"event_id":"' or tracked(i) .. ',"event_id":"')
      local ending = kind == "ids" and '"}' or '"}]}'
      local whole = wrk.format("POST", path, headers, body .. "00000000000000" .. ending)
      local place = whole:find("00000000000000", 1, true)
      parts[i] = { whole:sub(1, place - 1), whole:sub(place + 14) }
    end
  end
end

function request()
  number = number % #parts + 1
  local part = parts[number]
  if kind == "batchids" then
    local events = {}
    for j = 1, EVENTS_A_BATCH do
      events[j] = parts[(number + j) % #parts + 1] .. ',"event_id":"' .. mint() .. '"}'
    end
    return wrk.format("POST", path, headers, '{"events":[' .. table.concat(events, ",") .. "]}")
  elseif type(part) == "table" then
    return part[1] .. mint() .. part[2]
  end
  return part
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"max_ms":%f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    latency.max / 1000, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
