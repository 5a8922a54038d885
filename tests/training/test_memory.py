"""The memory of a run is known before it starts: against what a step really allocates, and against what a layer must hold."""

import tracemalloc

import numpy as np
import pytest

from chainrule import nn
from chainrule.nn.plan import Plan
from chainrule.training import memory
from chainrule.training.memory import check_memory, step_memory

IMAGE = (3, 16, 16)


def convnet(width=24):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(width * 64, 10),
    )


def fully_connected():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 3000), nn.ReLU(), nn.Dropout(0.2), nn.Linear(3000, 10))


@pytest.mark.parametrize("build", [convnet, fully_connected])
@pytest.mark.parametrize("images", [50, 128])
def test_the_estimate_is_what_a_step_allocates(build, images):
    model, criterion = build(), nn.CrossEntropyLoss()
    plan, labels = Plan(model), np.zeros(images, np.int64)

    def step():
        tracemalloc.start()
        try:
            criterion(plan.forward(np.zeros((images, *IMAGE), np.float32)), labels)
            plan.backward(criterion.backward())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # the least of several: a thread that an earlier test left behind may allocate meanwhile
    estimate = min(step_memory(model, criterion, IMAGE, images) for _ in range(3))
    step()
    measured = min(step() for _ in range(3))
    # the most is held at one moment of a small batch, and perhaps at another one of a large batch, with one more array of hidden values
    assert estimate == pytest.approx(measured, rel=0.2)


def test_the_estimate_is_at_least_what_backward_needs():
    # both convolutions' outputs, 24 channels of 16 x 16 in float32; the second one's only where a pooled value came from
    assert step_memory(convnet(), nn.CrossEntropyLoss(), IMAGE, 100) > 100 * 24 * 16 * 16 * 4


def test_the_network_is_left_as_it_was():
    model = convnet()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    step_memory(model, nn.CrossEntropyLoss(), IMAGE, 100)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_that_fits_is_not_refused():
    check_memory(convnet(), nn.CrossEntropyLoss(), IMAGE, 100)


def test_a_batch_that_does_not_fit_is_refused_with_figures_and_with_one_that_would(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**30)
    with pytest.raises(MemoryError, match=r"batches of 100000 images needs about \d+\.\d GB more memory, and 1\.0 GB are free") as error:
        check_memory(convnet(), nn.CrossEntropyLoss(), IMAGE, 100_000)
    fitting = int(str(error.value).split("a batch size of ")[1].split()[0])
    check_memory(convnet(), nn.CrossEntropyLoss(), IMAGE, fitting)


def test_a_network_that_fits_with_no_batch_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    with pytest.raises(MemoryError, match=r"\d MB for the layers' outputs.*\d MB for the parameters' gradients.*smaller network"):
        check_memory(fully_connected(), nn.CrossEntropyLoss(), IMAGE, 100)
