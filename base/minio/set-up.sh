#!/bin/sh
# Makes the buckets and one user for each folder of /users (its keys), with the policy of its name and those whose names begin with it
# (server-samples for server). Rights that no file gives any more are taken away.
set -eu
mc ready store
for bucket in checkpoints datasets landing mlflow requests; do
  mc mb --ignore-existing "store/$bucket"
done
for folder in /users/*; do
  # A Secret that is optional and not there.
  [ -f "$folder/AWS_ACCESS_KEY_ID" ] || continue
  user=${folder##*/}
  key=$(cat "$folder/AWS_ACCESS_KEY_ID")
  mc admin user add store "$key" "$(cat "$folder/AWS_SECRET_ACCESS_KEY")"
  attached=$(mc --json admin user info store "$key")
  attached=${attached#*\"policyName\":\"}
  attached=,${attached%%\"*},
  for file in "/set-up/$user.json" "/set-up/$user-"*.json; do
    [ -f "$file" ] || continue
    policy=${file##*/}
    policy=${policy%.json}
    mc admin policy create store "$policy" "$file"
    # Attaching what is attached is an error to mc.
    case $attached in
      *",$policy,"*) ;;
      *) mc admin policy attach store "$policy" --user "$key" ;;
    esac
  done
  IFS=,
  for policy in $attached; do
    # Of a user without policies this is other text, which is no policy's name.
    case $policy in
      "$user" | "$user-"*) [ -f "/set-up/$policy.json" ] || mc admin policy detach store "$policy" --user "$key" ;;
    esac
  done
  unset IFS
done
# Whom MinIO tells of what lands: base/minio/notifications.
if [ -n "${NOTIFY:-}" ]; then
  mc event add --ignore-existing store/landing "$NOTIFY" --event put
  mc event add --ignore-existing store/datasets "$NOTIFY" --event put --prefix heads/
fi
