"""Features of images: the networks that compute them, their weights, and a cache on disk."""
