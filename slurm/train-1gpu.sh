#!/bin/bash
# Train on one GPU:
#   sbatch --time=24:00:00 slurm/train-1gpu.sh data/ run/ --preset small
#SBATCH --job-name=vecsetx-train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

source "$SLURM_SUBMIT_DIR/slurm/train.bash"
