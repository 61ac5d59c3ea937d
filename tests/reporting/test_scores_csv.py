import csv
import re
from pathlib import Path

from t2igan.reporting.published import METRICS, beside
from t2igan.reporting.scores_csv import HEADERS, write_csv


def test_the_csv_gives_every_number_back(tables, tmp_path):
    write_csv(tables, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == HEADERS
    runs = [line for line in lines if line["row"] == "run"]
    records = [record for board in tables for record in board.records]
    expected = [
        (record.protocol_hash, record.subject.name, name, value.network_sha256, value.value, value.spread, value.n)
        for record in records
        for name, value in record.metrics.items()
    ]
    found = [
        (
            *(line[key] for key in ("protocol_hash", "subject", "metric", "network_sha256")),
            float(line["value"]),
            float(line["spread"]) if line["spread"] else None,
            int(line["n"]),
        )
        for line in runs
    ]
    assert found == expected
    means = {line["subject"]: line for line in lines if line["row"] == "mean"}
    assert float(means["a"]["value"]) == 11.0 and means["a"]["n"] == "2"
    published = [line for line in lines if line["row"] == "published"]
    held = {
        (line["subject"], line["metric"]): float(line["ours_minus_published"])
        for line in published
        if line["ours_minus_published"]
    }
    expected = {
        (one.number.who, one.number.metric): one.difference / METRICS[one.number.metric].factor
        for one in beside(tables[1])
        if one.difference is not None
    }
    assert held == expected and len(held) >= 4


def test_every_column_is_documented():
    text = (Path(__file__).parents[2] / "docs/tables.md").read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    documented = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert documented == list(HEADERS)
