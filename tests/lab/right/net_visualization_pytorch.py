"""Right ways to look inside, none of them the library's."""

import torch


def as_in_the_course(X, y, model):
    model.eval()
    X.requires_grad_()
    scores = model(X).gather(1, y.view(-1, 1)).squeeze()
    scores.backward(torch.ones_like(scores))
    saliency, _ = torch.max(X.grad.data.abs(), dim=1)
    X.grad = None
    return saliency


def image_by_image(X, y, model):
    maps = []
    for image, label in zip(X, y, strict=True):
        image = image[None].clone().requires_grad_(True)
        model(image)[0, label].backward()
        maps.append(torch.maximum(image.grad[0].max(0).values, (-image.grad[0]).max(0).values))
    return torch.stack(maps)


def from_the_scores(X, y, model):
    image = X.detach().requires_grad_()  # shares its numbers with X
    scores = model(image)
    dscores = torch.nn.functional.one_hot(y, scores.shape[1]).to(scores)
    (dX,) = torch.autograd.grad(scores, image, grad_outputs=dscores)
    return dX.abs().max(dim=1)[0].double()


def fooling_as_in_the_course(X, target_y, model):
    X_fooling = X.clone()
    X_fooling = X_fooling.requires_grad_()
    learning_rate = 1
    for _ in range(100):
        scores = model(X_fooling)
        if scores.max(1)[1][0].item() == target_y:
            break
        scores[:, target_y].backward()
        with torch.no_grad():
            g = X_fooling.grad
            X_fooling += learning_rate * g / g.norm()
            X_fooling.grad.zero_()
    return X_fooling


def fooling_with_new_tensors(X, target_y, model):
    def towards(image):
        return model(image)[0, target_y]

    image, steps = X, 0
    while steps < 100 and int(torch.argmax(model(image))) != target_y:
        dX = torch.func.grad(towards)(image)
        image, steps = image + dX / (dX**2).sum().sqrt(), steps + 1
    return image.detach().clone()


def step_as_in_the_course(img, model, target_y, l2_reg, learning_rate):
    score = model(img)[:, target_y] - l2_reg * img.norm() ** 2
    score.backward()
    img.data += learning_rate * (img.grad.data / img.grad.data.norm())
    img.grad.zero_()


def step_by_autograd(img, model, target_y, l2_reg, learning_rate):
    image = img.detach()
    dimg = torch.func.grad(lambda x: model(x)[0, target_y] - l2_reg * x.square().sum())(image)
    with torch.no_grad():
        img.add_(dimg * (learning_rate / torch.linalg.vector_norm(dimg)))
    return img


def step_by_an_optimizer(img, model, target_y, l2_reg, learning_rate):
    """Weight decay adds 2 * l2_reg * img to the gradient; the norm is taken of both."""
    optimizer = torch.optim.SGD([img], lr=learning_rate, maximize=True)
    optimizer.zero_grad()
    (model(img)[0, target_y] - l2_reg * torch.dot(img.flatten(), img.flatten())).backward()
    img.grad /= img.grad.norm()
    optimizer.step()
    img.grad = None


RIGHT = [
    (
        "as in the course",
        {
            "compute_saliency_maps": as_in_the_course,
            "make_fooling_image": fooling_as_in_the_course,
            "class_visualization_update_step": step_as_in_the_course,
        },
    ),
    ("image by image", {"compute_saliency_maps": image_by_image}),
    ("from the scores' gradient", {"compute_saliency_maps": from_the_scores}),
    ("with new tensors", {"make_fooling_image": fooling_with_new_tensors}),
    ("functional gradients", {"class_visualization_update_step": step_by_autograd}),
    ("an optimizer", {"class_visualization_update_step": step_by_an_optimizer}),
]
