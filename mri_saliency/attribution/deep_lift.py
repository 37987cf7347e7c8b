"""DeepLIFT's rules for the layers of an EfficientNet that Captum does not know.

Captum rescales only the non-linearities that it lists, by exact type; SiLU and the product of
squeeze-excitation are not among them, nor are the log-odds of several classes. With the rules here the
map's sum equals the change of the log-odds that it explains (Shrikumar et al. 2017, Learning important
features through propagating activation differences, ICML).
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torchvision.ops.misc import SqueezeExcitation

from mri_saliency.attribution.log_odds import LogOdds, log_odds

# Below this difference of a non-linearity's two inputs its secant is lost in float32 rounding
# (6e-8 / 1e-2), while the derivative midway misses it by the difference squared over 24 (4e-6).
_SMALL_DIFFERENCE = 1e-2

# The gradient of log-odds has no pole nearer to a path than pi over the spread of the outputs' differences.
# So with ten Gauss-Legendre points for each 4 of spread, its mean is right to 1e-9.
_PIECE_SPREAD, _PIECE_POINTS = 4, 10
_MOST_PIECES = 1000  # a spread of 4000; beyond, and with outputs that are not finite, points are wider apart


def use_deep_lift_rules(network: nn.Module) -> None:
    """Replace the layers that need a rule, in place; outputs stay the same.

    The network expects scans and baselines joined along the first axis then, as Captum's `DeepLift` has them.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, SqueezeExcitation):
                setattr(module, name, _RuledSqueezeExcitation(child))
            elif isinstance(child, nn.SiLU | nn.Sigmoid):
                setattr(module, name, _RuledActivation(child))
            elif isinstance(child, LogOdds):
                setattr(module, name, _RuledLogOdds())


class _Context(FunctionCtx):
    """What the forward pass of a rule leaves to its backward pass."""

    saved_tensors: tuple[Tensor, ...]
    function: Callable[[Tensor], Tensor]


class _RuledActivation(nn.Module):
    """A non-linearity under the rescale rule."""

    def __init__(self, activation: nn.SiLU | nn.Sigmoid) -> None:
        super().__init__()
        self.function = torch.sigmoid if isinstance(activation, nn.Sigmoid) else nn.functional.silu

    def forward(self, joined: Tensor) -> Tensor:
        return _Rescale.apply(joined, self.function)


class _RuledSqueezeExcitation(nn.Module):
    """Squeeze-excitation under the rescale rule and a symmetric rule for its product."""

    def __init__(self, block: SqueezeExcitation) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            block.avgpool,
            block.fc1,
            _RuledActivation(block.activation),
            block.fc2,
            _RuledActivation(block.scale_activation),
        )

    def forward(self, joined: Tensor) -> Tensor:
        return _SymmetricProduct.apply(self.gate(joined), joined)


class _RuledLogOdds(nn.Module):
    """The log-odds of classes under the rule of `_LogOddsOnPath`; those of one or two classes are linear."""

    def forward(self, joined: Tensor) -> Tensor:
        return log_odds(joined) if joined.shape[1] <= 2 else _LogOddsOnPath.apply(joined)


class _Rescale(torch.autograd.Function):
    """f(x), whose backward pass multiplies by (f(x) - f(x0)) / (x - x0); x and x0 joined along axis 0.

    Where x and x0 nearly agree, it multiplies by the derivative midway between them.
    """

    @staticmethod
    def forward(ctx: _Context, joined: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(joined)
        ctx.function = function
        return function(joined)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        x, x0 = ctx.saved_tensors[0].chunk(2)
        with torch.enable_grad():
            middle = ((x + x0) / 2).requires_grad_()
            derivative = torch.autograd.grad(ctx.function(middle).sum(), middle)[0]
        secant = (ctx.function(x) - ctx.function(x0)) / (x - x0)  # NaN where equal, not used there
        multiplier = torch.where((x - x0).abs() < _SMALL_DIFFERENCE, derivative, secant)
        return gradient * torch.cat([multiplier, multiplier]), None


class _SymmetricProduct(torch.autograd.Function):
    """a * b, whose backward pass gives each factor the other's mean over scan and baseline.

    Exact for a difference of products: d(ab) = mean(a) db + mean(b) da.
    """

    @staticmethod
    def forward(ctx: _Context, scale: Tensor, values: Tensor) -> Tensor:
        ctx.save_for_backward(scale, values)  # (2n, c, 1, 1), (2n, c, h, w)
        return scale * values

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, Tensor]:
        scale, values = (torch.stack(x.chunk(2)).mean(0).repeat(2, 1, 1, 1) for x in ctx.saved_tensors)
        return (gradient * values).sum(dim=(2, 3), keepdim=True), gradient * scale


class _LogOddsOnPath(torch.autograd.Function):
    """Log-odds of outputs z, whose backward pass multiplies by their mean gradient on the way from z0 to z.

    The way is straight: z0 + t (z - z0), t from 0 to 1; z and z0 are joined along axis 0. The multiplier of
    the class's own output is 1, that of another output is minus the mean over t of its softmax among the
    others. The multipliers times the outputs' differences add up to the change of the log-odds. The
    multipliers add up to 0, so that a rise of all outputs alike counts for nothing. The two rules above are
    such means too (Aumann & Shapley 1974, Values of non-atomic games).
    """

    @staticmethod
    def forward(ctx: _Context, joined: Tensor) -> Tensor:
        ctx.save_for_backward(joined)
        return log_odds(joined)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> Tensor:
        z, z0 = ctx.saved_tensors[0].double().chunk(2)  # (n, n_logits)
        spread = ((z - z0).amax(1) - (z - z0).amin(1)).max()
        n_pieces = int((spread / _PIECE_SPREAD).nan_to_num().clamp(1, _MOST_PIECES).ceil())
        nodes, weights = (
            torch.from_numpy(array).to(z)[:, None, None]
            for array in np.polynomial.legendre.leggauss(_PIECE_POINTS)
        )
        mean = torch.zeros(gradient.shape).to(z)
        for piece in range(n_pieces):
            points = torch.lerp(z0, z, (piece + (nodes + 1) / 2) / n_pieces).repeat(1, 2, 1)
            with torch.enable_grad():
                points.requires_grad_()  # (_PIECE_POINTS, 2 n, n_logits)
                weighted = log_odds(points) * gradient * weights / (2 * n_pieces)
                mean += torch.autograd.grad(weighted.sum(), points)[0].sum(0)
        return mean.to(gradient.dtype)
