from report_fixtures import make_published_like as like

from t2igan.reporting.leaderboard import boards
from t2igan.reporting.published import beside, elsewhere
from t2igan.reporting.published_tables import beside_grid, elsewhere_grid


def test_tables_of_text_hold_every_number():
    (board,) = boards([like()])
    lines = beside_grid(beside(board))
    assert all(len(line) == len(lines[0]) for line in lines)
    row = next(line for line in lines if line[:2] == ["DM-GAN (released weights)", "fid"])
    assert row[2:5] == ["15.34", "16.50, DM-GAN", "+1.16"]
    others = elsewhere([board])
    grid = elsewhere_grid(others, [board])
    start, end = 1, grid[0].index("difference")
    assert sum(bool(cell) for line in grid[1:] for cell in line[start:end]) == len(others)
    assert any("about 20" in cell for line in grid for cell in line)
