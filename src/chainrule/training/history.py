"""What a training run measured, epoch by epoch."""

__all__ = ["History", "epoch_rank"]


def epoch_rank(val_accuracy: float, val_loss: float) -> tuple[float, float]:
    """What the best epoch has most of: validation accuracy, among equals the least validation loss.

    The "best" checkpoint, early stopping, the terminal and the report all mean the first epoch of the greatest rank.
    """
    return val_accuracy, -val_loss


class History:
    """Epoch records in order; each is a dict such as

    {"epoch": 1, "step": 490, "train_loss": 1.7, "train_accuracy": 0.39, "val_loss": 1.5, "val_accuracy": 0.46, "lr": 0.001, "seconds": 2.1}

    (`epoch` counts from 1; accuracies in [0, 1]; losses are means over the samples).
    """

    def __init__(self, records=()):
        self.records = list(records)

    def append(self, record):
        self.records.append(record)

    def column(self, name) -> list:
        """One quantity over the epochs, e.g. `history.column("val_loss")`."""
        return [record[name] for record in self.records]

    def best(self) -> dict | None:
        """The epoch with the highest validation accuracy, among equals the one with the least validation loss; None before the first."""
        return max(self.records, key=lambda record: epoch_rank(record["val_accuracy"], record["val_loss"]), default=None)

    def __len__(self):
        return len(self.records)

    def __iter__(self):
        return iter(self.records)

    def __repr__(self):
        best = self.best()
        if best is None:
            return "History(no epochs yet)"
        last = self.records[-1]
        accuracies = f"last val {last['val_accuracy']:.1%}, best val {best['val_accuracy']:.1%}"
        return f"History({len(self)} epochs, {accuracies} in epoch {best['epoch']})"
