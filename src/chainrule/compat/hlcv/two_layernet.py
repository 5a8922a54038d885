"""HLCV's two-layer network, of basic matrix operations alone, with its own training loop."""
# ruff: noqa: NPY002 - the script seeds NumPy's global generator and expects weights and batches to come from it

import numpy as np

__all__ = ["TwoLayerNet"]


class TwoLayerNet:
    """affine - relu - affine - softmax, with the penalty reg * (sum(W1**2) + sum(W2**2)): HLCV has no factor 1/2, unlike CS231n.

    Parameters
    ----------
    input_size, hidden_size, output_size : sizes D, H and C
    std : standard deviation of the normal distribution that W1 and W2 are drawn from, with NumPy's global generator; biases begin at 0

    Attributes
    ----------
    params : dict of W1 (D, H), b1 (H,), W2 (H, C), b2 (C,), float64; read at each call
    """

    def __init__(self, input_size, hidden_size, output_size, std=1e-4):
        self.params = {
            "W1": std * np.random.randn(input_size, hidden_size),
            "b1": np.zeros(hidden_size),
            "W2": std * np.random.randn(hidden_size, output_size),
            "b2": np.zeros(output_size),
        }

    def loss(self, X, y=None, reg=0.0):
        """Softmax *probabilities* (N, C) of X (N, D); with labels y (N,) instead (loss, grads), grads with the keys of `params`.

        The loss is the mean cross-entropy over the batch plus the penalty.
        """
        W1, b1, W2, b2 = (self.params[name] for name in ("W1", "b1", "W2", "b2"))
        hidden = np.maximum(X @ W1 + b1, 0)  # (N, H)
        scores = hidden @ W2 + b2  # (N, C)
        shifted = scores - scores.max(axis=1, keepdims=True)  # the same probabilities, and no overflow
        exp = np.exp(shifted)
        probabilities = exp / exp.sum(axis=1, keepdims=True)
        if y is None:
            return probabilities

        N = len(X)
        rows = np.arange(N)
        surprise = np.log(exp.sum(axis=1)) - shifted[rows, y]  # -log p of the label
        loss = surprise.mean() + reg * (np.sum(W1**2) + np.sum(W2**2))

        # dscores = (p - [class is y]) / N
        dscores = probabilities
        dscores[rows, y] -= 1
        dscores /= N
        dhidden = (dscores @ W2.T) * (hidden > 0)
        grads = {
            "W1": X.T @ dhidden + 2 * reg * W1,
            "b1": dhidden.sum(axis=0),
            "W2": hidden.T @ dscores + 2 * reg * W2,
            "b2": dscores.sum(axis=0),
        }
        return loss, grads

    def train(
        self,
        X,
        y,
        X_val,
        y_val,
        learning_rate=1e-3,
        learning_rate_decay=0.95,
        reg=5e-6,
        num_iters=100,
        batch_size=200,
        verbose=False,
    ):
        """Stochastic gradient descent: w -= learning_rate * dw for all parameters, with the gradients of a random batch.

        Parameters
        ----------
        X, y : (N, D) and (N,), to learn from
        X_val, y_val : to measure accuracy on
        learning_rate, learning_rate_decay : after the first step, and then once an epoch of max(N // batch_size, 1) steps, accuracies are
            measured with the new parameters, and the rate is multiplied by the decay
        reg : factor of the penalty, see `loss`
        num_iters : steps
        batch_size : samples a step, drawn with replacement, with NumPy's global generator
        verbose : print the loss every 100 steps

        Returns
        -------
        dict of loss_history (of every step, before its parameters change), and of train_acc_history (on the step's batch) and
        val_acc_history, in [0, 1], as often as they are measured
        """
        steps_per_epoch = max(len(X) // batch_size, 1)
        loss_history, train_acc_history, val_acc_history = [], [], []
        for step in range(num_iters):
            batch = np.random.choice(len(X), batch_size)
            loss, grads = self.loss(X[batch], y[batch], reg)
            loss_history.append(loss)
            for name, dw in grads.items():
                self.params[name] = self.params[name] - learning_rate * dw
            if verbose and step % 100 == 0:
                print(f"iteration {step} / {num_iters}: loss {loss:f}")
            if step % steps_per_epoch == 0:
                train_acc_history.append(np.mean(self.predict(X[batch]) == y[batch]))
                val_acc_history.append(np.mean(self.predict(X_val) == y_val))
                learning_rate *= learning_rate_decay
        return {"loss_history": loss_history, "train_acc_history": train_acc_history, "val_acc_history": val_acc_history}

    def predict(self, X):
        """Labels (N,) of X (N, D): the class of the greatest probability."""
        return self.loss(X).argmax(axis=1)
