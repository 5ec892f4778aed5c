#!/bin/bash
# Prepare a data set, one process per core:
#   sbatch --cpus-per-task=64 slurm/prepare.sh labels/ data/ --labels default
#SBATCH --job-name=vecsetx-prepare
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=32
#SBATCH --mem-per-cpu=3G
#SBATCH --time=02:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: sbatch [SBATCH OPTIONS] prepare.sh INPUT OUT [OPTIONS OF vecsetx prepare]" >&2
    exit 2
fi
input=$1 out=$2
shift 2

# When requeued, it keeps finished hearts and prepares the rest.
exec python -m vecsetx prepare "$input" --out "$out" --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
