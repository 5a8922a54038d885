"""Runs side by side: what is said of them is what their folders hold, and a difference that chance explains is called that."""

import math

import pytest

from chainrule.training import Run
from chainrule.training.comparison import compare, verdict, write_comparison


@pytest.fixture
def make_run(tmp_path):
    """make_run(name, accuracies, images=..., **settings) -> a run of so many epochs."""

    def make(name, accuracies, images=1000, **settings):
        run = Run.create(
            tmp_path, name, {"settings": {"lr": 0.1, "model_arguments": {"width": 4}} | settings, "data": {"images": {"val": images}}}
        )
        with run.lock():
            for epoch, accuracy in enumerate(accuracies, 1):
                record = {"epoch": epoch, "step": 10 * epoch, "train_loss": 1 / epoch, "train_accuracy": accuracy, "val_loss": 1 - accuracy}
                run.log(record | {"val_accuracy": accuracy, "lr": 0.1, "seconds": 2.0})
            run.log({"step": 35, "loss": 0.5, "lr": 0.1})  # a line between the epochs is none
        return run

    return make


def test_each_run_is_held_against_the_first(make_run):
    comparison = compare([make_run("a", [0.5, 0.6]), make_run("b", [0.7, 0.4, 0.5]), make_run("c", [0.61])])
    first, second, third = comparison.results
    assert (first.difference, first.noise, first.seconds, verdict(first)) == (None, None, 4.0, "")
    assert second.difference == pytest.approx(0.1)
    # the 95 % interval of the difference of two proportions
    assert second.noise == pytest.approx(1.96 * math.sqrt(0.6 * 0.4 / 1000 + 0.7 * 0.3 / 1000))
    assert verdict(second) == "better"
    assert verdict(third) == "within the noise of 1,000 images"


def test_fewer_images_make_more_noise(make_run):
    comparison = compare([make_run("a", [0.6], images=50), make_run("b", [0.5], images=50), make_run("c", [0.5], images=10_000)])
    assert [verdict(result) for result in comparison.results[1:]] == ["within the noise of 50 images", "within the noise of 10,000 images"]
    assert verdict(compare([make_run("d", [0.6], images=5000), make_run("e", [0.5], images=5000)]).results[1]) == "worse"


def test_only_settings_that_differ_are_told_those_of_the_model_too(make_run):
    runs = [make_run("a", [0.5]), make_run("b", [0.5], model_arguments={"width": 8}), make_run("c", [0.5], lr=0.2, extra=True)]
    assert compare(runs).settings == {"lr": [0.1, 0.1, 0.2], "model_arguments.width": [4, 8, 4], "extra": ["-", "-", True]}


def test_the_page_shows_results_curves_and_settings_and_loads_nothing(make_run, tmp_path):
    page = tmp_path / "page.html"
    write_comparison(compare([make_run("a", [0.5, 0.6]), make_run("b", [0.7, 0.65, 0.64], lr=0.3)]), page)
    html = page.read_text()
    for text in ("a against b", "70.0", "+10.0", "± 4.2", "better", "Validation accuracy", "Training loss", "0.3"):
        assert text in html
    assert html.count('class="line-1"') >= 4
    assert "not finite" not in html  # a run of fewer epochs just ends
    assert "http" not in html.replace("Content-Security-Policy", "").replace("http-equiv", "")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a"], "1 run to compare; name 2 to 8"),
        (["a"] * 9, "9 runs to compare; name 2 to 8"),
        (["a", "b", "a"], "a run is named twice: a, b, a; a comparison needs different ones"),
        (["a", "fresh"], "run 'fresh' has no finished epoch yet; there is nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(make_run, names, said):
    runs = {"a": make_run("a", [0.5]), "b": make_run("b", [0.5]), "fresh": make_run("fresh", [])}
    with pytest.raises(ValueError, match=said):
        compare([runs[name] for name in names])


def test_a_run_that_does_not_say_on_how_many_images_it_was_measured_is_refused(make_run):
    run = make_run("b", [0.5])
    run.config["data"] = {}
    with pytest.raises(ValueError, match=r"config\.json does not say on how many validation images"):
        compare([make_run("a", [0.5]), run])
