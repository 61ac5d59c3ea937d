"""Where the time of a training step goes, and how near it is to what the device can do."""
