"""Right two-layer networks, none of them the library's."""

import math

import numpy as np


class Bookkeeping:
    """Methods of its own, NumPy's new generators, updates in place."""

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.rng = np.random.default_rng()
        self.sizes = input_size, hidden_size, output_size
        self.params = {}
        for layer, shape in enumerate([(input_size, hidden_size), (hidden_size, output_size)], start=1):
            self.params[f"W{layer}"] = self.rng.normal(0.0, std, shape)
            self.params[f"b{layer}"] = np.zeros(shape[1])

    def _forward(self, X):
        hidden = np.clip(X.dot(self.params["W1"]) + self.params["b1"], 0, None)
        scores = hidden.dot(self.params["W2"]) + self.params["b2"]
        log_p = scores - np.logaddexp.reduce(scores, axis=1)[:, np.newaxis]
        return hidden, log_p

    def loss(self, X, y=None, reg=0.0):
        hidden, log_p = self._forward(X)
        if y is None:
            return np.exp(log_p)
        one_hot = np.eye(log_p.shape[1])[y]
        loss = -(one_hot * log_p).sum() / len(y)
        for name in self.params:
            if name[0] == "W":
                loss += reg * np.square(self.params[name]).sum()
        delta = (np.exp(log_p) - one_hot) / len(y)
        grads = {"b2": np.ones(len(y)) @ delta, "W2": np.einsum("nh,nc->hc", hidden, delta) + 2 * reg * self.params["W2"]}
        delta = np.where(hidden > 0, delta.dot(self.params["W2"].T), 0)
        grads["W1"] = np.einsum("nd,nh->dh", X, delta) + 2 * reg * self.params["W1"]
        grads["b1"] = np.ones(len(y)) @ delta
        return loss, grads

    def train(
        self, X, y, X_val, y_val, learning_rate=1e-3, learning_rate_decay=0.95, reg=5e-6, num_iters=100, batch_size=200, verbose=False
    ):
        history = {"loss_history": [], "train_acc_history": [], "val_acc_history": []}
        until_measured, epoch = 0, max(X.shape[0] // batch_size, 1)
        for _ in range(num_iters):
            rows = self.rng.integers(X.shape[0], size=batch_size)
            loss, grads = self.loss(X[rows], y[rows], reg=reg)
            history["loss_history"].append(loss)
            for name, grad in grads.items():
                self.params[name] -= learning_rate * grad
            if until_measured == 0:
                history["train_acc_history"].append((self.predict(X[rows]) == y[rows]).mean())
                history["val_acc_history"].append((self.predict(X_val) == y_val).mean())
                learning_rate, until_measured = learning_rate * learning_rate_decay, epoch
            until_measured -= 1
        return history

    def predict(self, X):
        return self._forward(X)[1].argmax(1)


class SampleBySample:
    """Loops over samples and parameters; training with a loss of its own."""

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        draw = np.random.RandomState(np.random.randint(2**31)).standard_normal  # noqa: NPY002
        self.params = {"W1": draw((input_size, hidden_size)) * std, "W2": draw((hidden_size, output_size)) * std}
        self.params.update(b1=np.zeros((hidden_size,)), b2=np.zeros((output_size,)))

    def probabilities(self, sample):
        hidden = [max(0.0, sum(sample * w) + b) for w, b in zip(self.params["W1"].T, self.params["b1"], strict=True)]
        scores = [sum(np.array(hidden) * w) + b for w, b in zip(self.params["W2"].T, self.params["b2"], strict=True)]
        exp = [math.exp(score - max(scores)) for score in scores]
        return np.array(hidden), np.array(exp) / sum(exp)

    def loss(self, X, y=None, reg=0.0):
        if y is None:
            return np.array([self.probabilities(sample)[1] for sample in X])
        return self.value_and_gradients(X, y, reg)

    def value_and_gradients(self, X, y, reg):
        W1, W2 = self.params["W1"], self.params["W2"]
        loss = reg * ((W1**2).sum() + (W2**2).sum())
        grads = {name: 2 * reg * value if name.startswith("W") else np.zeros(value.shape) for name, value in self.params.items()}
        for sample, label in zip(X, y, strict=True):
            hidden, p = self.probabilities(sample)
            loss -= math.log(p[label]) / len(X)
            p[label] -= 1
            back = W2 @ p * (hidden > 0)
            for name, part in (("W2", np.outer(hidden, p)), ("b2", p), ("W1", np.outer(sample, back)), ("b1", back)):
                grads[name] = grads[name] + part / len(X)
        return loss, grads

    def train(
        self, X, y, X_val, y_val, learning_rate=1e-3, learning_rate_decay=0.95, reg=5e-6, num_iters=100, batch_size=200, verbose=False
    ):
        losses, train_accuracies, val_accuracies = np.zeros(num_iters), [], []
        for step in range(num_iters):
            batch = [np.random.randint(len(X)) for _ in range(batch_size)]  # noqa: NPY002
            losses[step], grads = self.value_and_gradients(X[batch], y[batch], reg)
            self.params = {name: value - learning_rate * grads[name] for name, value in self.params.items()}
            if step % max(1, len(X) // batch_size) == 0:
                train_accuracies += [np.mean([a == b for a, b in zip(self.predict(X[batch]), y[batch], strict=True)])]
                val_accuracies += [np.mean([a == b for a, b in zip(self.predict(X_val), y_val, strict=True)])]
                learning_rate = learning_rate * learning_rate_decay
        return {"loss_history": losses, "train_acc_history": train_accuracies, "val_acc_history": val_accuracies, "steps": num_iters}

    def predict(self, X):
        return [int(np.argmax(self.probabilities(sample)[1])) for sample in X]


RIGHT = [
    ("with methods of its own", {"TwoLayerNet": Bookkeeping}),
    ("sample by sample", {"TwoLayerNet": SampleBySample}),
]
