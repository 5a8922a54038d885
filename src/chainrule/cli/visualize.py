"""`chainrule visualize`."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chainrule.cli.console import announce_compilation, err, out, percent
from chainrule.cli.networks import DEFAULT, Checkpoint, Engine, NetworkName, Photo, Weights, open_network
from chainrule.cli.options import DataFolder, RunsFolder
from chainrule.cli.output import checked_output

__all__ = ["EXAMPLES", "app"]

EXAMPLES = """Examples:

chainrule visualize saliency photo.jpg --class tabby --method grad-cam

chainrule visualize fool photo.jpg --target goose

chainrule visualize class --target tarantula --frames tarantula.gif

chainrule visualize filters speedrun-cifar10-1

chainrule visualize features speedrun-cifar10-1 photo.jpg

chainrule visualize invert photo.jpg --layer 4

chainrule visualize embedding speedrun-cifar10-1"""

app = typer.Typer(help="Look inside a network: what decides in an image, what fools it, what its classes and layers look like.")

Name = Annotated[str, typer.Argument(help="A run, or a published network (squeezenet1_0, squeezenet1_1, resnet18).")]
Output = Annotated[
    Path | None, typer.Option(readable=False, help="The picture, a PNG file (default: a name made of what it shows, in this folder).")
]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of gradient ascent, at most.")]


@app.command("saliency", epilog="Example:\n\nchainrule visualize saliency photo.jpg --class tabby --method integrated-gradients")
def show_saliency(
    image: Photo,
    label: Annotated[str | None, typer.Option("--class", help="Name, part of a name or number (default: what the network sees).")] = None,
    method: Annotated[
        Literal["gradient", "smoothgrad", "integrated-gradients", "grad-cam", "guided"], typer.Option(help="How it is found out.")
    ] = "gradient",
    network: NetworkName = DEFAULT,
    weights: Weights = None,
    engine: Engine = "hand",
    output: Output = None,
    seed: Seed = 0,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """Which pixels of an image decide about a class."""
    from chainrule.visualization import METHODS, attribution_figure, read_image, saliency, save_figure

    pixels = read_image(image)
    shown = open_network(network, engine, weights, runs, data_folder, checkpoint)
    x = shown.prepare(pixels)
    probabilities = shown.probabilities(x)[0]
    target = int(probabilities.argmax()) if label is None else shown.find_class(label)
    named = _named(image.stem, method, label and shown.class_name(target), network=network, checkpoint=checkpoint, seed=seed)
    path = checked_output(output or named, ".png", image, weights)
    attribution = saliency(shown, x, target, method=method, seed=seed)
    what = f"{shown.class_name(target)} ({percent(probabilities[target])})"
    figure = attribution_figure(shown.to_pixels(x)[0], attribution, f"{what}, {method}", METHODS[method])
    save_figure(figure, path, f"{image.name}: {method} of {shown.name} for {what}; bright pixels decide most")
    out.print(f"{path}   {what}", markup=False)


@app.command("fool", epilog="Example:\n\nchainrule visualize fool photo.jpg --target goose")
def fool(
    image: Photo,
    target: Annotated[str, typer.Option(help="Class that the network is to see: name, part of a name or number.")],
    steps: Steps = 100,
    learning_rate: Annotated[float, typer.Option(help="Length of a step; images are normalized to standard deviation 1.")] = 1.0,
    network: NetworkName = DEFAULT,
    weights: Weights = None,
    engine: Engine = "hand",
    output: Output = None,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """Change an image imperceptibly until the network takes it for another class.

    Written are the fooling image, which fools as a file, too, and a picture of how it came about.
    """
    from chainrule.visualization import fooling_figure, make_fooling_image, read_image, save_figure, softmax
    from chainrule.visualization.pictures import save_png

    pixels = read_image(image)
    shown = open_network(network, engine, weights, runs, data_folder, checkpoint)
    wanted, x = shown.find_class(target), shown.prepare(pixels)
    named = _named(image.stem, "as", shown.class_name(wanted), network=network, checkpoint=checkpoint)
    path = checked_output(output or named, ".png", image, weights)
    picture = checked_output(path.with_stem(f"{path.stem}-difference"), ".png", image, weights)
    fooling = make_fooling_image(
        shown.module, x, wanted, learning_rate=learning_rate, steps=steps, low=shown.low, high=shown.high, stored=shown.stored
    )
    if fooling.steps == 0:
        raise ValueError(f"{image} is taken for {shown.class_name(wanted)} as it is; choose another target")
    before, after = softmax(fooling.before)[0], softmax(fooling.scores)[0]
    seen = int(before.argmax())
    how_long = f"after {fooling.steps} {'step' if fooling.steps == 1 else 'steps'}"
    for label in (seen, wanted):
        out.print(f"{shown.class_name(label):<30} {percent(before[label]):>7} -> {percent(after[label]):>7}", markup=False)
    if not fooling.fooled:
        err.print(f"error: not fooled {how_long}; try more --steps, or another --learning-rate", markup=False)
        raise typer.Exit(1)
    titles = f"{shown.class_name(seen)} {percent(before[seen])}", f"{shown.class_name(wanted)} {percent(after[wanted])}"
    pair = shown.to_pixels(x)[0], shown.to_pixels(fooling.x)[0]
    save_png(pair[1], path)
    save_figure(fooling_figure(*pair, titles, how_long), picture, f"{image.name}: {titles[0]}; {how_long} {titles[1]}")
    out.print(f"fooled {how_long}", markup=False)
    out.print(f"image    {path}\npicture  {picture}", markup=False)


@app.command("class", epilog="Example:\n\nchainrule visualize class --target tarantula --frames tarantula.gif")
def show_class(
    target: Annotated[str, typer.Option(help="Class to draw: name, part of a name or number.")],
    steps: Steps = 200,
    frames: Annotated[Path | None, typer.Option(readable=False, help="Also write the image as it forms, an animated GIF.")] = None,
    network: NetworkName = DEFAULT,
    weights: Weights = None,
    engine: Engine = "hand",
    output: Output = None,
    seed: Seed = 0,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """Draw the image that a network finds most like a class.

    The class's score is raised, not its probability: where the scores of others rise, too, the image may be taken for one of those.
    """
    import numpy as np

    from chainrule.visualization import class_visualization_steps, row_figure, save_figure
    from chainrule.visualization.pictures import enlarged, save_gif

    shown = open_network(network, engine, weights, runs, data_folder, checkpoint)
    wanted = shown.find_class(target)
    name = shown.class_name(wanted)
    path = checked_output(output or _named(name, network=network, checkpoint=checkpoint, seed=seed), ".png", weights)
    if frames is not None:
        checked_output(frames, ".gif", weights)
    drawing = class_visualization_steps(
        shown.module,
        wanted,
        shape=shown.image_shape,
        steps=steps,
        low=shown.low,
        high=shown.high,
        rng=np.random.default_rng(seed),
    )
    kept, x, score = _watched(name, steps, drawing, shown)
    (probabilities,) = shown.probabilities(x)
    what = [f"score {score:.1f}, probability {percent(probabilities[wanted])}"]
    if (seen := int(probabilities.argmax())) != wanted:
        what.append(f"taken for {shown.class_name(seen)}, {percent(probabilities[seen])}")
    title = f"{name}, by {shown.name}"
    save_figure(row_figure([("\n".join(what), kept[-1])], title), path, f"what {shown.name} finds most like {name}; {'; '.join(what)}")
    out.print(f"{path}   {name}: {'; '.join(what)}", markup=False)
    if frames is not None:
        save_gif([enlarged(frame) for frame in kept], frames)
        out.print(f"{frames}   {len(kept)} frames", markup=False)


@app.command("filters", epilog="Example:\n\nchainrule visualize filters speedrun-cifar10-1")
def show_filters(
    name: Name,
    weights: Weights = None,
    output: Output = None,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """The weights of the first layer, as pictures."""
    from chainrule.visualization import first_layer, save_figure, tiles_figure
    from chainrule.visualization.pictures import weight_pixels

    shown = open_network(name, "hand", weights, runs, data_folder, checkpoint)
    layer, filters = first_layer(shown)
    path = checked_output(output or _named(name, "filters", checkpoint=checkpoint), ".png", weights)
    title = f"{shown.name}: {layer}, {len(filters)} filters of {' x '.join(map(str, filters.shape[1:]))}; grey is 0"
    save_figure(tiles_figure(weight_pixels(filters), title), path, title)
    out.print(f"{path}   {title}", markup=False)


@app.command("features", epilog="Example:\n\nchainrule visualize features speedrun-cifar10-1 photo.jpg --layer 1 --layer 4")
def show_features(
    name: Name,
    image: Photo,
    layer: Annotated[list[str] | None, typer.Option(help="Layer to show, may be repeated (default: up to 12 activations).")] = None,
    weights: Weights = None,
    engine: Engine = "hand",
    output: Output = None,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """What the layers put out for an image."""
    from chainrule.visualization import activation_figure, feature_maps, read_image, save_figure

    pixels = read_image(image)
    shown = open_network(name, engine, weights, runs, data_folder, checkpoint)
    x = shown.prepare(pixels)
    named = _named(image.stem, "features", *(layer or ()), network=name, checkpoint=checkpoint)
    path = checked_output(output or named, ".png", image, weights)
    layers = feature_maps(shown, x, layer)
    title = f"{shown.name}: the strongest channels of {len(layers)} {'layer' if len(layers) == 1 else 'layers'}, each scaled by itself"
    save_figure(activation_figure(shown.to_pixels(x)[0], layers, title), path, f"{image.name}, {title}: {', '.join(layers)}")
    out.print(f"{path}   {', '.join(layers)}", markup=False)


@app.command("invert", epilog="Example:\n\nchainrule visualize invert photo.jpg --layer 4")
def invert(
    image: Photo,
    layer: Annotated[str, typer.Option(help="Layer whose features the image is made from: its name, or the end of it.")],
    steps: Steps = 200,
    network: NetworkName = DEFAULT,
    weights: Weights = None,
    engine: Engine = "hand",
    output: Output = None,
    seed: Seed = 0,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """Draw an image from what a layer still knows about one."""
    import numpy as np

    from chainrule.visualization import feature_inversion_steps, find_layer, read_image, row_figure, save_figure

    pixels = read_image(image)
    shown = open_network(network, engine, weights, runs, data_folder, checkpoint)
    name, x = find_layer(shown, layer), shown.prepare(pixels)
    named = _named(image.stem, "from", name, network=network, checkpoint=checkpoint, seed=seed)
    path = checked_output(output or named, ".png", image, weights)
    drawing = feature_inversion_steps(shown.module, x, name, steps=steps, low=shown.low, high=shown.high, rng=np.random.default_rng(seed))
    kept, _, distance = _watched(f"features of {name}", steps, drawing, shown)
    title = f"{shown.name}: the features at {name} differ by {percent(distance)} of their square"
    pair = [("image", shown.to_pixels(x)[0]), (f"drawn from {name}", kept[-1])]
    save_figure(row_figure(pair, title), path, f"{image.name}, and an image drawn from its features; {title}")
    out.print(f"{path}   {title}", markup=False)


@app.command("embedding", epilog="Example:\n\nchainrule visualize embedding speedrun-cifar10-1 --method pca")
def show_embedding(
    name: Annotated[str, typer.Argument(help="Name of a run.")],
    method: Annotated[Literal["tsne", "pca"], typer.Option(help="t-SNE keeps neighbours together, PCA distances.")] = "tsne",
    images: Annotated[int, typer.Option(min=3, help="Test images, at most.")] = 1000,
    engine: Engine = "hand",
    output: Output = None,
    seed: Seed = 0,
    runs: RunsFolder = Path("runs"),
    data_folder: DataFolder = None,
    checkpoint: Checkpoint = "best",
):
    """A map of the test images, as the last hidden layer sees them."""
    from chainrule.visualization import embed, embedding_figure, hidden_features, load_run_network, save_figure

    announce_compilation()
    named = _named(name, "embedding", None if method == "tsne" else method, checkpoint=checkpoint, seed=seed)
    path = checked_output(output or named, ".png")
    network, data = load_run_network(name, engine=engine, runs=runs, checkpoint=checkpoint, data_folder=data_folder)
    split = data.test
    features = hidden_features(network.module, data.normalize(split.images[:images], network.dtype))
    points = embed(features, method=method, seed=seed)
    title = f"{name}: {len(points):,} test images of {data.name} in the last hidden layer, {features.shape[1]} -> 2 by {method}"
    save_figure(embedding_figure(points, split.labels[:images], data.classes, title), path, title)
    out.print(f"{path}   {title}", markup=False)


def _named(*words: str | None, network: str = DEFAULT, checkpoint: str = "best", seed: int = 0) -> Path:
    """The file in this folder that is called what it shows: the words that are not None, and what is not the default."""
    told = [*words, None if network == DEFAULT else network, None if checkpoint == "best" else checkpoint, f"seed-{seed}" if seed else None]
    return Path("-".join(word for word in told if word).replace(" ", "-").replace("/", "-") + ".png")


def _watched(name, steps, drawing, shown) -> tuple[list, Any, float]:
    """Pixels of every tenth step of `drawing`, (image, number) by step, shown as they come; then the last image and number."""
    from chainrule.cli.preview import Preview

    frames, x, number = [], None, math.nan  # `drawing` has at least one step
    with Preview(name, steps) as preview:
        for step, (x, number) in enumerate(drawing, start=1):
            if step % 10 == 0 or step in (1, steps):
                frames.append(shown.to_pixels(x)[0])
                preview.show(step, number, frames[-1])
    return frames, x, number
