"""CS231n's network visualization, on a PyTorch network and tensors; the same on arrays and hand-written networks: chainrule.visualization.

PyTorch is imported when a function is called, so that the rest of the course's material runs without it.
"""

import numpy as np

from chainrule.compat.cs231n.image_utils import SQUEEZENET_MEAN, SQUEEZENET_STD

__all__ = [
    "blur_image",
    "class_visualization_update_step",
    "compute_saliency_maps",
    "deprocess",
    "jitter",
    "make_fooling_image",
    "preprocess",
    "rescale",
]


def compute_saliency_maps(X, y, model):
    """How much each pixel matters for the score of an image's class: max over the channels of |d scores[n, y[n]] / d X[n]|.

    Parameters
    ----------
    X : (N, 3, H, W), left as it is: the same images give the same maps again
    y : (N,) labels
    model : network, X -> scores (N, C), in eval mode

    Returns
    -------
    saliency : (N, H, W)
    """
    _, dX = _score_and_gradient(model, X, y)
    return dX.abs().amax(dim=1)


def make_fooling_image(X, target_y, model):
    """An image close to X that the network takes for class `target_y`; X itself is left as it is.

    Steps of length 1 along the gradient of the target's score, X + dX / |dX|, until that score is the largest; none if it is at the
    start, and 100 at most.

    Parameters
    ----------
    X : (1, 3, H, W)
    target_y : label
    model : network, X -> scores (1, C), in eval mode

    Returns
    -------
    X_fooling : (1, 3, H, W)
    """
    X_fooling = X.detach().clone()
    for _ in range(100):
        scores, dX = _score_and_gradient(model, X_fooling, [target_y])
        if scores.argmax() == target_y:
            break
        X_fooling += dX / dX.norm()
    return X_fooling


def class_visualization_update_step(img, model, target_y, l2_reg, learning_rate):
    """One step of gradient ascent on score(img) - l2_reg * |img|^2, in place: img + learning_rate * dimg / |dimg|.

    |img|^2 is the sum of the squares of all numbers of the image, and dimg the gradient of both terms.

    Parameters
    ----------
    img : (1, 3, H, W), a tensor that requires its gradient; it is changed
    model : network, img -> scores (1, C), in eval mode
    target_y : label, whose score it is
    l2_reg, learning_rate : numbers
    """
    _, dimg = _score_and_gradient(model, img, [target_y])
    dimg -= 2 * l2_reg * img.detach()
    img.data += learning_rate * dimg / dimg.norm()


def _score_and_gradient(model, images, labels):
    """scores (N, C), and d (sum of scores[n, labels[n]]) / d images; neither the images nor the network are changed."""
    import torch

    training = [part for part in model.modules() if part.training]
    images = images.detach().clone().requires_grad_()
    model.eval()
    try:
        scores = model(images)
    finally:
        for part in training:
            part.training = True
    of_labels = scores.gather(1, torch.as_tensor(labels, device=scores.device).view(-1, 1))
    (gradient,) = torch.autograd.grad(of_labels.sum(), images)
    return scores.detach(), gradient


def preprocess(img, size=224):
    """A PIL image as SqueezeNet takes it, (1, 3, H, W), its shorter side `size` pixels long."""
    from PIL import Image

    scale = size / min(img.size)
    scaled = img.convert("RGB").resize((round(img.width * scale), round(img.height * scale)), Image.Resampling.BILINEAR)
    pixels = (np.asarray(scaled, np.float32) / 255 - SQUEEZENET_MEAN) / SQUEEZENET_STD
    return _tensor(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None])


def deprocess(img, should_rescale=True):
    """The first image of (N, 3, H, W) as a PIL image; rescaled to the whole range, or clipped to what can be shown."""
    from PIL import Image

    pixels = _array(img)[0].transpose(1, 2, 0) * SQUEEZENET_STD + SQUEEZENET_MEAN
    pixels = rescale(pixels) if should_rescale else np.clip(pixels, 0, 1)
    return Image.fromarray((255 * pixels).astype(np.uint8))


def rescale(x):
    """x from 0, its smallest value, to 1, its largest."""
    low, high = x.min(), x.max()
    return (x - low) / (high - low)


def blur_image(X, sigma=1):
    """X (N, 3, H, W) blurred by a Gaussian of that many pixels, in place."""
    from scipy.ndimage import gaussian_filter

    return X.copy_(_like(X, gaussian_filter(_array(X), (0, 0, sigma, sigma))))


def jitter(X, ox, oy):
    """X (N, 3, H, W) moved by ox pixels to the right and oy down; what leaves comes in at the other side."""
    return X.roll((oy, ox), (2, 3))


def _array(tensor):
    return tensor.detach().cpu().numpy()


def _tensor(array):
    import torch

    return torch.from_numpy(array)


def _like(tensor, array):
    """The array as a tensor of the dtype and on the device of `tensor`."""
    return _tensor(np.ascontiguousarray(array)).to(tensor)
