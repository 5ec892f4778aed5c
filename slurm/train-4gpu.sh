#!/bin/bash
# Train on the four GPUs of a node, one process per GPU:
#   sbatch --time=24:00:00 slurm/train-4gpu.sh data/ run/ --preset base
#SBATCH --job-name=vecsetx-train
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --mem=256G
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

source "$SLURM_SUBMIT_DIR/slurm/train.bash"
