from report_fixtures import CLASSIFIER, make_record, make_repeated

from t2igan.evaluation.record import MetricValue
from t2igan.reporting.latex import LINES, board_table, escape, latex_table
from t2igan.reporting.leaderboard import boards


def test_latex_prints_text_as_it_is():
    assert escape("a_b & 50 %\n± [1] \\x") == r"a\_b \& 50 \% $\pm$ {[}1] \textbackslash{}x"
    table = latex_table("t", [["subject", "FD ↓"], ["a_b", "1.0"]], ["±: folds"])
    assert r"subject & FD $\downarrow$ \\" in table and r"a\_b & 1.0 \\" in table and r"{lr}" in table
    assert table.index(r"\toprule") < table.index(r"\midrule") < table.index(r"\bottomrule")


def tabulars(text):
    """The cells of each tabular, line by line."""
    parts = [part.partition(r"\bottomrule")[0] for part in text.split(r"\toprule")[1:]]
    lines = [[line for line in part.splitlines() if line.endswith(r" \\")] for part in parts]
    return [[line.removesuffix(r" \\").split(" & ") for line in own] for own in lines]


def test_a_table_is_no_wider_than_a_page():
    """TeX says nothing that a user reads when half of the columns lie outside of the paper."""
    headers = [f"R-precision of shuffled captions, DAMSM {number}" for number in range(9)]
    grid = [["subject", *headers], ["a_b", *["1.78 ± 1.68 % (n = 619) [0.82, 3.09]"] * 9]]
    table = latex_table("t", grid)
    parts = tabulars(table)
    assert sum(len(part[0]) - 1 for part in parts) == 9 and len(parts) == 3
    assert {part[-2][0] for part in parts} == {r"a\_b"}
    said = {cell for part in parts for cell in part[-1][1:]}
    assert said == {r"{\scriptsize (n = 619) {[}0.82, 3.09]}"}
    assert parts[0][-2][1] == r"1.78 $\pm$ 1.68 \%"
    assert " ".join(line[1] for line in parts[0][:-2]).strip() == headers[0]


def test_a_table_is_no_longer_than_a_page():
    """TeX drops the rows of a float that leave the page."""
    grid = [["subject", "FD", "IS"], *([f"s{number}", f"{number}.5 [1, 2]", "1"] for number in range(60))]
    best = {(60, 1)}
    table = latex_table("t", grid, ["a note"], best)
    found = tabulars(table)
    assert len(found) == table.count(r"\begin{table*}") == table.count(r"\end{table*}") == 3
    values = [line for part in found for line in part if line[0].startswith("s") and line[0] != "subject"]
    assert [line[0] for line in values] == [f"s{number}" for number in range(60)]
    assert all(len(part) <= LINES and part[0] == ["subject", "FD", "IS"] for part in found)
    assert values[-1][1] == r"\textbf{59.5}" and table.count(r"\textbf") == 1
    assert table.count(r"\caption{t}") == 1 and table.count(r"\caption{t, continued}") == 2
    assert table.count("a note") == 1 and table.index("a note") > table.index("s59")
    wide = [[row[0], *row[1:] * 8] for row in grid]
    below = latex_table("t", wide).split(r"\end{table*}")[0]
    assert sum(map(len, tabulars(below))) <= LINES < 2 * sum(map(len, tabulars(below)))


def test_names_keep_their_brackets():
    (rows,) = tabulars(latex_table("t", [["subject", "FD"], ["ssagan (zoo) [edited]", "1"]]))
    assert rows == [["subject", "FD"], ["ssagan (zoo) {[}edited]", "1"]]


def test_what_beats_all_others_is_bold():
    runs = [make_repeated(name, seed, fd) for name, fd in (("a", 10.0), ("b", 20.0)) for seed in (0, 1, 2)]
    for seed, record in enumerate(runs):
        record.metrics["fd-classifier"] = MetricValue(
            record.metrics["fd-classifier"].value + seed % 3 / 10, None, 100, CLASSIFIER
        )
    (board,) = boards([*runs, make_record("r", "real")])
    text = board_table(board)
    assert text.count(r"\textbf") == 1 and r"\textbf{10.10 $\pm$ 0.10}" in text
    first = next(line for line in text.splitlines() if r"\textbf" in line)
    assert first.startswith("a, 3 runs & ") and "seed 0" not in text
