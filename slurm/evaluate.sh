#!/bin/bash
# Score a model, one process per core:
#   sbatch --cpus-per-task=64 slurm/evaluate.sh data/ scores/ --model run/ --split test
# On a GPU, which the processes share:
#   sbatch --gpus=1 --cpus-per-task=8 slurm/evaluate.sh data/ scores/ --model run/ --device cuda
#SBATCH --job-name=vecsetx-evaluate
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: sbatch [SBATCH OPTIONS] evaluate.sh INPUT OUT [OPTIONS OF vecsetx evaluate, SUCH AS --model]" >&2
    exit 2
fi
input=$1 out=$2
shift 2

# When requeued, it skips hearts that are scored and scores the rest.
exec python -m vecsetx evaluate "$input" --out "$out" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
