# Shared by the training jobs: start or resume a run, and requeue it when its time is up.
# Jobs source this file from slurm/ in the folder from which they were submitted.

set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: sbatch [SBATCH OPTIONS] $SLURM_JOB_NAME DATA OUT [OPTIONS OF vecsetx train]" >&2
    exit 2
fi
data=$1 out=$2
shift 2

resume=()
if [ -e "$out/checkpoint.pt" ]; then resume=(--resume); fi

# The ranks meet on the first node. The port depends on the job, so that jobs can share a node.
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000))
export MASTER_ADDR MASTER_PORT OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"

# SLURM starts the ranks directly, without torchrun, so that its signals reach every rank and their
# exit status reaches SLURM. exec, because SLURM signals only the process that it started.
# When a rank ends, --kill-on-bad-exit=0 and --wait=300 give the others time to save.
status=0
# shellcheck disable=SC2016 # expanded in each task
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=0 --wait=300 bash -c '
    export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS
    exec python -m vecsetx train "$@"
' train "$data" --out "$out" "${resume[@]}" "$@" || status=$?

if [ "$status" -eq 75 ]; then # a checkpoint is saved and the run asks to be restarted
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
