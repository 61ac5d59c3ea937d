"""What rides along a training: curves, gradient norms, speed, sample sheets, progress, wandb."""
