"""What a model is trained with unless something else is said: settings by the name of the model, over the general defaults."""

from typing import Any

__all__ = ["RECIPES"]

# airbench94_muon (Jordan 2024, KellerJordan/cifar10-airbench). It adds up the losses of a batch where we take their mean: so the learning
# rates of SGD are its own times the batch of 2000, and the weight decays (there 2e-6 * 2000 over the rate) are divided by it; Muon's update
# has the same size either way. Another batch_size leaves them as they are.
SPEEDRUN = {
    "data": "cifar10",
    "label_smoothing": 0.2,
    "optimizer": "muon",
    "lr": 0.24,
    "momentum": 0.6,
    "nesterov": True,
    "groups": {
        "filters": {"ns_steps": 3, "normalize_weights": True},
        "0.bias": {"optimizer": "sgd", "lr": 106.0, "momentum": 0.85, "nesterov": True, "weight_decay": 2e-6 / 0.053, "epochs": 3.0},
        "vectors": {"optimizer": "sgd", "lr": 106.0, "momentum": 0.85, "nesterov": True, "weight_decay": 2e-6 / 0.053},
        "matrices": {"optimizer": "sgd", "lr": 1340.0, "momentum": 0.85, "nesterov": True, "weight_decay": 2e-6 / 0.67},
    },
    "schedule": "triangular",
    "epochs": 8,
    "batch_size": 2000,
    "augment": True,
    "flip": "alternate",
    "shift": 2,
    "border": "reflect",
    "tta": "mirror-shift",
}

RECIPES: dict[str, dict[str, Any]] = {"speedrun": SPEEDRUN}
