#!/bin/bash
# Train on several nodes with four GPUs each, one process per GPU:
#   sbatch --nodes=4 slurm/train-multinode.sh data/ run/ --preset large
#SBATCH --job-name=vecsetx-train
#SBATCH --nodes=2
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
