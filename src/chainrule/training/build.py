"""From settings to a Trainer, and from a run on disk back to its network."""

from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np

from chainrule import data as datasets
from chainrule import nn, optim
from chainrule.models import MODELS
from chainrule.models.whitening import first_weights
from chainrule.settings import OPTIMIZERS, Settings
from chainrule.training.callbacks import Callback, EarlyStopping, LayerStatistics
from chainrule.training.provenance import describe_data
from chainrule.training.trainer import Trainer

WHITENING_IMAGES = 5000

__all__ = ["build_data", "build_model", "build_trainer", "check_same_data", "load_run"]


def build_data(settings: Settings, folder=None):
    """The dataset of a run."""
    return datasets.load(settings.data, folder=folder, seed=settings.seed, limit=settings.limit, validation=settings.validation)


def build_model(settings: Settings, data):
    """The network of a run, with the first weights that its seed gives; the same ones for both engines."""
    build = MODELS[settings.model]
    arguments = {"image": data.image_shape, "classes": len(data.classes), **settings.model_arguments}
    rng = np.random.default_rng(settings.seed)
    model = build(nn, **arguments).reset_parameters(rng)
    if settings.weight_scale is not None:
        _reset_normally(model, settings.weight_scale, rng)
    if settings.dtype == "float64":
        model.double()
    if settings.model == "speedrun":
        images = data.normalize(data.train.images[:WHITENING_IMAGES], settings.dtype)
        model.load_state_dict(first_weights(model.state_dict(), images))
    if settings.engine == "hand":
        return model
    from chainrule import pytorch

    twin = build(pytorch.nn, **arguments)
    twin = twin.double() if settings.dtype == "float64" else twin
    pytorch.copy_weights(model, twin)
    return pytorch.placed(twin, pytorch.choose_device(settings.device), channels_last=settings.channels_last)


def _reset_normally(model, scale, rng):
    """Weights ~ N(0, scale^2) and biases 0, as CS231n's networks begin; norms stay as they are."""
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if len(parameter.shape) > 1:
            parameter.data[...] = scale * rng.standard_normal(parameter.shape)
            bias = parameters.get(name.removesuffix("weight") + "bias")
            if bias is not None:
                bias.data[...] = 0


def build_trainer(settings: Settings, data, *, run=None, callbacks=(), group=None) -> Trainer:
    """A Trainer ready to `fit(settings.epochs)`; `group` are the processes that train together (default: this one alone)."""
    model = build_model(settings, data)
    assert settings.batch_size is not None  # Settings chose one
    steps_per_epoch = -(-len(data.train) // settings.batch_size)
    optimizer, ends = _optimizer(settings, model)
    own: list[Callback] = [EarlyStopping(settings.patience)] if settings.patience else []
    if settings.statistics:
        own.append(LayerStatistics())
    return Trainer(
        model,
        data,
        optimizer=optimizer,
        schedule=_schedule(settings, optimizer, steps_per_epoch, ends),
        loss=_loss(settings),
        batch_size=settings.batch_size,
        seed=settings.seed,
        augment=_augmentation(settings, data.image_shape),
        clip_norm=settings.clip_norm,
        callbacks=[*own, *callbacks],
        run=run,
        checkpoint_every=settings.checkpoint_every,
        **_of_engine(settings, group),
    )


def _of_engine(settings, group):
    """Arguments that only PyTorch's engine takes."""
    if settings.engine == "hand":
        return {}
    return {"amp": settings.amp, "compile": settings.compile, "accumulate": settings.accumulate, "group": group}


def _optimizer(settings, model):
    """The optimizer, and for each of its parameter groups the epoch at which it ends."""
    if settings.engine == "hand":
        library = optim
    else:
        from chainrule.pytorch import optim as library
    kinds = {"sgd": library.SGD, "rmsprop": library.RMSprop, "adam": library.Adam, "adamw": library.AdamW, "adagrad": library.Adagrad}
    kinds["muon"] = library.Muon
    groups: dict[str, list] = {settings.optimizer: []}  # by the kind of their optimizer; the run's own comes first
    ends: dict[str, list] = {}
    for parameters, values in _groups(settings, model):
        kind = values.pop("optimizer")
        ends.setdefault(kind, []).append(values.pop("epochs", settings.epochs))
        if kind not in ("sgd", "muon"):
            values = {name: value for name, value in values.items() if name not in ("momentum", "nesterov")}
        groups.setdefault(kind, []).append({"params": parameters, **values})
    groups = {kind: own for kind, own in groups.items() if own}
    parts = [kinds[kind](own) for kind, own in groups.items()]
    optimizer = parts[0] if len(parts) == 1 else optim.Chain(parts)
    if settings.ema is not None:
        optimizer = optim.EMA(optimizer, settings.ema)
    return optimizer, [end for kind in groups for end in ends[kind]]


def _groups(settings, model):
    """[(parameters, their settings)] of what is in none of `settings.groups` (what decays, and what does not), then of those."""
    rest = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    found = []
    for place, changes in settings.groups.items():
        own = {name: rest.pop(name) for name in list(rest) if _fits(place, name, rest[name])}
        if own:
            found.append((own, _group_settings(settings, changes, own)))
        elif place not in ("vectors", "matrices", "filters"):
            raise ValueError(f"group {place!r} fits no parameter that is learned and left; there are {', '.join(rest) or 'none left'}")
    if not settings.weight_decay:
        parts = [rest]
    else:
        parts = [{name: parameter for name, parameter in rest.items() if (len(parameter.shape) > 1) == decays} for decays in (True, False)]
    found = [(own, _group_settings(settings, {}, own)) for own in parts if own] + found
    return [(list(own.values()), values) for own, values in found]


def _fits(place, name, parameter):
    axes = len(parameter.shape)
    kinds = {"vectors": axes < 2, "matrices": axes == 2, "filters": axes > 2}
    return kinds[place] if place in kinds else fnmatchcase(name, place)


def _group_settings(settings, changes, parameters):
    """What the optimizer of a group is told: the group's own word, else that of the run if it is for the same optimizer."""
    optimizer = changes.get("optimizer", settings.optimizer)
    decays = any(len(parameter.shape) > 1 for parameter in parameters.values())
    values = {"weight_decay": settings.weight_decay if decays else 0.0}
    if optimizer == settings.optimizer:
        values |= {name: getattr(settings, name) for name in ("lr", "momentum", "nesterov")}
    else:
        values |= OPTIMIZERS[optimizer]
    return {name: value for name, value in (values | changes).items() if name != "groups"} | {"optimizer": optimizer}


def _schedule(settings, optimizer, steps_per_epoch, ends):
    steps = settings.epochs * steps_per_epoch
    warmup = min(round(settings.warmup_epochs * steps_per_epoch), steps - 1)
    rest = steps - warmup
    if settings.schedule == "one-cycle":
        return optim.OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], steps)
    if settings.schedule == "triangular":
        totals = [max(1, round(end * steps_per_epoch)) for end in ends]
        return optim.TriangularLR(optimizer, totals, peak=warmup / steps, start_factor=1 / warmup if warmup else 1.0)
    if settings.schedule == "constant":
        after = optim.ExponentialLR(optimizer, 1.0)
    elif settings.schedule == "step":
        after = optim.StepLR(optimizer, settings.step_epochs * steps_per_epoch, settings.gamma)
    elif settings.schedule == "exponential":
        after = optim.ExponentialLR(optimizer, settings.gamma ** (1 / rest))
    else:
        after = optim.CosineAnnealingLR(optimizer, rest)
    if not warmup:
        return after
    return optim.SequentialLR(optimizer, [optim.LinearLR(optimizer, 1 / warmup, 1.0, warmup), after], [warmup])


def _loss(settings):
    if settings.engine == "hand":
        library = nn
    else:
        from chainrule.pytorch import nn as library
    return library.MultiMarginLoss() if settings.loss == "hinge" else library.CrossEntropyLoss(label_smoothing=settings.label_smoothing)


def _augmentation(settings, image_shape):
    if not settings.augment and not settings.cutout:
        return None
    side = min(image_shape[1:])
    if settings.cutout >= side:
        raise ValueError(f"cutout is {settings.cutout}; it must be less than the {side} pixels of an image's side, or nothing is left")
    if not settings.augment:
        return datasets.Augmentation(flip="none", pad=0, cutout=settings.cutout)
    # He et al. pad images of 32 pixels by 4; a shift of 4 would push a digit of 8 pixels out of its image
    pad = round(side / 8) if settings.shift is None else settings.shift
    if pad >= side:
        raise ValueError(f"shift is {pad}; it must be less than the {side} pixels of an image's side, or nothing is left")
    flip = settings.flip if settings.data != "digits" else "none"  # a mirrored digit is another sign
    return datasets.Augmentation(flip=flip, pad=pad, border=settings.border, cutout=settings.cutout)


def load_run(run, *, checkpoint="best", folder=None, engine=None):
    """The dataset and the trained network of a run.

    Parameters
    ----------
    run : Run
    checkpoint : "best" (by validation accuracy) or "last"
    folder : where the dataset lies (default: where `chainrule.data` looks)
    engine : "hand" or "torch", whatever the run was trained with (default: its own)

    Returns
    -------
    settings : Settings
    data : Dataset
    trainer : Trainer, whose engine has the checkpoint's parameters

    Raises
    ------
    ValueError
        The data are not those that the run was trained on, or the checkpoint does not fit the network of its config.json.
    """
    settings = Settings.from_dict(run.config.get("settings", {}))
    data = build_data(settings, folder)
    check_same_data(run, data)
    here = replace(settings.with_engine(engine or settings.engine), device="auto", compile=False)  # of this machine; nothing is trained
    trainer = build_trainer(here, data)
    model, _, _ = run.load_checkpoint(checkpoint)
    trainer.engine.load_model_state(model)
    return settings, data, trainer


def check_same_data(run, data):
    """Refuse data that are not described in the run's config.json; the message says what differs."""
    expected = run.config.get("data")
    if not isinstance(expected, dict):
        raise ValueError(f"{run.path / 'config.json'} does not say on which data the run was trained")
    found = describe_data(data)
    differences = [f"{key} was {expected.get(key)!r}, is {value!r}" for key, value in found.items() if expected.get(key) != value]
    if differences:
        raise ValueError(
            f"these are not the data that run {run.name!r} was trained on: {'; '.join(differences)}; "
            "point CHAINRULE_DATA or --data-folder at the same files"
        )
