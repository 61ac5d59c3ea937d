"""What is made of records: leaderboard, published numbers beside ours, HTML, Markdown, CSV."""
