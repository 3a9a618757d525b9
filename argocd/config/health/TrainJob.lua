-- Health of a TrainJob: from its conditions, with how far it is. Without this it would be Healthy from the moment it exists.
local status = obj.status or {}

for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" then
    if condition.type == "Failed" then
      local why = condition.message
      if why == nil or why == "" then why = condition.reason or "failed" end
      return { status = "Degraded", message = why }
    end
    if condition.type == "Complete" then
      return { status = "Healthy", message = "complete" }
    end
  end
end

if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "held back" }
end

local trainer = status.trainerStatus
if trainer ~= nil and trainer.progressPercentage ~= nil then
  local message = "training, " .. trainer.progressPercentage .. " %"
  for _, metric in ipairs(trainer.metrics or {}) do
    message = message .. ", " .. metric.name .. " " .. metric.value
  end
  return { status = "Progressing", message = message }
end

-- One Job carries all workers; it is ready when all of them are.
local message = "waiting for its workers"
for _, job in ipairs(status.jobsStatus or {}) do
  if job.name == "node" and (job.ready or 0) > 0 then message = "its workers run" end
  if job.name == "node" and (job.failed or 0) > 0 then message = "a worker failed" end
end
return { status = "Progressing", message = message }
