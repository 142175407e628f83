"""One training epoch of SyncGRUMetric against a bare torch loop that does the same arithmetic, and fits by every form.

The data are 7,352 sequences of 128 x 9, the size of a common activity data set. The model has 64 units, one direction,
no coupling, no stem and no augmentation. Training takes batches of 64, the NCA loss, and AdamW with one-cycle schedule
and gradient clipping. The bare loop's recurrence is torch.nn.GRU's.

With --data DIR also 300 updates with default parameters on 2,000 activity windows (hapt.npz, 128 x 6). They run
with and without coupling, by torch operations and by the compiled kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.activity import load_activity
from benchmarks.harness import Result, argument_parser, measure, report
from skseqmetric import SyncGRUMetric
from skseqmetric._networks.sync_gru import SyncGRUCell
from skseqmetric._ops.dispatch import implementation, obstacle

UNITS, BATCH, RATE = 64, 64, 3e-3


def make_data(n: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, 128, 9) float32: six classes of noisy sines of different frequency."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 6, n)
    t = np.linspace(0, 2 * np.pi, 128)[None, :, None]
    X = np.sin((1 + y)[:, None, None] * t + rng.uniform(0, 6, (n, 1, 9))) + rng.normal(0, 0.3, (n, 128, 9))
    return X.astype(np.float32), y


def estimator_epoch(X: np.ndarray, y: np.ndarray, device: str) -> Callable[[], float]:
    """The estimator's fit of one epoch, validation of the input and all; returns its mean loss."""
    metric = SyncGRUMetric(
        UNITS,
        coupling=None,
        bidirectional=False,
        n_filters=None,
        augment=None,
        max_epochs=1,
        min_batches=1,
        batch_size=BATCH,
        learning_rate=RATE,
        random_state=0,
        device=device,
    )
    return lambda: metric.fit(X, y).history_[-1]["train_loss"]


def bare_epoch(X: np.ndarray, y: np.ndarray, device: str) -> Callable[[], float]:
    """The same arithmetic written down with nothing around it; returns its mean loss."""

    def run() -> float:
        rng = np.random.default_rng(0)
        values = torch.from_numpy((X - X.mean((0, 1))) / X.std((0, 1))).to(device)
        labels = torch.from_numpy(y).to(device)
        gru = _started(nn.GRU(9, UNITS, batch_first=True)).to(device)
        log_scale = nn.Parameter(torch.zeros((), device=device))
        parameters = [*gru.parameters(), log_scale]
        optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=1e-4)
        n_batches = -(-len(X) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=n_batches)
        order = np.resize(rng.permutation(len(X)), n_batches * BATCH).reshape(n_batches, BATCH)
        total = 0.0
        for chosen in order:
            rows = torch.from_numpy(chosen).to(device)
            embedded = gru(values[rows])[0].mean(1)
            loss = nca(embedded, labels[rows], log_scale.exp())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        return total / n_batches

    return run


def _started(gru: nn.GRU) -> nn.GRU:
    """With weights as the estimator's start: from torch's own an epoch may learn nothing."""
    cell = SyncGRUCell(gru.input_size, gru.hidden_size, None, torch.Generator().manual_seed(0))
    start = (cell.input, cell.hidden, cell.input_bias, cell.hidden_bias)
    with torch.no_grad():
        for theirs, ours in zip(gru.parameters(), start, strict=True):
            theirs.copy_(ours)
    return gru


def nca(embedded: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """-log of the share of same-class neighbours in the softmax of -scale * squared distances."""
    squared = (embedded[:, None] - embedded[None]).square().sum(-1)
    logits = (-scale * squared).masked_fill(torch.eye(len(labels), dtype=torch.bool, device=labels.device), -torch.inf)
    same = labels[:, None] == labels
    return (logits.logsumexp(1) - logits.masked_fill(~same, -torch.inf).logsumexp(1)).mean()


def check(losses: dict[str, float]) -> dict[str, dict[str, float]]:
    """Both really learn: the mean loss of the epoch is clearly below that of guessing, ln 6."""
    for name, loss in losses.items():
        if not loss < 0.9 * np.log(6):
            raise AssertionError(f"{name}: mean loss {loss:.3f} of the epoch shows no learning")
    return {name: {"loss": loss} for name, loss in losses.items()}


def fit_by_form(X: list[np.ndarray], y: np.ndarray, coupling: str | None, form: str) -> Callable[[], list[float]]:
    """300 updates with default parameters; returns the loss of every epoch."""

    def run() -> list[float]:
        with implementation(form):
            metric = SyncGRUMetric(coupling=coupling, max_updates=300, random_state=0).fit(X, y)
        return [row["train_loss"] for row in metric.history_]

    return run


def check_first_epoch(losses: dict[str, list[float]]) -> None:
    """Every form takes the same first steps; later ones drift apart by rounding."""
    first = next(iter(losses.values()))[0]
    for name, found in losses.items():
        np.testing.assert_allclose(found[0], first, rtol=1e-3, err_msg=name)


def activity_fits(data: Path, threads: int, repeats: int) -> list[Result]:
    """With and without coupling, torch operations against the compiled kernels."""
    (X, y), _ = load_activity(data)
    op = {None: "gru"}
    return [
        measure(
            f"fit, 300 updates, {len(X)} activity windows, coupling={coupling}, {threads} thread(s)",
            {
                form: fit_by_form(X, y, coupling, form)
                for form in ("eager", "compiled")
                if obstacle(form, op.get(coupling, "sync_gru"), torch.empty(0), 1) is None
            },
            check=check_first_epoch,
            repeats=repeats,
            items=300,
            unit="updates",
            threads=threads,
            memory=False,
        )
        for coupling in (None, "symmetric")
    ]


def main() -> None:
    """Measure, print the table and the ratio."""
    args = argument_parser(__doc__).parse_args()
    X, y = make_data(640 if args.quick else 7352)
    contenders = {
        "bare torch loop": bare_epoch(X, y, args.device),
        "SyncGRUMetric.fit": estimator_epoch(X, y, args.device),
    }
    results = [
        measure(
            f"one epoch over {len(X)} sequences, {threads} thread(s)",
            contenders,
            check=(lambda losses: None) if args.quick else check,
            repeats=2 if args.quick else 5,
            items=len(X),
            unit="sequences",
            threads=threads,
            device=args.device,
        )
        for threads in ([args.threads] if args.threads else [1, 2])
    ]
    fits = activity_fits(args.data, args.threads or 2, 1 if args.quick else 2) if args.data else []
    report([*results, *fits], args.out)
    for result in fits:
        print(f"{result.title}: eager / compiled {result.ratio('eager', 'compiled'):.2f}")
    for result in results:
        print(f"{result.title}: fit / bare loop {result.ratio('SyncGRUMetric.fit', 'bare torch loop'):.2f}")


if __name__ == "__main__":
    main()
