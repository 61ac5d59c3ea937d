"""What can be scored: a checkpoint, the same network untrained, real images, a folder of images, a pipeline."""
