#!/bin/bash
# A sweep as a Slurm job array: sbatch book/examples/slurm.sh
# Each task trains one shard on one core. A task that is stopped checkpoints on SIGTERM; submitted
# again, the array goes on from what is stored.
#SBATCH --job-name=vae-core
#SBATCH --array=1-8
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@60
#SBATCH --requeue

set -eu
export OMP_NUM_THREADS=1
export VAE_CORE_CACHE="${VAE_CORE_CACHE:-$HOME/vae_core}"  # a disk that all tasks see

source .venv/bin/activate
vae-core sweep book/params/paper.yaml --quiet \
  --shard ${SLURM_ARRAY_TASK_ID}/${SLURM_ARRAY_TASK_COUNT}
