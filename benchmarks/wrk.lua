-- Calls of the API by wrk; after `--`: the kind of call, a file with a wallet's id a line, a number of
-- this run (in every payment's id), the query and how many payments a batch has.
-- Each thread counts its answers by status; at the end all of it is printed as one line of JSON.

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local wallets, make, query, size, run = {}, nil, "", 0, 0
local made = 0
statuses, hits, refused = {}, 0, 0

local function payment()
  local source, target = math.random(#wallets), math.random(#wallets - 1)
  if target >= source then target = target + 1 end
  made = made + 1
  return string.format(
    '{"payment_id":"%08x-%04x-4000-8000-%012x","kind":"transfer","source_wallet_id":"%s",'
      .. '"target_wallet_id":"%s","amount":"10.25","currency":"EUR"}',
    run, number, made, wallets[source], wallets[target])
end

local function post(path, body)
  return wrk.format("POST", path .. query, {["Content-Type"] = "application/json"}, body)
end

local calls = {
  payment = function() return post("/v1/payments", payment()) end,
  batch = function()
    local payments = {}
    for place = 1, size do payments[place] = payment() end
    return post("/v1/payments/batch", '{"payments":[' .. table.concat(payments, ",") .. "]}")
  end,
  balance = function()
    return wrk.format("GET", "/v1/wallets/" .. wallets[math.random(#wallets)] .. "/balance" .. query)
  end,
}

function init(args)
  make, run, query, size = calls[args[1]], tonumber(args[3]), args[4] or "", tonumber(args[5] or 0)
  for id in io.lines(args[2]) do table.insert(wallets, id) end
  math.randomseed(run + number)
end

function request() return make() end

function response(status, headers, body)
  statuses[tostring(status)] = (statuses[tostring(status)] or 0) + 1
  if headers["X-Cache"] == "hit" then hits = hits + 1 end
  if size > 0 and body:find('"status_code":[345]') then refused = refused + 1 end
end

function done(summary, latency, requests)
  local by_status, hit, bad = {}, 0, 0
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do
      by_status[status] = (by_status[status] or 0) + count
    end
    hit, bad = hit + thread:get("hits"), bad + thread:get("refused")
  end
  local parts = {}
  for status, count in pairs(by_status) do table.insert(parts, string.format('"%s":%d', status, count)) end
  local errors = summary.errors
  io.write(string.format(
    '{"calls":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"statuses":{%s},"hits":%d,'
      .. '"batches_refused":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    table.concat(parts, ","), hit, bad, errors.connect, errors.read, errors.write, errors.timeout))
end
