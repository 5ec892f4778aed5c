#!/bin/bash
# Reconstruct hearts, one process per core:
#   sbatch --cpus-per-task=64 slurm/reconstruct.sh labels/ meshes/ --model run/ --no-page
# On a GPU, which the processes share:
#   sbatch --gpus=1 --cpus-per-task=8 slurm/reconstruct.sh labels/ meshes/ --model run/ --device cuda
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

if [ $# -lt 2 ]; then
    echo "usage: sbatch [SBATCH OPTIONS] reconstruct.sh INPUT OUT [OPTIONS OF vecsetx reconstruct, SUCH AS --model]" >&2
    exit 2
fi
input=$1 out=$2
shift 2

# When requeued, it skips finished hearts and reconstructs the rest.
exec python -m vecsetx reconstruct "$input" --out "$out" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
