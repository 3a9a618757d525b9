-- Health of a JobSet, which carries a TrainJob out.
local status = obj.status or {}

for _, condition in ipairs(status.conditions or {}) do
  if condition.status == "True" then
    if condition.type == "Failed" then
      local why = condition.message
      if why == nil or why == "" then why = condition.reason or "failed" end
      return { status = "Degraded", message = why }
    end
    if condition.type == "Completed" then
      return { status = "Healthy", message = "complete" }
    end
  end
end

if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "held back" }
end

local message = "waiting for its jobs"
for _, job in ipairs(status.replicatedJobsStatus or {}) do
  message = job.name .. ": ready " .. (job.ready or 0) .. ", succeeded " .. (job.succeeded or 0) .. ", failed " .. (job.failed or 0)
end
if (status.restarts or 0) > 0 then message = message .. ", restarts " .. status.restarts end
return { status = "Progressing", message = message }
