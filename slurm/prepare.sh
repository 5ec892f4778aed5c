#!/bin/bash
# Prepare a data set with as many processes as cores:
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
    echo "usage: sbatch [OPTIONS OF SLURM] prepare.sh INPUT OUT [OPTIONS OF vecsetx prepare]" >&2
    exit 2
fi
input=$1 out=$2
shift 2

# Started again, it keeps the hearts that are done.
exec python -m vecsetx prepare "$input" --out "$out" --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
