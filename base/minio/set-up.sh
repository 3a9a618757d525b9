#!/bin/sh
# Makes the buckets and one user for each folder of /users (its keys), with the policy of the same name.
set -eu
mc ready store
for bucket in checkpoints datasets landing mlflow; do
  mc mb --ignore-existing "store/$bucket"
done
for folder in /users/*; do
  user=${folder##*/}
  key=$(cat "$folder/AWS_ACCESS_KEY_ID")
  mc admin policy create store "$user" "/set-up/$user.json"
  mc admin user add store "$key" "$(cat "$folder/AWS_SECRET_ACCESS_KEY")"
  # Attaching what is attached is an error to mc.
  case $(mc --json admin user info store "$key") in
    *"\"policyName\":\"$user\""*) ;;
    *) mc admin policy attach store "$user" --user "$key" ;;
  esac
done
