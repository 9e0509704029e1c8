"""Training steps of a student on synthetic data, and the gradient of a loss of its final parameters through these steps.

A student starts from parameters theta_0 and takes N plain SGD steps on batches of the synthetic set:

    theta_{i+1} = theta_i - alpha * g_i,    g_i = d/dtheta  cross_entropy(f_theta(A_i(X_i)), softmax(Y_i))  at theta_i

and a loss L is computed from theta_N. Three ways to compute the gradient of L with respect to images X, labels Y and alpha:

- `full`: backward through all steps at once. Exact; stores every step's activations, so memory grows with N.
- `recompute`: the same gradient by the chain rule, step by step from the last to the first. With lambda_N = dL/dtheta_N,
      dL/dX_i = -alpha * d(g_i . lambda_{i+1})/dX_i   (and so for Y_i),    dL/dalpha = -sum_i g_i . lambda_{i+1},
      lambda_i = lambda_{i+1} - alpha * d(g_i . lambda_{i+1})/dtheta_i.
  Exact; stores N + 1 parameter vectors and one step's activations, and computes each g_i twice.
- `tesla`: without the last line, so that lambda_i = lambda_N for all i: each theta_i is treated as a constant, although it
  depends on the earlier batches. An approximation (tests/core/test_unroll.py measures its error); memory does not grow with N.

Symbols: P parameters, K classes, B images of a step, N steps.

Source: full unrolling as in MTT (Cazenavette et al., CVPR 2022) and DATM; `tesla` is the form of TESLA (Cui et al., ICML 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from raydistill.core.augment import Draw, augment_images
from raydistill.core.choices import GradientKind

StudentLoss = Callable[[Tensor, "Batch"], Tensor]
FinalLoss = Callable[[Tensor], Tensor]


class Batch(NamedTuple):
    """The augmented training batch of one student step."""

    images: Tensor
    """(B, C, H, W)."""
    logits: Tensor
    """(B, K); their softmax is the target."""
    draw: Draw | None
    """Augmentation, one group per image; None for none."""


class StudentStep(NamedTuple):
    """The images of the synthetic set that a step uses, and their augmentation."""

    chosen: Tensor
    """(B,) distinct indices."""
    draw: Draw | None


class Unroll(NamedTuple):
    """The start of N student steps, with all random choices already made."""

    student: StudentLoss
    """Loss of a step, from `student_loss`."""
    start: Tensor
    """(P,) theta_0."""
    images: Tensor
    """(M, C, H, W) synthetic images."""
    logits: Tensor
    """(M, K) synthetic labels."""
    lr: Tensor
    """alpha, a scalar."""
    steps: Sequence[StudentStep]


class Unrolled(NamedTuple):
    """The loss after N steps, and its gradient."""

    loss: Tensor
    images: Tensor
    """(M, C, H, W) gradient with respect to the images."""
    logits: Tensor
    """(M, K) gradient with respect to the logits."""
    lr: Tensor
    """Gradient with respect to the learning rate, a scalar."""


def flatten(network: nn.Module) -> Tensor:
    """(P,) copy of all parameters, first to last layer: weight and bias of each convolution and norm, then the classifier."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def student_loss(network: nn.Module) -> StudentLoss:
    """A network's cross-entropy as a function of (P,) flat parameters and a batch; the network's own parameters do not change."""
    logits = logits_by_parameters(network)

    def loss(parameters: Tensor, batch: Batch) -> Tensor:
        seen = augment_images(batch.images, batch.draw)
        return functional.cross_entropy(logits(parameters, seen), batch.logits.softmax(dim=1))

    return loss


def logits_by_parameters(network: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """A network's (N, K) logits as a function of (P,) flat parameters and (N, C, H, W) images."""
    shapes = [(name, parameter.shape) for name, parameter in network.named_parameters()]
    sizes = [shape.numel() for _, shape in shapes]

    def logits(parameters: Tensor, images: Tensor) -> Tensor:
        parts = parameters.split(sizes)
        named = {name: part.view(shape) for (name, shape), part in zip(shapes, parts, strict=True)}
        return functional_call(network, named, (images,))  # type: ignore[no-any-return]

    return logits


def unrolled_gradient(kind: GradientKind, unroll: Unroll, final: FinalLoss) -> Unrolled:
    """The loss `final(theta_N)` and its gradient with respect to images, logits and lr.

    Args:
        kind: how to compute the gradient; see the top of this file.
        unroll: the student's start and its steps.
        final: loss of the (P,) parameters after the last step, a scalar.
    """
    return {"full": _full, "recompute": _recompute, "tesla": _tesla}[kind](unroll, final)


def _full(unroll: Unroll, final: FinalLoss) -> Unrolled:
    leaves = [leaf.detach().clone().requires_grad_() for leaf in (unroll.images, unroll.logits, unroll.lr)]
    images, logits, lr = leaves
    theta = unroll.start.detach().clone().requires_grad_()
    for chosen, draw in unroll.steps:
        loss = unroll.student(theta, Batch(images[chosen], logits[chosen], draw))
        (slope,) = torch.autograd.grad(loss, theta, create_graph=True)
        theta = theta - lr * slope
    loss = final(theta)
    return Unrolled(loss.detach(), *torch.autograd.grad(loss, leaves))


def _recompute(unroll: Unroll, final: FinalLoss) -> Unrolled:
    thetas = [unroll.start.detach()]
    for step in unroll.steps:
        thetas.append(thetas[-1] - unroll.lr * _slope(unroll, thetas[-1], step))
    totals, adjoint = _from_the_end(unroll, final, thetas.pop())
    for step in reversed(unroll.steps):
        back = _step_back(unroll, thetas.pop(), step, adjoint, totals, is_exact=True)
        adjoint = adjoint - unroll.lr * back
    return totals


def _tesla(unroll: Unroll, final: FinalLoss) -> Unrolled:
    theta = unroll.start.detach()
    for step in unroll.steps:
        theta = theta - unroll.lr * _slope(unroll, theta, step)
    totals, adjoint = _from_the_end(unroll, final, theta)
    theta = unroll.start.detach()
    for step in unroll.steps:
        slope = _step_back(unroll, theta, step, adjoint, totals, is_exact=False)
        theta = theta - unroll.lr * slope
    return totals


def _slope(unroll: Unroll, theta: Tensor, step: StudentStep) -> Tensor:
    """(P,) g_i, detached from the graph."""
    theta = theta.detach().requires_grad_()
    batch = Batch(unroll.images[step.chosen], unroll.logits[step.chosen], step.draw)
    return torch.autograd.grad(unroll.student(theta, batch), theta)[0]


def _from_the_end(unroll: Unroll, final: FinalLoss, theta: Tensor) -> tuple[Unrolled, Tensor]:
    """The loss with gradients initialised to zero, and (P,) lambda_N."""
    theta = theta.detach().requires_grad_()
    loss = final(theta)
    (adjoint,) = torch.autograd.grad(loss, theta)
    zeros = (torch.zeros_like(part, requires_grad=False) for part in (unroll.images, unroll.logits, unroll.lr))
    return Unrolled(loss.detach(), *zeros), adjoint


def _step_back(unroll: Unroll, theta: Tensor, step: StudentStep, adjoint: Tensor, totals: Unrolled, *, is_exact: bool) -> Tensor:
    """Add the contribution of one step to the gradients in `totals`.

    Returns:
        (P,) d(g_i . lambda_{i+1})/dtheta_i if `is_exact`, else g_i.
    """
    theta = theta.detach().requires_grad_()
    images, logits = (part[step.chosen].detach().requires_grad_() for part in (unroll.images, unroll.logits))
    (slope,) = torch.autograd.grad(unroll.student(theta, Batch(images, logits, step.draw)), theta, create_graph=True)
    through = slope @ adjoint
    to_images, to_logits, *to_theta = torch.autograd.grad(through, [images, logits, theta] if is_exact else [images, logits])
    totals.images.index_add_(0, step.chosen, -unroll.lr * to_images)
    totals.logits.index_add_(0, step.chosen, -unroll.lr * to_logits)
    totals.lr.sub_(through.detach())
    return to_theta[0] if is_exact else slope.detach()
