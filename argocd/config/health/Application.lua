-- Health of a child Application as its parent sees it. Argo CD has none of its own for this kind, and without one the waves of the
-- root would not wait: a component is there when it was compared with what its spec says now, is synced, and is healthy.
local status = obj.status or {}
local sync = status.sync or {}
local operation = status.operationState or {}

-- Whether everything that `asked` says is in `seen`. What is empty or false is left out when Argo CD writes it down.
local function covers(asked, seen)
  if type(asked) ~= "table" then
    return asked == seen or ((asked == false or asked == "") and seen == nil)
  end
  if type(seen) ~= "table" then return next(asked) == nil end
  for key, value in pairs(asked) do
    if not covers(value, seen[key]) then
      if type(value) ~= "table" or next(value) ~= nil then return false end
    end
  end
  return true
end

for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "InvalidSpecError" then
    return { status = "Degraded", message = condition.message }
  end
  if condition.type == "ComparisonError" then
    -- Before the first sync this may be a repository server that is not up yet.
    if operation.phase == nil then
      return { status = "Progressing", message = condition.message }
    end
    return { status = "Degraded", message = condition.message }
  end
end

if sync.status == nil then
  return { status = "Progressing", message = "not looked at yet" }
end

if operation.phase == "Running" or operation.phase == "Terminating" then
  return { status = "Progressing", message = operation.message or "syncing" }
end
if obj.operation ~= nil then
  return { status = "Progressing", message = "a sync was asked for" }
end

local compared = sync.comparedTo or {}
if not covers(obj.spec.source or {}, compared.source) or not covers(obj.spec.sources or {}, compared.sources) then
  return { status = "Progressing", message = "its spec has changed" }
end

if sync.status ~= "Synced" then
  if operation.phase == "Failed" or operation.phase == "Error" then
    return { status = "Degraded", message = operation.message or "the sync failed" }
  end
  return { status = "Progressing", message = "not synced yet" }
end

local health = (status.health or {}).status
if health == "Healthy" or health == "Suspended" then
  return { status = health, message = "" }
end
if health == "Degraded" then
  local message = "Degraded"
  for _, resource in ipairs(status.resources or {}) do
    if resource.health ~= nil and resource.health.status == "Degraded" then
      message = resource.kind .. " " .. resource.name .. ": " .. (resource.health.message or "Degraded")
      break
    end
  end
  return { status = "Degraded", message = message }
end
return { status = "Progressing", message = "health: " .. (health or "not known yet") }
