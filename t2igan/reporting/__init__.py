"""Reports of records: leaderboards, published numbers, HTML, Markdown, LaTeX and CSV."""
