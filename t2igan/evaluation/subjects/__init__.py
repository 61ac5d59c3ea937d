"""Subjects that can be scored: checkpoints, untrained networks, real images, image folders, pipelines."""
