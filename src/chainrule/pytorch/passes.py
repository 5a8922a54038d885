"""PyTorch as a rival: one pass of a layer, for the benchmarks."""

import torch

__all__ = ["layer_pass"]


def layer_pass(module, x, dout, need_dx=True):
    """A function that computes the output and the gradients of `module` at x: () -> [out, dx (if it is needed), dw, db, ...], as arrays.

    Those of frozen parameters are left out.

    Parameters
    ----------
    module : torch.nn.Module
    x : input
    dout : gradient of the output
    need_dx : False for the first layer of a network
    """
    images, upstream = torch.from_numpy(x).requires_grad_(need_dx), torch.from_numpy(dout)
    sources = [images] * need_dx + [parameter for parameter in module.parameters() if parameter.requires_grad]

    def run():
        out = module(images)
        return [tensor.detach().numpy() for tensor in (out, *torch.autograd.grad(out, sources, upstream))]

    return run
