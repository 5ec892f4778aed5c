# What the training jobs share: start or resume a run, and have it started again when its time is up.
# Jobs source it from slurm/ in the folder they were submitted from.

set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: sbatch [OPTIONS OF SLURM] $SLURM_JOB_NAME DATA OUT [OPTIONS OF vecsetx train]" >&2
    exit 2
fi
data=$1 out=$2
shift 2

resume=()
if [ -e "$out/checkpoint.pt" ]; then resume=(--resume); fi

# PyTorch's processes meet at the first one. Jobs that share a node differ in their port.
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
export MASTER_ADDR MASTER_PORT OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"

# SLURM starts the processes itself, without torchrun: so its signals reach every one of them, and
# their exit status comes back. exec, because SLURM signals only the process that it has started.
# A process that stops leaves the others the time to save.
status=0
# shellcheck disable=SC2016 # expanded in each task
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=0 --wait=300 bash -c '
    export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
    exec python -m vecsetx train "$@"
' train "$data" --out "$out" "${resume[@]}" "$@" || status=$?

if [ "$status" -eq 75 ]; then # saved, and to be started again
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
