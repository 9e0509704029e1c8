#!/bin/bash
# A search on a SLURM cluster: Ray on every node of one job, the search on its first. Before the time limit the search is told to
# end, SLURM puts the job back into its queue, and the search goes on from its records when the job starts again.
#
#   sbatch clusters/slurm.sh digits_datadam --store /shared/studies
#
# What follows the script's name is handed to `raydistill search`, or to the command that RAYDISTILL_COMMAND names. The store (and
# --data-root) must be a folder that every node sees under the same path, or s3://. docs/slurm.md has more. Options of sbatch go
# before the script's name and win over these:

#SBATCH --job-name=raydistill
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --time=24:00:00
# Five minutes before the time limit this script gets SIGUSR1; a search that is told to end needs seconds.
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=raydistill-%j.log

set -euo pipefail

# The environment in which `pip install --constraint clusters/constraints.txt '.[s3]'` was run; every node must see it.
environment=${RAYDISTILL_ENVIRONMENT:-$HOME/raydistill-env}
export PATH=$environment/bin:$PATH

# A token, without which nobody on the network may talk to Ray; made once, and read from the home folder by every node.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
ray get-auth-token --generate > /dev/null

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
if ((${#nodes[@]} == 0)); then
    echo "scontrol names no nodes for '$SLURM_JOB_NODELIST'; start this script by sbatch" >&2
    exit 1
fi
# Where a node has several networks, RAYDISTILL_HEAD_IP names the address of the first node on the one to use.
ip=${RAYDISTILL_HEAD_IP:-$(hostname -I | cut -d ' ' -f 1)}
# Two jobs may share a node, so the ports follow the job's number: Ray's, or RAYDISTILL_PORT, the next one for the dashboard, and
# the next for Ray's client, whose server ends the head if it does not get its port.
port=${RAYDISTILL_PORT:-$((20000 + SLURM_JOB_ID % 2500 * 4))}
address=$ip:$port
cpus=${SLURM_CPUS_PER_TASK:-1}
command=${RAYDISTILL_COMMAND:-search}

steps=()
child=
told=

# shellcheck disable=SC2317,SC2329  # called by the traps
tell() {
    told=$1
    echo "Told to end by SIG$1"
    if [[ -n $child ]]; then
        kill -TERM "$child" 2> /dev/null || true
    fi
}
trap 'tell USR1' USR1  # the time limit is near
trap 'tell TERM' TERM  # scancel, or a preemption

# shellcheck disable=SC2317,SC2329  # called by the trap
close() {
    if ((${#steps[@]})); then
        kill -TERM "${steps[@]}" 2> /dev/null || true
        wait "${steps[@]}" 2> /dev/null || true
    fi
}
trap close EXIT

# Waits for a child, hands a signal on to it, and returns its exit code. A signal ends `wait`, but not the child.
follow() {
    local code
    child=$1
    if [[ -n $told ]]; then
        tell "$told"
    fi
    while true; do
        code=0
        wait "$child" || code=$?
        kill -0 "$child" 2> /dev/null || break
    done
    # The child may have ended between a signal and the look at it; bash remembers with which code.
    if ((code > 128)); then
        code=0
        wait "$child" || code=$?
    fi
    return "$code"
}

# Ray counts all cores of a node, so it is told how many are the job's. GPUs it finds in CUDA_VISIBLE_DEVICES, which SLURM sets.
# A folder of its own: /tmp/ray may be another user's.
srun --overlap --nodes=1 --ntasks=1 --nodelist="${nodes[0]}" --cpus-per-task="$cpus" \
    ray start --head --node-ip-address="$ip" --port="$port" --ray-client-server-port="$((port + 2))" --num-cpus="$cpus" \
    --dashboard-host=127.0.0.1 --dashboard-port="$((port + 1))" --temp-dir="/tmp/ray-$SLURM_JOB_ID" --block &
steps+=("$!")

for ((tries = 0; ; tries++)); do
    if (exec 3<> "/dev/tcp/$ip/$port") 2> /dev/null; then
        break
    elif [[ -n $told ]] || ! kill -0 "${steps[0]}" 2> /dev/null || ((tries == 300)); then
        echo "Ray's head did not come up at $address on ${nodes[0]}; its own words are above" >&2
        exit 1
    fi
    sleep 1
done

if ((${#nodes[@]} > 1)); then
    others=$((${#nodes[@]} - 1))
    srun --overlap --nodes="$others" --ntasks="$others" --exclude="${nodes[0]}" --cpus-per-task="$cpus" \
        ray start --address="$address" --num-cpus="$cpus" --temp-dir="/tmp/ray-$SLURM_JOB_ID" --block &
    steps+=("$!")
fi

# A search counts the nodes when it starts, so all of them come first.
python - "$address" "${#nodes[@]}" << 'PYTHON' &
import sys
import time

import ray

address, wanted = sys.argv[1], int(sys.argv[2])
until = time.monotonic() + 600
while not ray.is_initialized():
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except ConnectionError:  # the head listens some time before it is ready
        if time.monotonic() > until:
            raise
while (live := sum(node["Alive"] for node in ray.nodes())) < wanted:
    if time.monotonic() > until:
        sys.exit(f"{live} of {wanted} nodes have joined within ten minutes; what the others say is above")
    time.sleep(1)
PYTHON
code=0
follow "$!" || code=$?
if [[ -n $told ]] && ((code)); then
    code=143  # Ray makes a 15 of it
fi

if ((code == 0)); then
    echo "Ray runs on ${#nodes[@]} nodes (${nodes[*]}); start ${SLURM_RESTART_COUNT:-0} of this job after the first"
    # What the command says to type after an end that it did not choose, since its own line names this job's Ray: the line that
    # submitted the job, with sbatch's options where SLURM's accounting knows them.
    submitted=$(sacct --noheader --parsable2 --allocations --jobs="$SLURM_JOB_ID" --format=SubmitLine 2> /dev/null || true)
    [[ $submitted == sbatch\ *slurm.sh* ]] || submitted="sbatch clusters/slurm.sh"
    [[ $command == search ]] || submitted="RAYDISTILL_COMMAND=$command $submitted"
    RAYDISTILL_AGAIN="${submitted%%slurm.sh*}slurm.sh$(printf ' %q' "$@")" raydistill "$command" "$@" --address "$address" &
    follow "$!" || code=$?
fi

if [[ $told == USR1 ]] && ((code > 128)); then
    echo "The $command has ended before the time limit; job $SLURM_JOB_ID goes back into the queue and continues"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
