-- Health of a CronJob: it is healthy once it is there. By Argo CD's own check a run that failed makes it Degraded, and its Application with it, so
-- that a dataset which cannot be built would hold up the sync of the root. How runs ended is in their jobs; the message says where to look.
local status = obj.status or {}

if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Healthy", message = "suspended" }
end
if status.active ~= nil and #status.active > 0 then
  return { status = "Healthy", message = "it runs" }
end
if status.lastScheduleTime == nil then
  return { status = "Healthy", message = "not due yet" }
end
-- Both are times in UTC of one form, so the order of the texts is that of the times.
if status.lastSuccessfulTime == nil or status.lastSuccessfulTime < status.lastScheduleTime then
  return { status = "Healthy", message = "the last run did not succeed: its jobs say why" }
end
return { status = "Healthy", message = "the last run succeeded" }
