"""The coupling of the two halves of pairs at every step, with gradients by hand.

Coupled states are (D, 2, P, H): D directions, both halves of P pairs, H units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skseqmetric._ops.eager.gru import sigmoid_backward

MakeBuffer = Callable[..., Tensor]


class Coupling:
    """No coupling: hb = h."""

    def forward(self, t: int, h: Tensor) -> Tensor:
        """The contracted states of step t."""
        return h

    def start_backward(self) -> None:
        """Before the first step back."""

    def backward(self, t: int, grad: Tensor, h: Tensor) -> Tensor:
        """dL/dh of the states before step t from dL/dhb."""
        return grad

    def gradients(self) -> list[Tensor | None]:
        """Of the gate's inputs, U, V and a scalar's bias."""
        return [None, None, None, None]


class _Scalar(Coupling):
    """hb^i = h^i + c (h^j - h^i), c = sigma(b) / 2."""

    def __init__(self, bias: Tensor) -> None:
        self.gate = torch.sigmoid(bias)[:, None, None, None]

    def forward(self, t: int, h: Tensor) -> Tensor:
        return torch.lerp(h, h.flip(1), self.gate / 2)

    def start_backward(self) -> None:
        self.slope = (self.gate * (1 - self.gate)).flatten() / 2
        self.grad_bias = torch.zeros_like(self.slope)

    def backward(self, t: int, grad: Tensor, h: Tensor) -> Tensor:
        self.grad_bias += self.slope * ((h.flip(1) - h) * grad).sum((1, 2, 3))
        return torch.lerp(grad, grad.flip(1), self.gate / 2)

    def gradients(self) -> list[Tensor | None]:
        return [None, None, None, self.grad_bias]


class _Symmetric(Coupling):
    """c = sigma(x + U |e|) / 2 with e = h^1 - h^2 and inputs x of both halves. Both share the gate (D, P, H)."""

    def __init__(self, inputs: Tensor, hidden: Tensor, n_kept: int, make_buffer: MakeBuffer) -> None:
        n_directions, _, n_pairs, n = inputs.shape
        self.inputs, self.hidden, self.transposed = inputs, hidden, hidden.transpose(1, 2).contiguous()
        self.x, self.n_kept = inputs.unbind(1), n_kept
        self.gates = make_buffer(n_kept, n_directions, n_pairs, n).unbind(0)
        contracted = make_buffer(n_kept, n_directions, 2, n_pairs, n)
        views = (contracted, contracted[:, :, 0], contracted[:, :, 1])
        self.contracted = list(zip(*(view.unbind(0) for view in views), strict=True))
        self.absolute = inputs.new_empty(n_directions, n_pairs, n)

    def forward(self, t: int, h: Tensor) -> Tensor:
        (first, second), gate, (out, *halves) = (
            h.unbind(1),
            self.gates[t % self.n_kept],
            self.contracted[t % self.n_kept],
        )
        difference = first - second
        torch.baddbmm(self.x[t], torch.abs(difference, out=self.absolute), self.transposed, out=gate).sigmoid_()
        difference.mul_(gate)
        torch.sub(first, difference, alpha=0.5, out=halves[0])
        torch.add(second, difference, alpha=0.5, out=halves[1])
        return out

    def start_backward(self) -> None:
        self.grad_inputs, self.grad_hidden = torch.empty_like(self.inputs), torch.zeros_like(self.hidden)
        self.to = self.grad_inputs.unbind(1)

    def backward(self, t: int, grad: Tensor, h: Tensor) -> Tensor:
        (first, second), (grad_first, grad_second), gate = h.unbind(1), grad.unbind(1), self.gates[t]
        difference = first - second
        pull = torch.sub(grad_second, grad_first).mul_(0.5)
        to = sigmoid_backward(pull * difference, gate, grad_input=self.to[t])
        self.grad_hidden.baddbmm_(to.transpose(1, 2), torch.abs(difference, out=self.absolute))
        through = torch.bmm(to, self.hidden).mul_(difference.sign_()).addcmul_(pull, gate)
        # dL/dhb is nobody else's
        grad_first.add_(through)
        grad_second.sub_(through)
        return grad

    def gradients(self) -> list[Tensor | None]:
        return [self.grad_inputs, self.grad_hidden, None, None]


class _Diffusive(Coupling):
    """c^i = sigma(x^i + U h^i + V h^j) / 2: a gate for each half, (D, 2 P, H)."""

    def __init__(self, inputs: Tensor, hidden: Tensor, other: Tensor, n_kept: int, make_buffer: MakeBuffer) -> None:
        self.inputs, self.hidden, self.other = inputs, hidden, other
        self.transposed = [matrix.transpose(1, 2).contiguous() for matrix in (hidden, other)]
        self.x, self.n_kept = inputs.unbind(1), n_kept
        self.gates = make_buffer(n_kept, len(inputs), *inputs.shape[2:]).unbind(0)

    def forward(self, t: int, h: Tensor) -> Tensor:
        partner, gate = h.flip(1), self.gates[t % self.n_kept]
        torch.baddbmm(self.x[t], h.flatten(1, 2), self.transposed[0], out=gate)
        gate.baddbmm_(partner.flatten(1, 2), self.transposed[1]).sigmoid_()
        return torch.lerp(h, partner, (0.5 * gate).view_as(h))

    def start_backward(self) -> None:
        self.grad_inputs = torch.empty_like(self.inputs)
        self.grad_hidden, self.grad_other = torch.zeros_like(self.hidden), torch.zeros_like(self.other)
        self.to = self.grad_inputs.unbind(1)

    def backward(self, t: int, grad: Tensor, h: Tensor) -> Tensor:
        partner, half, gate = h.flip(1), 0.5 * grad, self.gates[t]
        to = sigmoid_backward(((partner - h) * half).flatten(1, 2), gate, grad_input=self.to[t])
        self.grad_hidden.baddbmm_(to.transpose(1, 2), h.flatten(1, 2))
        self.grad_other.baddbmm_(to.transpose(1, 2), partner.flatten(1, 2))
        pull = half.mul_(gate.view_as(h))
        crossed = torch.bmm(to, self.other).view_as(h).add_(pull)
        return (grad - pull).add_(torch.bmm(to, self.hidden).view_as(h)).add_(crossed.flip(1))

    def gradients(self) -> list[Tensor | None]:
        return [self.grad_inputs, self.grad_hidden, self.grad_other, None]


def make_coupling(name: str | None, inputs: Any, tensors: list[Any], n_kept: int, make_buffer: MakeBuffer) -> Coupling:
    """The coupling of that name; `inputs` are what the gate reads of the features, (D, T, P or 2 P, H).

    n_kept : steps whose gates are kept: all of them where a backward pass is to come, else 1.
    make_buffer : makes a tensor of a shape, contents undefined, that lives as long as the coupling.
    """
    hidden, other, bias = tensors
    if name == "symmetric":
        return _Symmetric(inputs, hidden, n_kept, make_buffer)
    if name == "diffusive":
        return _Diffusive(inputs, hidden, other, n_kept, make_buffer)
    return Coupling() if name is None else _Scalar(bias)
