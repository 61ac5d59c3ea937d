"""Label sets, narratives, label maps: what narratives and layouts share."""
