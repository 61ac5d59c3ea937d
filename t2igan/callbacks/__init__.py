"""Lightning callbacks: curves, gradient norms, speed, sample sheets, checkpoints, scores, progress, wandb."""
