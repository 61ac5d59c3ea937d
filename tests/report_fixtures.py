"""Result records for the tests of leaderboard, published numbers and report; nothing is trained for them."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import yaml

from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import MetricValue, ResultRecord, SubjectCard

DAMSM, INCEPTION, CLASSIFIER = "aa" * 32, "bb" * 32, "cc" * 32


def make_record(
    name: str, kind: str = "checkpoint", rp: float = 0.25, damsm_sha256: str = DAMSM, **changes
) -> ResultRecord:
    """A record on drawn birds."""
    made = ResultRecord(
        subject=SubjectCard(kind, name, path=name),
        metrics={
            "fd-classifier": MetricValue(12.345, None, 100, CLASSIFIER),
            "r-precision@damsm": MetricValue(rp, 0.0125, 100, damsm_sha256, 0.01),
        },
        not_computed={},
        protocol="p",
        protocol_hash="12" * 32,
        dataset="drawn-birds",
        fingerprint="34" * 32,
        n_real=40,
        n_generated=100,
        backbones={},
        damsm={"damsm": damsm_sha256},
        seed=0,
        device="cpu",
        seconds=1.0,
    )
    return replace(made, **changes)


def make_repeated(name: str, seed: int, fd: float) -> ResultRecord:
    """One of several runs of an experiment of that name."""
    card = SubjectCard(
        "checkpoint", f"{name}-{seed}", f"{name}-{seed}/last.ckpt", experiment=name, training_seed=seed
    )
    return make_record(name, subject=card, metrics={"fd-classifier": MetricValue(fd, None, 100, CLASSIFIER)})


def make_published_like(protocol: str = "cub/dmgan", config: str = "DMGAN", **changes) -> ResultRecord:
    """A record of a whole test split under a protocol of the suite."""
    pinned = load_protocol(protocol)
    split = {"cub": 2933, "coco": 40_470}[pinned.dataset]
    made = make_record(
        config.lower(),
        subject=SubjectCard("checkpoint", config.lower(), module=f"t2igan.models.{config.lower()}.{config}"),
        metrics={
            "fid": MetricValue(16.5, None, pinned.images, INCEPTION),
            "is": MetricValue(4.5, 0.1, pinned.images, INCEPTION),
            "r-precision@damsm": MetricValue(0.70, 0.01, pinned.images, DAMSM, 0.01),
        },
        protocol=protocol,
        protocol_hash=pinned.hash,
        dataset=pinned.dataset,
        damsm_origin={"damsm": "text_encoder200.pth (aaaaaaaaaaaa)"},
        n_split=split,
        n_generated=pinned.images,
    )
    return replace(made, **changes)


def write_run(folder: Path, seed: int, **model) -> Path:
    """The configuration of a run as the command leaves it; the path that its checkpoint would have."""
    init_args = {"damsm": "damsm.ckpt", "seed": seed} | model
    config = {
        "seed_everything": seed,
        "model": {"class_path": "t2igan.models.dmgan.DMGAN", "init_args": init_args},
        "data": {"class_path": "CUB", "init_args": {"store": "cub.h5", "seed": seed}},
        "trainer": {"max_steps": 10, "default_root_dir": str(folder)},
    }
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "checkpoints" / "last.ckpt"


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag is closed."""

    VOID = ("meta", "img", "br", "link", "line", "polyline", "circle")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())
