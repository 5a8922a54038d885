"""HLCV's two-layer network, with its own training loop."""
# ruff: noqa: NPY002 - the script seeds NumPy's global generator and expects weights and batches to come from it

import numpy as np

from chainrule.functional import affine_backward, affine_forward, affine_relu_backward, affine_relu_forward, sgd, softmax_loss

__all__ = ["TwoLayerNet"]


class TwoLayerNet:
    """affine - relu - affine - softmax, with the penalty reg * (sum(W1**2) + sum(W2**2)): HLCV has no factor 1/2, unlike CS231n.

    Parameters
    ----------
    input_size, hidden_size, output_size : sizes D, H and C
    std : standard deviation of the normal distribution that W1 and W2 are drawn from, with NumPy's global generator

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
        """Softmax *probabilities* (N, C) of X (N, D); with labels y (N,) instead (loss, grads), grads with the keys of `params`."""
        scores, (hidden_cache, scores_cache) = self._scores(X)
        if y is None:
            exp = np.exp(scores - scores.max(axis=1, keepdims=True))
            return exp / exp.sum(axis=1, keepdims=True)
        loss, dscores = softmax_loss(scores, y)
        dhidden, dw2, db2 = affine_backward(dscores, scores_cache)
        _, dw1, db1 = affine_relu_backward(dhidden, hidden_cache)
        grads = {"W1": dw1, "b1": db1, "W2": dw2, "b2": db2}
        for name in ("W1", "W2"):
            loss += reg * np.sum(self.params[name] ** 2)
            grads[name] += 2 * reg * self.params[name]
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
        """Stochastic gradient descent.

        Parameters
        ----------
        X, y : (N, D) and (N,), to learn from
        X_val, y_val : to measure accuracy on, once an epoch of max(N // batch_size, 1) steps
        learning_rate, learning_rate_decay : the rate is multiplied by the decay after each of these measurements
        reg : factor of the penalty, see `loss`
        num_iters : steps
        batch_size : samples a step, drawn with replacement, with NumPy's global generator
        verbose : print the loss every 100 steps

        Returns
        -------
        dict of loss_history (every step), train_acc_history (on the batch) and val_acc_history, in [0, 1], from the first step on
        """
        steps_per_epoch = max(len(X) // batch_size, 1)
        loss_history, train_acc_history, val_acc_history = [], [], []
        for step in range(num_iters):
            batch = np.random.choice(len(X), batch_size)
            loss, grads = self.loss(X[batch], y[batch], reg)
            loss_history.append(loss)
            for name, w in self.params.items():
                self.params[name], _ = sgd(w, grads[name], {"learning_rate": learning_rate})
            if verbose and step % 100 == 0:
                print(f"iteration {step} / {num_iters}: loss {loss:f}")
            if step % steps_per_epoch == 0:
                train_acc_history.append(np.mean(self.predict(X[batch]) == y[batch]))
                val_acc_history.append(np.mean(self.predict(X_val) == y_val))
                learning_rate *= learning_rate_decay
        return {"loss_history": loss_history, "train_acc_history": train_acc_history, "val_acc_history": val_acc_history}

    def predict(self, X):
        """Labels (N,) of X (N, D): the class of the greatest probability."""
        scores, _ = self._scores(X)
        return scores.argmax(axis=1)

    def _scores(self, X):
        hidden, hidden_cache = affine_relu_forward(X, self.params["W1"], self.params["b1"])
        scores, scores_cache = affine_forward(hidden, self.params["W2"], self.params["b2"])
        return scores, (hidden_cache, scores_cache)
