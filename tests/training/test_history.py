import pytest

from chainrule.training import History


@pytest.fixture
def history():
    pairs = [(0.5, 1.0), (0.7, 0.9), (0.6, 0.8), (0.7, 0.9)]
    return History({"epoch": epoch, "val_accuracy": accuracy, "val_loss": loss} for epoch, (accuracy, loss) in enumerate(pairs, start=1))


def test_the_best_epoch_is_the_first_with_the_highest_validation_accuracy(history):
    assert history.best()["epoch"] == 2


def test_among_equals_the_loss_decides(history):
    history.append({"epoch": 5, "val_accuracy": 0.7, "val_loss": 0.8})
    assert history.best()["epoch"] == 5


def test_before_the_first_epoch_there_is_no_best():
    assert History().best() is None


def test_a_column_is_one_quantity_over_the_epochs(history):
    assert history.column("val_accuracy") == [0.5, 0.7, 0.6, 0.7]


def test_records_come_in_their_order(history):
    history.append({"epoch": 5, "val_accuracy": 0.1, "val_loss": 2.0})
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5]
    assert len(history) == 5


def test_its_text_says_how_it_went(history):
    assert repr(history) == "History(4 epochs, last val 70.0%, best val 70.0% in epoch 2)"
    assert repr(History()) == "History(no epochs yet)"
