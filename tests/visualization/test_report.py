"""The page of a run: what it says, held against independent computations; what was typed, escaped; nothing loaded from anywhere."""

import base64
import html
import io
import math
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score

from chainrule import nn
from chainrule.data import Dataset, batches, digits
from chainrule.training.history import History
from chainrule.training.run import Run
from chainrule.visualization.report import write_report

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7 * 7 }} {% raw %} &amp;"
VOID = {"meta", "img", "wbr", "br"}


class Page(HTMLParser):
    """Parses strictly: every element is closed by its own end tag. Keeps tags with attributes, and text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice: {attrs}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def attributes(self, tag, name):
        return [attrs[name] for found, attrs in self.tags if found == tag and name in attrs]


class Engine:
    """Scores drawn at random, better than chance; the weights are not used for them."""

    dtype = np.dtype(np.float32)

    def __init__(self, data, weights=None, skill=2.0):
        features = math.prod(data.image_shape)
        self.classes, self.skill = len(data.classes), skill
        self.rng = np.random.default_rng(0)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(features, self.classes)).reset_parameters(self.rng)
        self.weights = {
            "1.weight": self.rng.standard_normal((9, features)).astype(np.float32),
            "1.bias": np.zeros(9, dtype=np.float32),
            "2.running_mean": np.zeros(9, dtype=np.float32),
            "2.num_batches_tracked": np.array(3),
        }
        self.weights = self.weights if weights is None else weights
        self.seen = []

    def in_order(self, data, split, batch_size):
        return batches(data, split, batch_size, seed=None, dtype=self.dtype)

    def evaluate(self, images, labels, tta):
        scores = self.rng.standard_normal((len(images), self.classes))
        scores[np.arange(len(labels)), labels] += self.skill
        self.seen.append((scores, labels))
        return 1.25, scores

    def model_state(self):
        return self.weights

    @property
    def labels(self):
        return np.concatenate([labels for _, labels in self.seen])

    @property
    def scores(self):
        return np.concatenate([scores for scores, _ in self.seen])


def dataset(classes=3, shape=(1, 5, 4), samples=40, dtype=np.uint8, names=None, name="made-up"):
    rng = np.random.default_rng(1)

    def part():
        images = rng.integers(0, 256, (samples, *shape)).astype(np.uint8) if dtype == np.uint8 else rng.normal(0, 3, (samples, *shape))
        return images.astype(dtype), rng.integers(0, classes, samples)

    names = names or tuple(f"class {index}" for index in range(classes))
    return Dataset.from_arrays(name, train=part(), val=part(), test=part(), classes=names)


def epoch(number, **changes):
    record = {"epoch": number, "step": 10 * number, "train_loss": 2 / number, "train_accuracy": 1 - 0.5 / number}
    return record | {"val_loss": 2.5 / number, "val_accuracy": 0.9 - 0.4 / number, "lr": 0.1, "seconds": 1.5} | changes


def report(folder, data, records=(), config=None, engine=None, name="run", **arguments):
    """(parsed page, its source, the engine) of a run with these records."""
    run = Run.create(folder, name, config or {"settings": {"model": "two-layer"}})
    with run.lock():
        for record in records:
            run.log(record)
    engine = engine or Engine(data)
    path = write_report(run, data, engine, **arguments)
    assert path == run.path / "report.html"
    source = path.read_text(encoding="utf-8")
    return Page(source), source, engine


def pictures(page, alt):
    """Pixels of the <img> whose alt text begins so."""
    found = [attrs["src"] for tag, attrs in page.tags if tag == "img" and attrs["alt"].startswith(alt)]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(src.partition(",")[2])))) for src in found]


@pytest.fixture(scope="module")
def digits_report(tmp_path_factory):
    data = digits()
    records = [
        record
        for number in range(1, 9)
        for record in ({"step": 10 * number - 5, "loss": 2 / number, "lr": 0.1}, epoch(number, val_accuracy=0.5 + 0.1 * (number == 5)))
    ]
    return data, *report(tmp_path_factory.mktemp("runs"), data, records)


# --- one page, by itself ----------------------------------------------------------------------------------------------------------


def test_the_page_loads_nothing(digits_report):
    _, page, source, _ = digits_report
    for tag, attrs in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("src", "href", "srcset", "data", "action", "xlink:href"):
                assert value.startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\(|@import|https?:", source)
    (policy,) = (attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_links_within_the_page_lead_somewhere(digits_report):
    _, page, _, _ = digits_report
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {link.removeprefix("#") for link in page.attributes("a", "href")} <= targets


def test_every_picture_says_what_it_shows(digits_report):
    _, page, _, _ = digits_report
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")
    assert all(attrs.get("aria-label") or attrs.get("aria-hidden") == "true" for tag, attrs in page.tags if tag == "svg")


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 224, 160)])
def test_the_page_stays_small_for_large_images(tmp_path, shape):
    data = dataset(10, shape, samples=60)
    _, source, _ = report(tmp_path, data, map(epoch, range(1, 31)))
    assert len(source.encode()) < 1_500_000


def test_a_report_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    data = dataset()
    _, source, engine = report(tmp_path, data)

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(
        OSError, match=r"could not write the report to .*report.html: No space left on device; the earlier version is intact"
    ):
        write_report(Run.open(tmp_path, "run"), data, engine)
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8") == source
    assert sorted(entry.name for entry in (tmp_path / "run").iterdir() if "report" in entry.name) == ["report.html"]


def test_nothing_is_written_through_a_link(tmp_path):
    data = dataset()
    Run.create(tmp_path, "run", {})
    (tmp_path / "run" / "report.html").symlink_to(tmp_path / "elsewhere.html")
    with pytest.raises(ValueError, match=r"report\.html is a symbolic link"):
        write_report(Run.open(tmp_path, "run"), data, Engine(data))
    assert not (tmp_path / "elsewhere.html").exists()


# --- numbers ----------------------------------------------------------------------------------------------------------------------


def test_the_confusion_matrix_is_scikit_learns(digits_report):
    data, _, source, engine = digits_report
    predictions = engine.scores.argmax(axis=1)
    np.testing.assert_array_equal(engine.labels, data.val.labels)
    cells = re.findall(r'<td(?: class="\w+")? style="--a:[\d.]+">(\d+)</td>', source)
    expected = confusion_matrix(data.val.labels, predictions, labels=range(10))
    np.testing.assert_array_equal(np.array(cells, dtype=int).reshape(10, 10), expected)


def test_accuracies_are_scikit_learns(digits_report):
    data, page, source, engine = digits_report
    predictions = engine.scores.argmax(axis=1)
    accuracy, right = accuracy_score(data.val.labels, predictions), np.count_nonzero(data.val.labels == predictions)
    assert f"{right} of {len(data.val)} validation images right: accuracy {100 * accuracy:.1f} %" in page.text
    shown = re.findall(r'<span title="\d">\d</span>.*?<span class="number">([\d.]+)\N{NO-BREAK SPACE}%</span>', source)
    expected = recall_score(data.val.labels, predictions, average=None)
    np.testing.assert_allclose(np.array(shown, dtype=float), 100 * expected, rtol=0, atol=0.05001)  # one decimal is written


def test_the_interval_is_wilsons(digits_report):
    data, page, _, engine = digits_report
    right = int(np.count_nonzero(engine.scores.argmax(axis=1) == data.val.labels))
    interval = binomtest(right, len(data.val)).proportion_ci(0.95, method="wilson")
    assert f"interval {100 * interval.low:.1f} % to {100 * interval.high:.1f} %" in page.text


def test_the_headline_names_the_best_epoch(digits_report):
    _, page, _, _ = digits_report
    assert "best validation accuracy 60.0 % epoch 5 of 8" in page.text
    assert "last validation accuracy 50.0 %" in page.text
    assert f"parameters {9 * 64 + 9}" in page.text  # without the running mean
    assert "training time 12.0 s" in page.text
    assert page.text.count("best: epoch 5") == 2  # loss and accuracy


@pytest.mark.parametrize("losses", [(0.5, 0.5, 0.5), (0.5, 0.4, 0.6), (0.5, 0.6, 0.4), (math.nan, 0.6, math.nan)])
def test_the_best_epoch_is_that_of_the_history(tmp_path, losses):
    records = [epoch(number, val_accuracy=0.75, val_loss=loss) for number, loss in enumerate(losses, start=1)]
    page, _, _ = report(tmp_path, dataset(), records)
    best = History(record for record in records if math.isfinite(record["val_loss"])).best()
    assert page.text.count(f"best: epoch {best['epoch']}") == 2


def test_the_first_of_equally_good_epochs_is_the_best(tmp_path):
    page, _, _ = report(tmp_path, dataset(), [epoch(number, val_accuracy=0.75, val_loss=0.5) for number in (1, 2, 3)])
    assert "best validation accuracy 75.0 % epoch 1 of 3" in page.text


def test_the_wrong_samples_are_the_surest_ones(digits_report):
    data, page, _, engine = digits_report
    exponentials = np.exp(engine.scores)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    predictions = engine.scores.argmax(axis=1)
    wrong = [row for row in np.argsort(-probabilities.max(axis=1)) if predictions[row] != data.val.labels[row]][:24]
    shown = [re.match(r"Image (\d+), a (\d), taken for (\d)", alt).groups() for alt in page.attributes("img", "alt") if "taken for" in alt]
    assert [tuple(map(int, card)) for card in shown[: len(wrong)]] == [(row, data.val.labels[row], predictions[row]) for row in wrong]
    for row, picture in zip(wrong, pictures(page, "Image"), strict=False):
        np.testing.assert_allclose(picture, data.val.images[row, 0] * (255 / 16), rtol=0, atol=0.5)


def test_the_right_samples_show_every_class(digits_report):
    _, page, _, _ = digits_report
    right = [alt for alt in page.attributes("img", "alt") if (match := re.search(r"a (\d), taken for (\d)", alt)) and match[1] == match[2]]
    assert len(right) == 16
    assert {re.search(r"a (\d)", alt)[1] for alt in right} == set("0123456789")


def test_the_weights_are_shown_by_falling_norm(digits_report):
    _, page, _, engine = digits_report
    weights = engine.weights["1.weight"]
    units = np.argsort(-np.linalg.norm(weights, axis=1))
    assert [alt for alt in page.attributes("img", "alt") if alt.startswith("Weights")] == [f"Weights of unit {unit}" for unit in units]
    first = pictures(page, "Weights")[0].astype(float)
    assert np.corrcoef(first.ravel(), weights[units[0]])[0, 1] > 0.98  # 8 bits, and the outermost hundredth is clipped


def test_the_curves_have_every_epoch_and_the_table_too(digits_report):
    _, page, source, _ = digits_report
    assert source.count("<div>epoch 5<span>") == 3
    assert "5 best 50 0.4 0.5 90.0 % 60.0 %" in page.text
    assert "Loss, by epoch. training: from 2 to 0.25, least 0.25, greatest 2." in " ".join(page.attributes("svg", "aria-label"))


def test_the_test_split_is_evaluated_on_request_only(tmp_path):
    data = dataset()
    page, _, engine = report(tmp_path, data, [epoch(1)], split="test", checkpoint="best")
    accuracy = accuracy_score(data.test.labels, engine.scores.argmax(axis=1))
    np.testing.assert_array_equal(engine.labels, data.test.labels)
    assert f"test accuracy {100 * accuracy:.1f} % 40 images" in page.text
    assert "test images right with the best checkpoint" in page.text
    page, _, engine = report(tmp_path, data, [epoch(1)], name="other")
    np.testing.assert_array_equal(engine.labels, data.val.labels)
    assert "test accuracy" not in page.text


def test_the_configuration_is_there_with_all_its_values(tmp_path):
    config = {
        "created": "2026-01-02T03:04:05+00:00",
        "command": ["chainrule", "train", "two-layer", "--name", "a b"],
        "settings": {
            "model": "two-layer",
            "model_arguments": {"hidden_dims": [100, 50], "normalization": None},
            "lr": 0.001,
            "nesterov": False,
        },
        "versions": {"numpy": "2.0.1"},
        "machine": {"cores": 2, "disks": [{"size": 1}, {"size": 2}]},
        "data": {"checksum": "abc"},
    }
    data = dataset()
    page, _, _ = report(tmp_path, data, config=config)
    for line in (
        "two-layer · made-up · 2026-01-02 03:04 UTC",
        "command chainrule train two-layer --name 'a b'",
        "model_arguments. hidden_dims 100, 50",
        "model_arguments. normalization none",
        "lr 0.001",
        "nesterov false",
        "numpy 2.0.1",
        "disks[1]. size 2",
        "checksum abc",
        f"data of this page name made-up images 1 × 5 × 4 training / validation / test 40 / 40 / 40 classes 3 checksum {data.checksum}",
    ):
        assert re.sub(r"\s*·\s*", " · ", page.text).count(line) == 1, line


def test_the_statistics_of_layers_are_shown_with_their_course(tmp_path):
    records = [epoch(n, layers={"1 Linear": {"mean": 0.25, "std": 1.5, "grad_rms": 0.0125 * n, "dead": 0.6}}) for n in (1, 2)]
    page, source, _ = report(tmp_path, dataset(), records)
    assert "1 Linear 0.25 1.5 0.025 60.0 %" in page.text
    assert '<span class="warn">60.0' in source
    assert 'class="spark"' in source


# --- what is missing or unusual ---------------------------------------------------------------------------------------------------


def test_a_run_without_epochs_has_a_page_without_curves(tmp_path):
    page, _, _ = report(tmp_path, dataset(), config={"note": "nothing"})
    assert "Curves" not in page.text
    assert "epochs 0" in page.text
    assert "note nothing" in page.text


def test_a_run_stopped_in_its_first_epoch_shows_its_updates(tmp_path):
    page, _, _ = report(tmp_path, dataset(), [{"step": 50, "loss": 2.5, "lr": 0.1}, {"step": 100, "loss": 1.5, "lr": 0.1}])
    assert "Loss, by update. single batches: from 2.5 to 1.5" in " ".join(page.attributes("svg", "aria-label"))


def test_a_run_of_one_epoch(tmp_path):
    page, _, _ = report(tmp_path, dataset(), [epoch(1)])
    assert "epoch 1 of 1" in page.text


def test_a_run_of_a_thousand_epochs_is_drawn_whole_and_listed_in_part(tmp_path):
    records = [epoch(number, val_accuracy=0.9 if number == 503 else 0.5) for number in range(1, 1001)]
    page, source, _ = report(tmp_path, dataset(), records)
    assert "epoch 503 of 1,000" in page.text
    assert "503 best" in page.text
    assert 200 <= source.count('<th scope="row">') <= 230
    assert len(source.encode()) < 600_000


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "text", True, [1], 10**400])
def test_records_with_values_that_are_no_numbers(tmp_path, value):
    page, _, _ = report(
        tmp_path, dataset(), [epoch(1), epoch(2, val_loss=value, val_accuracy=value, lr=value, seconds=value), {"odd": value}]
    )
    assert "epoch 1 of 2" in page.text
    assert "validation (1 not finite)" in page.text


def test_a_network_of_nan_still_gets_its_page(tmp_path):
    data = dataset()
    engine = Engine(data, {"1.weight": np.full((4, 20), np.nan, dtype=np.float32)})
    engine.evaluate = lambda images, labels, tta: (math.nan, np.full((len(images), 3), np.nan))
    page, source, _ = report(tmp_path, data, engine=engine)
    assert "loss –" in page.text
    assert not re.search(r"\bnan\b", re.sub(r'"data:[^"]*"', "", source), re.IGNORECASE)


@pytest.mark.parametrize("skill", [100.0, -100.0])
def test_all_right_or_all_wrong(tmp_path, skill):
    data = dataset()
    page, _, _ = report(tmp_path, data, engine=Engine(data, skill=skill))
    assert ("None: every validation image is right." if skill > 0 else "None: no validation image is right.") in page.text


def test_many_classes_are_a_picture_and_a_list_of_the_hardest(tmp_path):
    data = dataset(50, samples=600)
    page, _, engine = report(tmp_path, data)
    expected = confusion_matrix(data.val.labels, engine.scores.argmax(axis=1), labels=range(50))
    (picture,) = pictures(page, "Confusion matrix")
    assert picture.shape == (50, 50, 4)
    share = expected / np.maximum(expected.sum(axis=1), 1)[:, None]
    np.testing.assert_allclose(picture[..., 3], 255 * np.sqrt(share), rtol=0, atol=0.5)
    assert "The other 30 classes" in page.text
    shown = re.findall(r"class \d+ ([\d.]+) % of \d+", page.text)
    assert list(map(float, shown)) == sorted(map(float, shown))
    true, predicted = np.unravel_index(np.argmax(expected - np.diag(expected.diagonal())), expected.shape)
    assert f"Most frequent mistakes class {true} taken for class {predicted} {expected[true, predicted]} · " in page.text


def test_a_class_without_images_has_no_accuracy(tmp_path):
    data = dataset(3, names=("a", "b", "c", "absent"))
    page, _, _ = report(tmp_path, data)
    assert "absent – of 0" in page.text


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((3, 6, 5), np.float32), ((1, 6, 5), np.float64), ((4, 6, 5), np.uint8), ((1, 1, 7), np.uint8), ((5, 1, 1), np.float32)],
)
def test_images_of_any_kind(tmp_path, shape, dtype):
    page, _, engine = report(tmp_path, dataset(3, shape, dtype=dtype))
    wrong = np.count_nonzero(engine.scores.argmax(axis=1) != engine.labels)
    has_places = shape[1] * shape[2] > 1  # features without places are listed without pictures
    assert len(pictures(page, "Image")) == (wrong + 16 if has_places else 0)
    assert f"Wrong {wrong} of {wrong}, those it was surest of" in page.text


@pytest.mark.parametrize(("channels", "mode"), [(1, 2), (2, 2), (3, 3)])
def test_kernels_of_a_convolution_are_pictures_too(tmp_path, channels, mode):
    data = dataset(3, (channels, 6, 5))
    kernels = np.random.default_rng(0).standard_normal((70, channels, 3, 3)).astype(np.float32)
    page, _, _ = report(tmp_path, data, engine=Engine(data, {"conv1.weight": kernels, "fc.weight": np.ones((3, 70))}))
    shown = pictures(page, "Weights of unit")
    assert len(shown) == 64
    assert shown[0].ndim == mode
    assert "64 of 70 units" in page.text


@pytest.mark.parametrize("weights", [{}, {"w": np.ones(3)}, {"w": np.ones((4, 7))}, {"w": np.ones((4, 3, 1, 1))}])
def test_weights_that_are_no_pictures_are_left_out(tmp_path, weights):
    data = dataset()
    page, _, _ = report(tmp_path, data, engine=Engine(data, weights))
    assert "first layer" not in page.text


# --- what somebody typed ----------------------------------------------------------------------------------------------------------


def test_hostile_names_are_text(tmp_path):
    data = dataset(2, names=(HOSTILE, HOSTILE[::-1]), name=HOSTILE)
    config = {
        HOSTILE: HOSTILE,
        "command": [HOSTILE],
        "created": HOSTILE,
        "settings": {"model": HOSTILE, "engine": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
    }
    layers = {HOSTILE: {"mean": HOSTILE, "std": 1.0, "grad_rms": HOSTILE, "dead": 0.0}}
    weights = {HOSTILE: np.ones((3, 20), dtype=np.float32)}
    page, source, _ = report(tmp_path, data, [epoch(1, layers=layers)], config, Engine(data, weights))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe"})
    assert all(src.startswith("data:image/png;base64,") for src in page.attributes("img", "src"))
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert source.count("<script") == 0
    assert HOSTILE in html.unescape(source)
    assert f"a {HOSTILE}, taken for" in " ".join(page.attributes("img", "alt"))


@settings(max_examples=30)  # each writes a page
@given(text=st.text(max_size=60))
def test_any_text_in_the_configuration_leaves_the_page_whole(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("runs")
    data = dataset(2, samples=4)
    run = Run.create(folder, "run", {})
    run.config = {text: text, "settings": {text: [text, {text: None}]}}
    page = Page(write_report(run, data, Engine(data)).read_text(encoding="utf-8"))
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe"})


def test_a_configuration_of_any_depth_and_size(tmp_path):
    data = dataset()
    run = Run.create(tmp_path, "run", {})
    deep = value = {}
    for _ in range(5000):
        value["a"] = value = {}
    run.config = {
        "deep": deep,
        "long": "x" * 10_000,
        "wide": {str(number): number for number in range(10_000)},
        "many": list(range(10_000)),
    }
    page = Page(source := write_report(run, data, Engine(data)).read_text(encoding="utf-8"))
    assert "more in config.json" in page.text
    assert len(source) < 400_000


def test_a_name_that_is_not_utf8_is_escaped(tmp_path):
    data = dataset()
    page, _, _ = report(tmp_path, data, config={"command": ["train", "caf\udce9"]})
    assert "caf\\udce9" in page.text


# --- in a browser -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")
@pytest.mark.parametrize("width", [1200, 520])
def test_a_browser_shows_it_without_scrolling_sideways(digits_report, tmp_path, width):
    _, _, source, _ = digits_report
    probe = "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth</script></body>"
    # the page itself allows no script; the probe's copy does
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    (tmp_path / "page.html").write_text(source.replace(policy, "").replace("</body>", probe), encoding="utf-8")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    command = ["chromium", *flags, f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", "--dump-dom"]
    done = subprocess.run([*command, f"file://{tmp_path / 'page.html'}"], capture_output=True, text=True, timeout=120, check=True)
    content, window = map(int, re.search(r"<title>(\d+) (\d+)</title>", done.stdout).groups())
    assert content <= window
