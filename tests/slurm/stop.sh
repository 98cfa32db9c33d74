#!/usr/bin/env bash
# Ends what start.sh FOLDER started, jobs first, by the pid files that it left.
set -uo pipefail
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
folder=$(cd "$1" && pwd) || exit 2
[ "$(readlink /etc/slurm/slurm.conf)" = "$folder/slurm.conf" ] || exit 0 # not ours
timeout 20 scancel --user="$(id -un)" 2>/dev/null
for file in "$folder"/pid/{slurmd,slurmctld,munged}.pid; do
  [ -s "$file" ] || continue
  pid=$(cat "$file")
  kill "$pid" 2>/dev/null
  for _ in $(seq 40); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.25
  done
done
rm /etc/slurm/slurm.conf
