"""Every catalogued mistake is told by its own sentence, and no right solution is called wrong, however it is written."""

import importlib
import importlib.util
import pkgutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import chainrule.lab.mistakes
import chainrule.lab.probes
from chainrule.lab.diagnosis import diagnose
from chainrule.lab.labs import FILES
from chainrule.lab.mistake import KINDS
from chainrule.lab.probing import outcome

NEEDS = {exercise.topic: file.needs for file in FILES for exercise in file.exercises}
TOPICS = sorted(  # those of TensorFlow are tested where it is, by `make test-tensorflow`
    module.name
    for module in pkgutil.iter_modules(chainrule.lab.probes.__path__)
    if "tensorflow" not in NEEDS[module.name] or importlib.util.find_spec("tensorflow")
)
EXERCISES = {(exercise.topic, exercise.name): exercise for file in FILES for exercise in file.exercises}


def probes_of(topic):
    return importlib.import_module(f"chainrule.lab.probes.{topic}").PROBES


def mistakes_of(topic):
    return importlib.import_module(f"chainrule.lab.mistakes.{topic}").MISTAKES


def exercise_of(topic, function):
    return EXERCISES[topic, function.partition(".")[0]]


def library_of(topic):
    """What probes of a topic may call: the functions of the files that have it."""
    files = [file for file in FILES if any(exercise.topic == topic for exercise in file.exercises)]
    return {
        exercise.name: getattr(importlib.import_module(exercise.source), exercise.name) for file in files for exercise in file.exercises
    }


MISTAKES = [(topic, index) for topic in TOPICS for index in range(len(mistakes_of(topic)))]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """PyTorch's threads wait for each other longer than these small networks take."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def right_ways():
    for path in sorted(Path(__file__).parent.joinpath("right").glob("*.py")):
        if path.stem not in TOPICS:
            continue
        spec = importlib.util.spec_from_file_location(f"right_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for title, functions in module.RIGHT:
            for function in probes_of(path.stem):  # of a class, its methods
                if function.partition(".")[0] in functions:
                    yield pytest.param(path.stem, function, functions, id=f"{path.stem}-{function}-{title}")


@pytest.mark.parametrize(("topic", "function"), [(topic, function) for topic in TOPICS for function in probes_of(topic)])
def test_the_library_answers_every_probe(topic, function):
    exercise = exercise_of(topic, function)
    for probe in probes_of(topic)[function]:
        seen = outcome(probe, library_of(topic), exercise.may_change)
        assert (seen.error, seen.changed, seen.unsteady) == ("", (), False), probe.title
        assert all(value is not None for value in seen.values.values()), probe.title


@cache
def right_outcomes(topic, function):
    library, may_change = library_of(topic), exercise_of(topic, function).may_change
    return [outcome(probe, library, may_change) for probe in probes_of(topic)[function]]


@pytest.mark.parametrize(("topic", "index"), MISTAKES)
def test_a_catalogued_mistake_is_named_and_no_other(topic, index):
    mistake = mistakes_of(topic)[index]
    exercise, probes, library = exercise_of(topic, mistake.function), probes_of(topic)[mistake.function], library_of(topic)
    functions = {**library, mistake.function.partition(".")[0]: mistake.code, **(mistake.also or {})}
    seen = [outcome(probe, functions, exercise.may_change) for probe in probes]
    finding = diagnose(mistake.function, topic, probes, seen, right_outcomes(topic, mistake.function), library, exercise.may_change)
    assert finding is not None, "this is no mistake: every probe sees what is right"
    assert (finding.kind, finding.sentence) == (mistake.kind, mistake.sentence)


def a_finding_on_init(topic, name, network):
    exercise, probes, library = exercise_of(topic, name), probes_of(topic)[f"{name}.__init__"], library_of(topic)
    seen = [outcome(probe, {**library, name: network}, exercise.may_change) for probe in probes]
    return diagnose(f"{name}.__init__", topic, probes, seen, right_outcomes(topic, f"{name}.__init__"), library, exercise.may_change)


NETWORKS = [("residual_blocks", "ResidualBlock"), ("modules", "TwoLayerFC"), ("modules", "ThreeLayerConvNet")]
IN_FORWARD = [
    (topic, name, index)
    for topic, name in NETWORKS
    for index, mistake in enumerate(mistakes_of(topic))
    if mistake.function == f"{name}.forward"
]


@pytest.mark.parametrize(("topic", "name", "index"), IN_FORWARD)
def test_init_is_right_whatever_is_wrong_with_forward(topic, name, index):
    assert a_finding_on_init(topic, name, mistakes_of(topic)[index].code) is None


@pytest.mark.parametrize(("topic", "name"), NETWORKS)
@pytest.mark.parametrize("error", [NotImplementedError, NameError])
def test_init_is_right_where_forward_fails(topic, name, error):
    def forward(self, x):
        raise error("forward")

    assert a_finding_on_init(topic, name, type(name, (library_of(topic)[name],), {"forward": forward})) is None


def example_of(topic, sentence):
    """What a mistake gives and what is right, in the probe that shows it."""
    mistake = next(each for each in mistakes_of(topic) if each.sentence.startswith(sentence))
    probes, library, expected = probes_of(topic)[mistake.function], library_of(topic), right_outcomes(topic, mistake.function)
    seen = [outcome(probe, {**library, mistake.function: mistake.code}) for probe in probes]
    finding = diagnose(mistake.function, topic, probes, seen, expected, library, exercise_of(topic, mistake.function).may_change)
    return seen[finding.probe].values, expected[finding.probe].values


@pytest.mark.parametrize(
    ("topic", "sentence", "value"),
    [
        ("batchnorm", "eps is added to the standard deviation, outside", "out"),
        ("update_rules", "epsilon is added to the mean of squares, inside", "next_w"),
    ],
)
def test_the_example_of_an_epsilon_in_the_wrong_place_shows_a_difference(topic, sentence, value):
    got, right = (values[value] for values in example_of(topic, sentence))
    assert abs(got - right).max() > 0.01


def test_the_example_of_one_mask_for_all_samples_has_a_number_for_each_value():
    for values in example_of("dropout", "one mask is used for all samples"):
        assert all(np.isfinite(value) for value in values.values())


@pytest.mark.parametrize("topic", TOPICS)
def test_mistakes_are_told_in_a_sentence_with_hints(topic):
    for mistake in mistakes_of(topic):
        sizes = probes_of(topic)[mistake.function][0].sizes
        assert mistake.kind in KINDS and mistake.kind != "unknown", mistake
        assert mistake.sentence[0].islower() or mistake.sentence.split()[0].rstrip(",:;") in sizes, mistake
        assert not mistake.sentence.endswith("."), mistake
        assert len(mistake.hints) >= 2 and all(hint.strip() for hint in mistake.hints), mistake


@pytest.mark.parametrize(("topic", "function", "functions"), list(right_ways()))
def test_a_right_solution_of_any_style_is_right(topic, function, functions):
    exercise, probes, library = exercise_of(topic, function), probes_of(topic)[function], library_of(topic)
    seen = [outcome(probe, {**library, **functions}, exercise.may_change) for probe in probes]
    finding = diagnose(function, topic, probes, seen, right_outcomes(topic, function), library, exercise.may_change)
    assert [each.error for each in seen if each.error] == []
    assert finding is None, finding.sentence
