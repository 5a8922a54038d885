"""report.html: what a run did, on one page that opens anywhere, offline, without scripts.

Names, classes and configuration are what somebody typed: the template escapes every text, and the page forbids itself to load anything.
"""

import math
import shlex
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from chainrule.training.charts import Series, line_chart, sparkline
from chainrule.training.evaluation import evaluate
from chainrule.training.history import epoch_rank
from chainrule.training.pages import duration_text, number_text, percent_text, percent_tick, render
from chainrule.training.storage import write_file
from chainrule.visualization.attribution import saliency_maps
from chainrule.visualization.pictures import data_url, image_pixels, overlay, reduced, weight_pixels

__all__ = ["write_report"]

SPLITS = {"train": "training", "val": "validation", "test": "test"}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # last parts of the keys of a state_dict that are not learned
RIGHT_SAMPLES, WRONG_SAMPLES, WEIGHT_TILES = 16, 24, 64
IMAGE_SIDE, TILE_SIDE = 64, 40  # pixels; greater pictures are reduced, so that the page stays under 1.5 MB
WRITTEN_CLASSES = 20  # up to so many classes the confusion matrix has its counts written in; beyond, it is a picture
TABLE_ROWS = 200
CONFIG_ROWS, CONFIG_TEXT = 400, 1000  # rows of a section and characters of a value that are shown


def write_report(
    run, data, engine, *, split: Literal["train", "val", "test"] = "val", checkpoint: Literal["last", "best"] | None = None
) -> Path:
    """Write RUN/report.html, whole or not at all. Its curves come from the run's metrics, everything else from the network in `engine`.

    Parameters
    ----------
    run : Run
    data : Dataset
    engine : Engine of the trained network
    split : the images that confusion matrix and samples are made of
    checkpoint : the one that the network's parameters come from, for the text (default: it is not named)

    Returns
    -------
    path of the page

    Raises
    ------
    OSError
        It could not be written; an earlier report is intact.
    ValueError
        metrics.jsonl is broken, or report.html is a symbolic link.
    """
    records = run.metrics()
    epochs, updates = _numbers(records)
    evaluation = evaluate(engine, data, data.split(split))
    state = engine.model_state()
    best = _best(epochs)
    page = render(
        Path(__file__).with_name("report.html.jinja"),
        name=run.name,
        about=_about(run, data),
        split=SPLITS[split],
        checkpoint=checkpoint,
        headline=_headline(epochs, best, evaluation, state, split),
        charts=_charts(epochs, updates, best),
        epochs=_epoch_rows(epochs, best),
        result=_result(evaluation),
        confusion=_confusion(evaluation.confusion(), data.classes),
        samples=_samples(evaluation, data, data.split(split), engine.model),
        weights=_weights(state, data.image_shape),
        layers=_layers(records),
        config=_config(run.config, data),
    )
    path = run.file("report.html")
    write_file(path, page, what="the report")
    return path


# --- what the run measured --------------------------------------------------------------------------------------------------------

EPOCH_NUMBERS = ("epoch", "step", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds")


def _numbers(records):
    """The columns of the epochs' records and of the updates' between them, as floats; NaN for what is missing or no number."""
    epochs = [record for record in records if math.isfinite(_float(record.get("epoch")))]
    updates = [record for record in records if "epoch" not in record and math.isfinite(_float(record.get("step")))]

    def columns(records, names):
        return {name: np.array([_float(record.get(name)) for record in records], dtype=np.float64) for name in names}

    return columns(epochs, EPOCH_NUMBERS), columns(updates, ("step", "loss", "lr"))


def _float(value):
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.nan


def _best(epochs):
    """Row of the best epoch, as `History.best` has it; None if no epoch has an accuracy. A loss that is no number is the worst."""
    accuracy, loss = epochs["val_accuracy"], np.where(np.isfinite(epochs["val_loss"]), epochs["val_loss"], math.inf)
    rows = (int(row) for row in np.flatnonzero(np.isfinite(accuracy)))
    return max(rows, key=lambda row: epoch_rank(accuracy[row], loss[row]), default=None)


def _headline(epochs, best, evaluation, state, split):
    """The numbers to look at first: (label, value, remark), the greatest first."""
    count = len(epochs["epoch"])
    learned = sum(int(array.size) for name, array in state.items() if name.rpartition(".")[2] not in BUFFERS)
    numbers = []
    if split == "test":
        numbers.append(("test accuracy", percent_text(evaluation.accuracy), f"{len(evaluation.labels):,} images"))
    if best is not None:
        remark = f"epoch {epochs['epoch'][best]:,.0f} of {epochs['epoch'][-1]:,.0f}"
        numbers.append(("best validation accuracy", percent_text(epochs["val_accuracy"][best]), remark))
    elif split != "test":
        numbers.append((f"{SPLITS[split]} accuracy", percent_text(evaluation.accuracy), f"{len(evaluation.labels):,} images"))
    if best is not None:
        gap = epochs["train_accuracy"][-1] - epochs["val_accuracy"][-1]
        remark = f"training {percent_text(epochs['train_accuracy'][-1])}" if math.isfinite(gap) else ""
        numbers.append(("last validation accuracy", percent_text(epochs["val_accuracy"][-1]), remark))
    numbers.append(("epochs", f"{count:,}", f"{epochs['step'][-1]:,.0f} updates" if count and math.isfinite(epochs["step"][-1]) else ""))
    seconds = epochs["seconds"][np.isfinite(epochs["seconds"])]
    if len(seconds):
        numbers.append(("training time", duration_text(seconds.sum()), f"{duration_text(seconds.mean())} an epoch"))
    numbers.append(("parameters", f"{learned:,}", ""))
    return numbers


def _charts(epochs, updates, best):
    """Loss, accuracy and learning rate over the epochs, as far as there is something to show."""
    x = epochs["epoch"]
    steps_per_epoch, x_label = 1.0, "update"
    if len(x):
        x_label = "epoch"
        if epochs["step"][-1] > 0:
            steps_per_epoch = epochs["step"][-1] / x[-1]
    between = updates["step"] / steps_per_epoch
    mark = None if best is None else (x[best], f"best: epoch {x[best]:,.0f}")
    losses = [
        Series("single batches", "batch" if len(x) else "train", between, updates["loss"], background=bool(len(x))),
        Series("training", "train", x, epochs["train_loss"]),
        Series("validation", "val", x, epochs["val_loss"]),
    ]
    accuracies = [Series("training", "train", x, epochs["train_accuracy"]), Series("validation", "val", x, epochs["val_accuracy"])]
    x_lr, order = np.concatenate([between, x]), np.argsort(np.concatenate([between, x]), kind="stable")
    rates = [Series("rate", "rate", x_lr[order], np.concatenate([updates["lr"], epochs["lr"]])[order])]
    shared = {"x_label": x_label, "x_from": 0.0 if len(between) else None}
    charts = (
        line_chart("Loss", losses, number=number_text, may_be_log=True, mark=mark, **shared),
        line_chart("Accuracy", accuracies, number=percent_text, tick=percent_tick, mark=mark, **shared),
        line_chart("Learning rate", rates, number=number_text, **shared),
    )
    return [chart for chart in charts if chart is not None]


def _epoch_rows(epochs, best):
    """Rows of the table of all epochs; of a long run every n-th, the best and the last. (is best, epoch, train loss, ...)."""
    count = len(epochs["epoch"])
    rows = sorted({*range(0, count, max(1, -(-count // TABLE_ROWS))), *([] if best is None else [best]), *([count - 1] if count else [])})
    return [{name: float(column[row]) for name, column in epochs.items()} | {"is_best": row == best} for row in rows]


# --- how good the network is ------------------------------------------------------------------------------------------------------


def _result(evaluation):
    """Loss, accuracy and its 95 % interval: Wilson's score interval (1927), which also holds close to 0 and 1."""
    n, p, z = len(evaluation.labels), evaluation.accuracy, 1.96
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    radius = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    right = int(np.count_nonzero(evaluation.predictions == evaluation.labels))
    return {
        "images": n,
        "right": right,
        "accuracy": p,
        "low": max(0.0, centre - radius),
        "high": min(1.0, centre + radius),
        "loss": float(evaluation.loss),
    }


def _confusion(counts, classes):
    """Rows of the matrix, each class's share of right predictions, and the most frequent mistakes.

    counts : (classes, classes), row = true class, column = predicted
    """
    total = counts.sum(axis=1)
    share = counts / np.maximum(total, 1)[:, None]
    off_diagonal = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    most = np.argsort(-off_diagonal, axis=None, kind="stable")[:10]
    mistakes = [(int(true), int(predicted)) for true, predicted in zip(*np.unravel_index(most, counts.shape), strict=True)]
    per_class = [
        {"name": name, "images": int(n), "share": float(right / n) if n else math.nan}
        for name, n, right in zip(classes, total, counts.diagonal(), strict=True)
    ]
    if len(classes) > WRITTEN_CLASSES:  # the hardest first, those without images last
        per_class.sort(key=lambda entry: entry["share"] if entry["images"] else 2.0)
    confusion: dict[str, Any] = {
        "classes": classes,
        "per_class": per_class,
        "mistakes": [
            {"true": classes[i], "predicted": classes[j], "count": int(counts[i, j]), "share": float(share[i, j])}
            for i, j in mistakes
            if off_diagonal[i, j]
        ],
        "tall": any(len(name) > 3 for name in classes),
        "rows": None,
        "picture": None,
    }
    if len(classes) <= WRITTEN_CLASSES:
        confusion["rows"] = [
            [{"count": int(n), "depth": math.sqrt(part), "right": i == j} for j, (n, part) in enumerate(zip(row, parts, strict=True))]
            for i, (row, parts) in enumerate(zip(counts, share, strict=True))
        ]
    else:
        confusion["picture"] = data_url(_matrix_pixels(share))
    return confusion


def _matrix_pixels(share):
    """(classes, classes) shares -> (classes, classes, 4): right predictions blue, mistakes orange, the denser the more frequent."""
    pixels = np.empty((*share.shape, 4), dtype=np.uint8)
    pixels[..., :3] = (217, 95, 2)
    pixels[np.eye(len(share), dtype=bool), :3] = (45, 112, 200)
    pixels[..., 3] = np.round(255 * np.sqrt(share))  # the root shows rare mistakes too
    return pixels


def _samples(evaluation, data, split, module):
    """Cards of right predictions, by class in turn, and of the wrong ones that the network was surest of, with what decided in each."""
    scores = evaluation.scores.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    predictions, labels = evaluation.predictions, evaluation.labels
    predicted = probabilities[np.arange(len(labels)), predictions]
    right, wrong = np.flatnonzero(predictions == labels), np.flatnonzero(predictions != labels)
    surest = wrong[np.argsort(-predicted[wrong], kind="stable")][:WRONG_SAMPLES]  # NaN sorts last
    earlier: Counter[int] = Counter()
    rounds = []
    for row in right:
        rounds.append((earlier[labels[row]], labels[row], row))
        earlier[labels[row]] += 1
    in_turn = np.array([row for _, _, row in sorted(rounds)[:RIGHT_SAMPLES]], dtype=np.int64)

    rows = np.concatenate([surest, in_turn])
    pictures, deciding = [None] * len(rows), [None] * len(rows)
    if len(rows) and split.images[0, 0].size > 1:  # features without places are no pictures
        pixels = image_pixels(reduced(split.images[rows], IMAGE_SIDE), data.scale)
        maps = np.nan_to_num(saliency_maps(module, data.normalize(split.images[rows]), predictions[rows]), posinf=0.0)
        pictures = [data_url(picture) for picture in pixels]
        deciding = [data_url(picture) for picture in overlay(pixels, reduced(maps[:, None], IMAGE_SIDE)[:, 0])]
    cards = [
        {
            "index": int(row),
            "picture": picture,
            "deciding": saliency,
            "true": data.classes[labels[row]],
            "predicted": data.classes[predictions[row]],
            "probability": float(predicted[row]),
            "of_true": float(probabilities[row, labels[row]]),
        }
        for row, picture, saliency in zip(rows, pictures, deciding, strict=True)
    ]
    return {
        "pictures": any(pictures),
        "wrong": cards[: len(surest)],
        "right": cards[len(surest) :],
        "all_wrong": len(wrong),
        "all_right": len(right),
    }


# --- what it has learned ----------------------------------------------------------------------------------------------------------


def _weights(state: Mapping[str, np.ndarray], image_shape):
    """The first layer's weights as pictures, those of the greatest norm first; None if they are no pictures."""
    first = next(((name, array) for name, array in state.items() if array.ndim in (2, 4)), None)
    if first is None:
        return None
    name, weights = first
    if weights.ndim == 2:
        if weights.shape[1] != math.prod(image_shape):
            return None
        weights = weights.reshape(len(weights), *image_shape)
    if weights[0, 0].size < 2:
        return None
    norms = np.nan_to_num(np.linalg.norm(weights.reshape(len(weights), -1).astype(np.float64), axis=1))
    units = np.argsort(-norms, kind="stable")[:WEIGHT_TILES]
    pictures = [data_url(tile) for tile in weight_pixels(reduced(weights[units], TILE_SIDE))]
    return {
        "name": name,
        "shape": " × ".join(map(str, weights.shape[1:])),
        "units": len(weights),
        "first_channel": weights.shape[1] not in (1, 3),
        "tiles": [
            {"unit": int(unit), "norm": float(norms[unit]), "picture": picture} for unit, picture in zip(units, pictures, strict=True)
        ],
    }


def _layers(records):
    """A row for each layer that the last epoch with statistics names: its numbers then, and their course over the epochs."""
    logged = [record["layers"] for record in records if isinstance(record.get("layers"), dict)]
    if not logged:
        return []
    rows = []
    for name, last in list(logged[-1].items())[:TABLE_ROWS]:
        if isinstance(last, dict):
            row: dict[str, Any] = {"name": name}
            for statistic in ("mean", "std", "grad_rms", "dead"):
                course = np.array([_float(entry.get(statistic)) for layers in logged if isinstance(entry := layers.get(name), dict)])
                row[statistic] = {"last": _float(last.get(statistic)), "path": sparkline(course) if len(course) > 1 else ""}
            rows.append(row)
    return rows


# --- how to repeat it -------------------------------------------------------------------------------------------------------------


def _about(run, data):
    """Model, data set, engine and date, as far as the configuration has them, and the command that repeats the run."""
    settings, created = run.config.get("settings"), run.config.get("created")
    settings = settings if isinstance(settings, dict) else {}
    engine = f"{settings['engine']} engine" if isinstance(settings.get("engine"), str) else None
    if isinstance(created, str):
        with suppress(ValueError):  # another text than `provenance` writes is shown as it is
            created = f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}"
    return {
        "parts": [_shortened(text) for text in (settings.get("model"), data.name, engine, created) if isinstance(text, str)],
        "repeat": shlex.join(["chainrule", "train", "--config", str(run.path / "config.json")]) if settings else None,
    }


def _config(config, data):
    """Sections of config.json, (title, rows of name and value), single values first; and the data, if it is not what config.json says."""
    loaded = {
        "name": data.name,
        "images": " × ".join(map(str, data.image_shape)),
        "training / validation / test": f"{len(data.train):,} / {len(data.val):,} / {len(data.test):,}",
        "classes": len(data.classes),
        "checksum": data.checksum,
    }
    plain = {name: value for name, value in config.items() if not isinstance(value, dict)}
    if isinstance(command := plain.get("command"), list) and all(isinstance(word, str) for word in command):
        plain["command"] = shlex.join(command)
    sections = [("run", plain), *((name, value) for name, value in config.items() if isinstance(value, dict))]
    if not isinstance(recorded := config.get("data"), dict) or recorded.get("checksum") != data.checksum:
        sections.append(("data of this page", loaded))
    return [(_shortened(title), _rows(values)) for title, values in sections if values]


def _rows(values):
    """A nest of dicts and lists as rows (dotted name, text), in its order; a list of plain values is one row."""
    rows, waiting = [], [("", values)]
    while waiting and len(rows) < CONFIG_ROWS:  # not recursive: a config.json may be nested deeper than Python's stack
        name, value = waiting.pop()
        if isinstance(value, dict) and value:
            waiting += reversed([(f"{name}.{key}" if name else key, entry) for key, entry in value.items()])
        elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
            waiting += reversed([(f"{name}[{index}]", entry) for index, entry in enumerate(value)])
        else:
            rows.append((_shortened(name), _shortened(_text(value))))
    if waiting:
        rows.append(("…", "more in config.json"))
    return rows


def _text(value):
    match value:
        case None:
            return "none"
        case True | False:
            return str(value).lower()
        case {}:
            return "{}"
        case []:
            return "[]"
        case list():
            return ", ".join(_text(entry) for entry in value[:CONFIG_TEXT])
        case float():
            return f"{value:g}" if value == float(f"{value:g}") else repr(value)
    return str(value)


def _shortened(text):
    return text if len(text) <= CONFIG_TEXT else text[:CONFIG_TEXT] + "…"
