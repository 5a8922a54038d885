"""CS236781's layers: torch tensors in and out, with chainrule.functional behind them.

`layer(x)` keeps what `layer.backward(dout)` needs. The result is also a node of PyTorch's graph whose derivative is the same backward
pass: the notebooks call `backward()` on tensors that went through these layers. Tensors live in the memory of the CPU.
"""

import abc

import torch

from chainrule.functional import (
    affine_backward,
    affine_forward,
    dropout_backward,
    dropout_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    softmax_loss,
    tanh_backward,
    tanh_forward,
)

__all__ = ["MLP", "CrossEntropyLoss", "Dropout", "Layer", "LeakyReLU", "Linear", "ReLU", "Sequential", "Sigmoid", "TanH"]


class _Node(torch.autograd.Function):
    """What a layer computed, as a node of PyTorch's graph: `gradients(dout)` are those of the tensors it was computed from."""

    @staticmethod
    def forward(ctx, out, gradients, *inputs):
        ctx.gradients = gradients
        return torch.as_tensor(out)

    @staticmethod
    def backward(ctx, *dout):
        return None, None, *ctx.gradients(*dout)


class Layer(abc.ABC):
    """A step of a network with its own backward pass. Called as `layer(x, **kw)`; `kw` is for the layers that know it."""

    def __init__(self):
        self.training_mode = True

    def __call__(self, *args, **kw):
        return self.forward(*args, **kw)

    @abc.abstractmethod
    def forward(self, *args, **kw) -> torch.Tensor:
        """The layer's output; keeps what `backward` needs."""

    @abc.abstractmethod
    def backward(self, dout) -> torch.Tensor:
        """Gradient with respect to the input of the last call, from dout like its output; adds to the gradients in `params()`."""

    def params(self):
        """List of (tensor, gradient tensor), one for each parameter."""
        return []

    def train(self, training_mode=True):
        """Choose between training and test behaviour."""
        self.training_mode = training_mode

    def __repr__(self):
        return type(self).__name__

    def _run(self, forward, backward, *inputs):
        """Apply a pair of functions to tensors; `self._gradients(dout)` is then the list of the inputs' gradients."""
        out, cache = forward(*(tensor.detach().numpy() for tensor in inputs))
        self._gradients = lambda dout: [torch.from_numpy(grad) for grad in backward(dout.detach().numpy(), cache)]
        return _Node.apply(out, self._gradients, *inputs)


class _Elementwise(Layer):
    """A layer without parameters whose input and output have one shape, given by its pair of functions."""

    def __init__(self, forward, backward):
        super().__init__()
        self._pair = forward, lambda dout, cache: [backward(dout, cache)]

    def forward(self, x, **kw):
        return self._run(*self._pair, x)

    def backward(self, dout):
        (dx,) = self._gradients(dout)
        return dx


class LeakyReLU(_Elementwise):
    """x where it is positive, alpha * x elsewhere; alpha in [0, 1), default 0.01."""

    def __init__(self, alpha=0.01):
        if not 0 <= alpha < 1:
            raise ValueError(f"LeakyReLU: alpha={alpha} is not in [0, 1)")
        super().__init__(lambda x: leaky_relu_forward(x, negative_slope=alpha), leaky_relu_backward)
        self.alpha = alpha

    def __repr__(self):
        return f"LeakyReLU(alpha={self.alpha})"


class ReLU(_Elementwise):
    """max(0, x)."""

    def __init__(self):
        super().__init__(relu_forward, relu_backward)


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x))."""

    def __init__(self):
        super().__init__(sigmoid_forward, sigmoid_backward)


class TanH(_Elementwise):
    """Hyperbolic tangent."""

    def __init__(self):
        super().__init__(tanh_forward, tanh_backward)


class Linear(Layer):
    """x @ w.T + b.

    Parameters
    ----------
    in_features, out_features : sizes D and M
    wstd : standard deviation of the normal distribution that w is drawn from, with PyTorch's global generator

    Attributes
    ----------
    w, b : (M, D) and (M,), float32
    dw, db : their gradients; `backward` adds to them until an optimizer's `zero_grad`
    """

    def __init__(self, in_features, out_features, wstd=0.1):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.w = wstd * torch.randn(out_features, in_features)
        self.b = torch.zeros(out_features)
        self.dw, self.db = torch.zeros_like(self.w), torch.zeros_like(self.b)

    def params(self):
        return [(self.w, self.dw), (self.b, self.db)]

    def forward(self, x, **kw):
        return self._run(affine_forward, affine_backward, x, self.w.T, self.b)

    def backward(self, dout):
        dx, dw, db = self._gradients(dout)
        self.dw += dw.T
        self.db += db
        return dx

    def __repr__(self):
        return f"Linear(in_features={self.in_features}, out_features={self.out_features})"


class CrossEntropyLoss(Layer):
    """Mean over the batch of the cross-entropy between the softmax of scores x (N, C) and integer labels y (N,)."""

    def forward(self, x, y):
        return self._run(lambda scores: softmax_loss(scores, y.numpy()), lambda dout, dx: [dout * dx], x)

    def backward(self, dout=1.0):
        """Gradient with respect to the scores, from the gradient of a scalar, default 1."""
        (dx,) = self._gradients(torch.as_tensor(dout))
        return dx


class _GlobalGenerator:
    """PyTorch's global generator, which the notebooks seed, as chainrule.functional asks for randomness."""

    @staticmethod
    def random(shape):
        return torch.rand(shape).numpy()


class Dropout(_Elementwise):
    """In training, zero each element with probability p, in [0, 1), and divide the others by 1 - p; otherwise the identity."""

    def __init__(self, p=0.5):
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p={p} is not in [0, 1); it is the probability to drop an element")
        super().__init__(self._drop, dropout_backward)
        self.p = p

    def _drop(self, x):
        mode = "train" if self.training_mode else "test"
        return dropout_forward(x, {"p": 1 - self.p, "mode": mode, "rng": _GlobalGenerator})

    def __repr__(self):
        return f"Dropout(p={self.p})"


class Sequential(Layer):
    """Layers one after another; has a length, indices, slices and an iterator."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = layers

    def forward(self, x, **kw):
        for layer in self.layers:
            x = layer(x, **kw)
        return x

    def backward(self, dout):
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        return dout

    def params(self):
        return [pair for layer in self.layers for pair in layer.params()]

    def train(self, training_mode=True):
        super().train(training_mode)
        for layer in self.layers:
            layer.train(training_mode)

    def __len__(self):
        return len(self.layers)

    def __getitem__(self, index):
        return self.layers[index]

    def __iter__(self):
        return iter(self.layers)

    def __repr__(self):
        return "Sequential\n" + "".join(f"\t[{index}] {layer}\n" for index, layer in enumerate(self.layers))


class MLP(Layer):
    """(Linear - activation - [Dropout]) for each hidden layer, then Linear.

    Parameters
    ----------
    in_features, num_classes : sizes of input and output
    hidden_features : sizes of the hidden layers
    activation : "relu" or "sigmoid"
    dropout : probability to drop, in [0, 1); 0 leaves the dropout layers out
    kw : for every `Linear`: wstd

    Attributes
    ----------
    sequence : the layers, a `Sequential`
    """

    ACTIVATIONS = {"relu": ReLU, "sigmoid": Sigmoid}  # noqa: RUF012 - read only

    def __init__(self, in_features, num_classes, hidden_features=(), activation="relu", dropout=0, **kw):
        super().__init__()
        if activation not in self.ACTIVATIONS:
            raise ValueError(f"MLP: activation={activation!r}; expected {' or '.join(map(repr, self.ACTIVATIONS))}")
        layers, size = [], in_features
        for hidden in hidden_features:
            layers += [Linear(size, hidden, **kw), self.ACTIVATIONS[activation]()]
            if dropout:
                layers.append(Dropout(dropout))
            size = hidden
        self.sequence = Sequential(*layers, Linear(size, num_classes, **kw))

    def forward(self, x, **kw):
        return self.sequence(x, **kw)

    def backward(self, dout):
        return self.sequence.backward(dout)

    def params(self):
        return self.sequence.params()

    def train(self, training_mode=True):
        super().train(training_mode)
        self.sequence.train(training_mode)

    def __repr__(self):
        return f"MLP, {self.sequence}"
