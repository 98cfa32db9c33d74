#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: partitions cpu and gpu, two GPUs of type fake that are none.
# Needs root and the packages slurm-wlm and munge.
#
#   start.sh FOLDER    everything is in FOLDER, and a link to its slurm.conf in /etc/slurm; stop.sh FOLDER ends it
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
# in jobs the Slurm plugin of Snakemake clears SLURM_CONF, so it has to be this path
link=/etc/slurm/slurm.conf
if [ -e "$link" ] || [ -L "$link" ]; then
  echo "$link is there already: another Slurm is set up on this machine" >&2
  exit 1
fi
host=$(hostname -s)
mkdir -p "$folder"/{state,spool,log,pid,dev}

# Slurm trusts what munge signs: one of our own, with its own key and socket
(umask 077 && head -c 1024 /dev/urandom > "$folder/munge.key")
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
  --pid-file="$folder/pid/munged.pid" --log-file="$folder/log/munged.log" --seed-file="$folder/munge.seed" 2> /dev/null

# only a character device of such a name makes Slurm set CUDA_VISIBLE_DEVICES; these two are /dev/null
for i in 0 1; do
  [ -e "$folder/dev/nvidia$i" ] || mknod "$folder/dev/nvidia$i" c 1 3
done

cat > "$folder/gres.conf" <<CONF
AutoDetect=off
NodeName=$host Name=gpu Type=fake File=$folder/dev/nvidia[0-1]
CONF
cat > "$folder/slurm.conf" <<CONF
ClusterName=rewire
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/pid/slurmctld.pid
SlurmdPidFile=$folder/pid/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
# neither cgroups nor an accounting database: no systemd, no SQL server
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
# finished jobs are still asked about, by Snakemake and by the tests
MinJobAge=1800
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
MpiDefault=none
GresTypes=gpu
# memory is counted, not held: the tests see what jobs ask for, on a machine of any size
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:fake:2 State=UNKNOWN
PartitionName=cpu Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=$host Default=NO MaxTime=INFINITE State=UP
CONF

export SLURM_CONF=$folder/slurm.conf # gres.conf is looked for beside it
mkdir -p /etc/slurm
ln -s "$SLURM_CONF" "$link"
slurmctld
slurmd
for _ in $(seq 120); do
  if [ "$(sinfo --noheader --partition gpu --format %T 2>/dev/null)" = idle ]; then
    exit 0
  fi
  sleep 0.5
done
echo "Slurm did not come up; see $folder/log" >&2
tail -n 20 "$folder"/log/*.log >&2
exit 1
