"""The networks of the papers: plain torch modules, without Lightning, data sets or metrics."""
