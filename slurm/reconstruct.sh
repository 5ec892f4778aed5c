#!/bin/bash
# Reconstruct hearts, one process per core:
#   sbatch --cpus-per-task=64 slurm/reconstruct.sh run/ labels/ meshes/ --no-page
# On a GPU, which the processes share:
#   sbatch --gpus=1 --cpus-per-task=8 slurm/reconstruct.sh run/ labels/ meshes/ --device cuda
#SBATCH --job-name=vecsetx-reconstruct
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem-per-cpu=4G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: sbatch [SBATCH OPTIONS] reconstruct.sh MODEL INPUT OUT [OPTIONS OF vecsetx reconstruct]" >&2
    exit 2
fi
model=$1 input=$2 out=$3
shift 3

# When requeued, it skips finished hearts and reconstructs the rest.
exec python -m vecsetx reconstruct "$model" "$input" --out "$out" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
