"""Mistakes in saliency maps, fooling images and class visualization."""

import torch
import torch.nn.functional as F

from chainrule.lab.mistake import Mistake
from chainrule.lab.mistakes.tensors import without

__all__ = ["MISTAKES"]


def of_labels(scores, labels):
    return scores.gather(1, torch.as_tensor(labels).view(-1, 1))


def right_score(scores, labels):
    return of_labels(scores, labels).sum()


def gradient_of(objective, model, images, labels):
    """The scores, and the gradient of `objective(scores, labels)` with respect to the images."""
    images = images.detach().clone().requires_grad_()
    scores = model(images)
    (gradient,) = torch.autograd.grad(objective(scores, labels), images)
    return scores.detach(), gradient


def saliency(*, objective=right_score, size=torch.abs, over=lambda dX: dX.amax(dim=1), look=lambda dX, X: dX, after=without):
    """`compute_saliency_maps` with one of its steps put in."""
    return lambda X, y, model: after(over(size(look(gradient_of(objective, model, X, y)[1], X))))


def to_the_range_of_1(maps):
    low, high = maps.amin(dim=(1, 2), keepdim=True), maps.amax(dim=(1, 2), keepdim=True)
    return (maps - low) / (high - low)


def accumulating(X, y, model):
    X.requires_grad_()
    right_score(model(X), y).backward()
    return X.grad.abs().amax(dim=1)


OTHER_SCORES = (  # what else than the score of the label one may take the gradient of
    (
        "missing-term",
        "the gradient is that of the sum of all scores; it has to be that of the label's score alone",
        ("Which of the scores is asked about?", "scores.gather(1, y.view(-1, 1)), or scores[0, target_y]"),
        lambda scores, labels: scores.sum(),
    ),
    (
        "missing-term",
        "the gradient is that of the label's probability, after softmax; it has to be that of its score",
        ("Which way of raising a probability has nothing to do with the class itself?", "Leave softmax out."),
        lambda scores, labels: of_labels(scores.softmax(dim=1), labels).sum(),
    ),
    (
        "missing-term",
        "the gradient is that of the largest score; it has to be that of the label's",
        ("What if the network is wrong about the image?", "scores.gather(1, y.view(-1, 1)), or scores[0, target_y]"),
        lambda scores, labels: scores.amax(dim=1).sum(),
    ),
)

SALIENCY = (
    *((kind, sentence, hints, saliency(objective=objective)) for kind, sentence, hints, objective in OTHER_SCORES),
    (
        "missing-term",
        "the gradient is that of the cross-entropy loss; it has to be that of the label's score",
        ("What is the gradient of the loss where the network is sure?", "scores.gather(1, y.view(-1, 1)).sum()"),
        saliency(objective=lambda scores, y: F.cross_entropy(scores, y, reduction="sum")),
    ),
    (
        "missing-term",
        "the gradient is that of the mean cross-entropy; it has to be that of the label's score, and not divided by N",
        ("What is the gradient of the loss where the network is sure?", "scores.gather(1, y.view(-1, 1)).sum()"),
        saliency(objective=F.cross_entropy),
    ),
    (
        "scale",
        "the scores are averaged over the images, so that every map is N times too small; sum them: an image's score depends on it alone",
        ("Does an image's map depend on how many others are in the batch?", "scores.gather(1, y.view(-1, 1)).sum()"),
        saliency(objective=lambda scores, y: of_labels(scores, y).mean()),
    ),
    (
        "broadcasting",
        "all images are asked about the first one's label; each has its own in y",
        ("Whose label is y[0]?", "scores.gather(1, y.view(-1, 1))"),
        saliency(objective=lambda scores, y: scores[:, y[0]].sum()),
    ),
    (
        "broadcasting",
        "scores[:, y] takes every label's score of every image; one of each image is asked for",
        ("Which shape does scores[:, y] have?", "scores.gather(1, y.view(-1, 1)), or scores[torch.arange(len(y)), y]"),
        saliency(objective=lambda scores, y: scores[:, y].sum()),
    ),
    (
        "sign",
        "the absolute value is missing: a pixel matters as well if the score falls with it",
        ("What does a gradient of -5 say about a pixel?", "dX.abs() before the maximum over the channels"),
        saliency(size=without),
    ),
    (
        "axis",
        "the absolute value is taken after the maximum over the channels; it has to be taken before",
        ("What is left of a channel with the gradient -5 beside one with 1?", "dX.abs().amax(dim=1)"),
        saliency(size=without, after=torch.abs),
    ),
    (
        "wrong-statistic",
        "the map is the mean over the channels; it has to be the maximum",
        ("How are three channels made one number a pixel?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.mean(dim=1)),
    ),
    (
        "wrong-statistic",
        "the map is the sum over the channels; it has to be the maximum",
        ("How are three channels made one number a pixel?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.sum(dim=1)),
    ),
    (
        "wrong-statistic",
        "the map is the norm over the channels; it has to be the maximum",
        ("How are three channels made one number a pixel?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.norm(dim=1)),
    ),
    (
        "wrong-statistic",
        "the map is the minimum over the channels; it has to be the maximum",
        ("How are three channels made one number a pixel?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.amin(dim=1)),
    ),
    (
        "wrong-statistic",
        "the map is that of the first channel alone; it has to be the maximum over all three",
        ("How are three channels made one number a pixel?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX[:, 0]),
    ),
    (
        "axis",
        "the maximum is taken over the images; it has to be taken over the channels, axis 1",
        ("Which axis of X (N, 3, H, W) are the channels?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.amax(dim=0)),
    ),
    (
        "axis",
        "the maximum is taken over the rows of the image; it has to be taken over the channels, axis 1",
        ("Which axis of X (N, 3, H, W) are the channels?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.amax(dim=2)),
    ),
    (
        "axis",
        "the maximum is taken over the columns of the image; it has to be taken over the channels, axis 1",
        ("Which axis of X (N, 3, H, W) are the channels?", "dX.abs().amax(dim=1)"),
        saliency(over=lambda dX: dX.amax(dim=3)),
    ),
    (
        "shape",
        "the axis of the channels is still there, with length 1; the maps are (N, H, W)",
        ("Which shape is asked for?", "Without keepdim=True."),
        saliency(over=lambda dX: dX.amax(dim=1, keepdim=True)),
    ),
    (
        "missing-term",
        "the gradient itself is given back, (N, 3, H, W); the map is the maximum of its absolute value over the channels",
        ("Which shape is asked for?", "dX.abs().amax(dim=1)"),
        saliency(size=without, over=without),
    ),
    (
        "scale",
        "the gradient is multiplied by the image, which is another method; saliency is the gradient's absolute value",
        ("What is the map of a black pixel?", "dX.abs().amax(dim=1)"),
        saliency(look=lambda dX, X: dX * X),
    ),
    (
        "scale",
        "the gradient is squared; its absolute value is asked for",
        ("In which unit is a saliency map?", "dX.abs().amax(dim=1)"),
        saliency(size=torch.square),
    ),
    (
        "scale",
        "each map is rescaled to [0, 1]; leave that to the picture: the size of a gradient says something",
        ("Can two maps still be compared?", "dX.abs().amax(dim=1), and nothing after it"),
        saliency(after=to_the_range_of_1),
    ),
    (
        "state",
        "the gradient of the call before is still in X.grad: backward() adds to it",
        ("What is in X.grad when the function is called again with the same X?", "torch.autograd.grad, or work on X.detach().clone()"),
        accumulating,
    ),
)


def fooled(
    *, objective=right_score, direction=lambda dX: dX / dX.norm(), steps=100, early=True, late=False, start=torch.clone, keep=without
):
    """`make_fooling_image` with some of its steps put in."""

    def make_fooling_image(X, target_y, model):
        image = start(X.detach())
        for _ in range(steps):
            scores, dX = gradient_of(objective, model, image, [target_y])
            if early and scores.argmax() == target_y:
                break
            image += direction(dX)
            image.copy_(keep(image))
            if late and scores.argmax() == target_y:
                break
        return image

    return make_fooling_image


def first_then_asked(X, target_y, model):
    image = X.detach().clone()
    for _ in range(100):
        _, dX = gradient_of(right_score, model, image, [target_y])
        image += dX / dX.norm()
        if model(image).argmax() == target_y:
            break
    return image


def steps_along_the_sum(X, target_y, model):
    image, total = X.detach().clone(), 0
    for _ in range(100):
        scores, dX = gradient_of(right_score, model, image, [target_y])
        if scores.argmax() == target_y:
            break
        total = total + dX
        image += total / total.norm()
    return image


FOOLING = (
    *((kind, sentence, hints, fooled(objective=objective)) for kind, sentence, hints, objective in OTHER_SCORES),
    (
        "missing-term",
        "the steps follow the cross-entropy loss; they have to follow the target's score",
        ("What does the loss contain besides the target's score?", "scores[0, target_y].backward()"),
        fooled(objective=lambda scores, labels: -F.cross_entropy(scores, torch.as_tensor(labels))),
    ),
    (
        "sign",
        "the steps go against the gradient, so that the target's score falls; it has to grow",
        ("Is this a descent or an ascent?", "X_fooling += dX / dX.norm()"),
        fooled(direction=lambda dX: -dX / dX.norm()),
    ),
    (
        "scale",
        "the gradient is taken as it is; each step has length 1: dX / |dX|",
        ("How long is a step where the gradient is tiny?", "X_fooling += dX / dX.norm()"),
        fooled(direction=without),
    ),
    (
        "scale",
        "the gradient is divided by its squared norm; it has to be divided by the norm",
        ("How long is dX / |dX|^2?", "dX.norm() is the root of the sum of squares already."),
        fooled(direction=lambda dX: dX / dX.norm() ** 2),
    ),
    (
        "scale",
        "the gradient is divided by its largest number; it has to be divided by its norm",
        ("How long is a step then?", "dX.norm() is the root of the sum of squares."),
        fooled(direction=lambda dX: dX / dX.abs().max()),
    ),
    (
        "scale",
        "the steps go along the sign of the gradient, which is another method; here along dX / |dX|",
        ("How long is a step then?", "X_fooling += dX / dX.norm()"),
        fooled(direction=torch.sign),
    ),
    (
        "axis",
        "each channel's gradient has been divided by its own norm; it is the norm of all numbers of the image",
        ("How long is a step then?", "dX.norm() without dim"),
        fooled(direction=lambda dX: dX / dX.norm(dim=(2, 3), keepdim=True)),
    ),
    (
        "mutation",
        "the image X itself is changed; the fooling image has to be a new tensor: X is needed to compare them",
        ("What do X and X_fooling have in common?", "X_fooling = X.clone()"),
        fooled(start=without),
    ),
    (
        "missing-term",
        "the image is one step away from X: either the loop ends after the first, or each step begins at X again",
        ("When does the loop end, and where does its second step begin?", "X_fooling += dX / dX.norm(); the return stands after the loop."),
        fooled(steps=1),
    ),
    (
        "state",
        "the gradients of earlier steps are never set to zero, so every step goes along the sum of all gradients so far",
        ("What does backward() do to a gradient that is there already?", "X_fooling.grad.zero_() after each step"),
        steps_along_the_sum,
    ),
    (
        "off-by-one",
        "the steps go on after the network is fooled; they end as soon as the target's score is the largest",
        ("How different from X should the image be?", "if scores.argmax() == target_y: break"),
        fooled(early=False),
    ),
    (
        "off-by-one",
        "one more step is taken after the network is fooled: ask before the step, not after it",
        ("What happens between the question and the end of the loop?", "break before X_fooling changes"),
        fooled(early=False, late=True),
    ),
    (
        "off-by-one",
        "a first step is taken without asking; where the target is predicted already, none is needed",
        ("What should come back if the network is fooled at the start?", "Ask before each step."),
        first_then_asked,
    ),
    (
        "off-by-one",
        "at most 99 steps are taken; it is 100",
        ("How often does the loop run?", "for _ in range(100)"),
        fooled(steps=99),
    ),
    (
        "numerics",
        "the image is cut off to [0, 1]; it is normalized, with values on both sides of 0: leave it as it is",
        ("Which values does a normalized image have?", "No clamp."),
        fooled(keep=lambda image: image.clamp(0, 1)),
    ),
)


def updated(*, objective=right_score, penalty=lambda img: 2 * img, normal=lambda dimg: dimg / dimg.norm(), before=False, rate=without):
    """`class_visualization_update_step` with some of its steps put in."""

    def class_visualization_update_step(img, model, target_y, l2_reg, learning_rate):
        _, dimg = gradient_of(objective, model, img, [target_y])
        term = l2_reg * penalty(img.detach())
        img.data += rate(learning_rate) * (normal(dimg) - term if before else normal(dimg - term))

    return class_visualization_update_step


def not_in_place(img, model, target_y, l2_reg, learning_rate):
    step = img.clone()
    updated()(step, model, target_y, l2_reg, learning_rate)
    return step


def gradients_added_up(img, model, target_y, l2_reg, learning_rate):
    (model(img)[0, target_y] - l2_reg * (img**2).sum()).backward()
    img.data += learning_rate * img.grad / img.grad.norm()


UPDATE = (
    *((kind, sentence, hints, updated(objective=objective)) for kind, sentence, hints, objective in OTHER_SCORES),
    (
        "missing-term",
        "the step follows the cross-entropy loss; it has to follow the target's score",
        ("What does the loss contain besides the target's score?", "scores[0, target_y] - l2_reg * (img**2).sum()"),
        updated(objective=lambda scores, labels: -F.cross_entropy(scores, torch.as_tensor(labels))),
    ),
    (
        "sign",
        "the step goes against the gradient; this is an ascent: the score has to grow",
        ("Is this a descent or an ascent?", "img.data += learning_rate * dimg / dimg.norm()"),
        updated(rate=lambda rate: -rate),
    ),
    (
        "sign",
        "the penalty has the wrong sign, so that large pixels are rewarded; it is subtracted from the score",
        ("What should the penalty do to a large pixel?", "scores[0, target_y] - l2_reg * (img**2).sum()"),
        updated(penalty=lambda img: -2 * img),
    ),
    (
        "missing-term",
        "the penalty l2_reg * |img|^2 has no part in the step",
        ("Where does the argument l2_reg come in?", "dimg -= 2 * l2_reg * img, before it is divided by its norm"),
        updated(penalty=torch.zeros_like),
    ),
    (
        "scale",
        "the penalty's gradient is half of what it should be: d |img|^2 / d img is 2 * img",
        ("What is the derivative of x**2?", "dimg -= 2 * l2_reg * img"),
        updated(penalty=without),
    ),
    (
        "wrong-statistic",
        "the penalty is l2_reg * |img|; it has to be l2_reg * |img|^2, the sum of squares",
        ("What does img.norm() compute?", "(img**2).sum()"),
        updated(penalty=lambda img: img / img.norm()),
    ),
    (
        "wrong-statistic",
        "the penalty is the sum of absolute values; it has to be the sum of squares",
        ("Which norm does L2 mean?", "(img**2).sum()"),
        updated(penalty=torch.sign),
    ),
    (
        "scale",
        "the penalty is the mean of the squares; it has to be their sum",
        ("What is |img|^2?", "(img**2).sum()"),
        updated(penalty=lambda img: 2 * img / img.numel()),
    ),
    (
        "scale",
        "the gradient is not divided by its norm",
        ("How long is the step, and what should learning_rate mean?", "img.data += learning_rate * dimg / dimg.norm()"),
        updated(normal=without),
    ),
    (
        "scale",
        "the gradient is divided by its squared norm; it has to be divided by the norm",
        ("How long is dimg / |dimg|^2?", "dimg.norm() is the root of the sum of squares already."),
        updated(normal=lambda dimg: dimg / dimg.norm() ** 2),
    ),
    (
        "scale",
        "the gradient is divided by its largest number; it has to be divided by its norm",
        ("How long is the step then?", "dimg.norm() is the root of the sum of squares."),
        updated(normal=lambda dimg: dimg / dimg.abs().max()),
    ),
    (
        "axis",
        "the score's gradient alone is divided by its norm, before the penalty's is subtracted; it is that of both",
        ("Of what is dimg the gradient?", "Subtract 2 * l2_reg * img first, then divide."),
        updated(before=True),
    ),
    (
        "missing-term",
        "the step does not depend on the learning rate",
        ("How long should the step be?", "img.data += learning_rate * dimg / dimg.norm()"),
        updated(rate=lambda rate: 1.0),
    ),
    (
        "mutation",
        "img is as it was: `img = img + ...` makes a new tensor; the step is in place",
        ("Does the caller's image change, or a new one with the same name?", "img.data += learning_rate * dimg / dimg.norm()"),
        not_in_place,
    ),
    (
        "state",
        "img.grad still holds the gradients of earlier steps: backward() adds to it",
        ("What is in img.grad when the second step begins?", "img.grad.zero_() at the end, or torch.autograd.grad"),
        gradients_added_up,
    ),
)

MISTAKES = (
    *(Mistake("compute_saliency_maps", *entry) for entry in SALIENCY),
    *(Mistake("make_fooling_image", *entry) for entry in FOOLING),
    *(Mistake("class_visualization_update_step", *entry) for entry in UPDATE),
)
