"""Label sets, label maps, segments, narratives and traces."""
