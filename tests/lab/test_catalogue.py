"""Every catalogued mistake is told by its own sentence, and no right solution is called wrong, however it is written."""

import importlib
import importlib.util
import pkgutil
from pathlib import Path

import pytest

import chainrule.lab.mistakes
import chainrule.lab.probes
from chainrule.lab.diagnosis import alike, diagnose, matching
from chainrule.lab.labs import FILES
from chainrule.lab.mistake import KINDS
from chainrule.lab.probing import outcome

TOPICS = sorted(module.name for module in pkgutil.iter_modules(chainrule.lab.probes.__path__))
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


def right_ways():
    for path in sorted(Path(__file__).parent.joinpath("right").glob("*.py")):
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


@pytest.mark.parametrize(("topic", "index"), MISTAKES)
def test_a_catalogued_mistake_is_named_and_no_other(topic, index):
    mistake = mistakes_of(topic)[index]
    exercise, probes, library = exercise_of(topic, mistake.function), probes_of(topic)[mistake.function], library_of(topic)
    functions = {**library, mistake.function.partition(".")[0]: mistake.code, **(mistake.also or {})}
    seen = [outcome(probe, functions, exercise.may_change) for probe in probes]
    expected = [outcome(probe, library, exercise.may_change) for probe in probes]
    assert not all(alike(*each) for each in zip(seen, expected, strict=True)), "this is no mistake: every probe sees what is right"
    found = matching(mistake.function, topic, probes, seen, library, exercise.may_change)
    assert [other.sentence for other in found] == [mistake.sentence]
    finding = diagnose(mistake.function, topic, probes, seen, expected, library, exercise.may_change)
    assert (finding.kind, finding.sentence) == (mistake.kind, mistake.sentence)


@pytest.mark.parametrize(("topic", "index"), MISTAKES)
def test_a_mistake_is_told_in_a_sentence_with_hints(topic, index):
    mistake = mistakes_of(topic)[index]
    assert mistake.kind in KINDS and mistake.kind != "unknown"
    assert mistake.sentence[0].islower() or mistake.sentence.split()[0].rstrip(",:;") in probes_of(topic)[mistake.function][0].sizes
    assert not mistake.sentence.endswith(".")
    assert len(mistake.hints) >= 2 and all(hint.strip() for hint in mistake.hints)


@pytest.mark.parametrize(("topic", "function", "functions"), list(right_ways()))
def test_a_right_solution_of_any_style_is_right(topic, function, functions):
    exercise, probes, library = exercise_of(topic, function), probes_of(topic)[function], library_of(topic)
    seen = [outcome(probe, {**library, **functions}, exercise.may_change) for probe in probes]
    expected = [outcome(probe, library, exercise.may_change) for probe in probes]
    finding = diagnose(function, topic, probes, seen, expected, library, exercise.may_change)
    assert [each.error for each in seen if each.error] == []
    assert finding is None, finding.sentence
