"""Batches as a fit sees them: what meets in one, how it is padded, standardised and augmented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric import SyncGRUMetric
from skseqmetric._ops.augmentation import cropped, jitter, moved, warped
from skseqmetric._ops.pair_sampling import sample_pairs
from tests.fake_callbacks import SeenBatches, sequences_of

PLAIN: dict[str, Any] = {
    "n_units": 1,
    "n_filters": None,
    "bidirectional": False,
    "augment": None,
    "scaling": None,
    "max_epochs": 1,
    "random_state": 0,
}
Data = tuple[list[np.ndarray], np.ndarray]


def batches_of(X: Any, y: Any, sample_weight: Any = None, **settings: Any) -> list[dict[str, Any]]:
    """What a fit with labels trains on."""
    seen = SeenBatches()
    SyncGRUMetric(**{**PLAIN, **settings}, callbacks=[seen]).fit(X, y, sample_weight=sample_weight)
    return seen.training


def numbered(lengths: np.ndarray) -> list[np.ndarray]:
    """Sequences that tell which they are: each repeats its number."""
    return [np.full((steps, 1), float(i)) for i, steps in enumerate(lengths)]


def numbers(batch: dict[str, Any]) -> np.ndarray:
    """Which of the numbered sequences are in a batch."""
    return batch["values"][:, 0, 0].astype(int)


# ------------------------------------------------------------------ padding and scale


def test_padded_batches_hold_the_sequences_and_zeros_behind_them(ragged: Data) -> None:
    X, y = ragged
    known = {x.astype(np.float32).tobytes(): label for x, label in zip(X, y, strict=True)}
    for batch in batches_of(X, y, batch_size=8):
        assert batch["values"].shape[1] == batch["lengths"].max()
        assert [known[x.tobytes()] for x in sequences_of(batch)] == batch["targets"].tolist()
        behind = np.arange(batch["values"].shape[1]) >= batch["lengths"][:, None]
        assert (batch["values"][behind] == 0).all()


def test_standardisation_happens_before_the_rounding_to_float32() -> None:
    # one-second steps on a time stamp of 2^31 seconds vanish in float32
    stamps = [2.0**31 + np.arange(4.0 + i)[:, None] for i in range(4)]
    metric = SyncGRUMetric(**{**PLAIN, "scaling": "channel"}, callbacks=[seen := SeenBatches()])
    metric.fit(stamps, [0, 0, 1, 1])
    expected = {((x - metric.mean_) / metric.scale_).astype(np.float32).tobytes() for x in stamps}
    assert {x.tobytes() for batch in seen.training for x in sequences_of(batch)} == expected
    assert all((np.diff(x[:, 0]) > 0.1).all() for batch in seen.training for x in sequences_of(batch))


@pytest.mark.parametrize(("n", "longest"), [(1, 12), (300, 900), (4, 40_000)])
def test_inference_takes_everyone_once_in_batches_that_stay_small(n: int, longest: int) -> None:
    lengths = np.random.default_rng(0).integers(longest // 3, longest, n)
    X = numbered(lengths)
    metric = SyncGRUMetric(**{**PLAIN, "n_filters": 1, "max_recurrent_steps": 64})
    metric.fit([*X, *numbered(np.array([longest, longest - 1]))], np.arange(n + 2) % 2)
    batches: list[np.ndarray] = []
    metric.module_.stem.register_forward_pre_hook(lambda module, inputs: batches.append(inputs[1].numpy()))
    metric.transform(X)
    assert sorted(np.concatenate(batches)) == sorted(lengths)
    assert all(len(batch) == 1 or len(batch) * batch.max() <= 2**15 for batch in batches)
    assert len(batches) <= 1 + 2 * lengths.sum() / 2**15


# ------------------------------------------------------------------ who meets


@pytest.mark.parametrize("counts", [[40, 40, 40], [100, 3, 1], [5] * 30, [2, 2]])
def test_batches_hold_several_of_every_class_present(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    lengths = np.random.default_rng(0).integers(5, 50, len(labels))
    batches = batches_of(numbered(lengths), labels, batch_size=32, samples_per_class=4, min_batches=60)
    assert len(batches) == 60
    for batch in batches:
        assert len(batch["targets"]) == 32
        np.testing.assert_array_equal(labels[numbers(batch)], batch["targets"])
        present, times = np.unique(batch["targets"], return_counts=True)
        assert (times >= 4).all()
        assert len(present) == min(8, len(counts)) or len(counts) > 8
        assert len(present) >= 2
    chosen = np.concatenate([numbers(batch) for batch in batches])
    assert len(np.unique(chosen)) == len(labels)
    per_class = np.bincount(labels[chosen])
    assert per_class.max() - per_class.min() <= 0.05 * per_class.max() + 4


def test_batches_mix_lengths_less_than_chance() -> None:
    rng = np.random.default_rng(0)
    labels, lengths = np.repeat([0, 1], 500), rng.integers(10, 200, 1000)
    padded = np.mean([batch["lengths"].max() for batch in batches_of(numbered(lengths), labels, batch_size=32)])
    by_chance = np.mean([lengths[rng.choice(1000, 32)].max() for _ in range(31)])
    assert padded < 0.85 * by_chance


def test_members_of_a_class_come_in_turn() -> None:
    # 13 members in batches of 4 each: no member comes a second time before all others came, whatever the class
    labels = np.repeat([0, 1], 13)
    for batch_size, min_batches in ((8, 13), (16, 10)):
        batches = batches_of(
            numbered(np.arange(26) + 3),
            labels,
            batch_size=batch_size,
            samples_per_class=4,
            min_batches=min_batches,
            coupling=None,
        )
        times = np.bincount(np.concatenate([numbers(batch) for batch in batches]), minlength=26)
        assert times.max() - times.min() <= 1


def test_neither_batches_nor_their_members_favour_a_length() -> None:
    lengths = np.arange(40) + 2
    labels = np.arange(40) % 2
    free: dict[str, Any] = {"min_batches": 1, "coupling": None}
    one = batches_of(numbered(lengths), labels, batch_size=16, samples_per_class=8, max_epochs=30, **free)
    assert len(one) == 90  # three batches an epoch take all and eight of the 40 twice
    times = np.array([np.bincount(np.concatenate([numbers(b) for b in one[i : i + 3]])) for i in range(0, 90, 3)])
    assert set(times.sum(axis=1)) == {48}
    twice = lengths[np.nonzero(times == 2)[1]]
    assert twice.mean() == pytest.approx(lengths.mean(), abs=4 * lengths.std() / np.sqrt(len(twice)))
    # an epoch of many batches does not go from short to long ones
    many = batches_of(numbered(lengths), labels, batch_size=4, samples_per_class=2, max_epochs=12, **free)
    assert abs(rank_in_epoch([batch["lengths"].mean() for batch in many], 12)) < 0.35


def rank_in_epoch(sizes: list[float], n_epochs: int) -> float:
    """Mean correlation of the place of a batch in its epoch with its size."""
    return float(np.mean([np.corrcoef(np.arange(len(part)), part)[0, 1] for part in np.array_split(sizes, n_epochs)]))


def test_batches_of_pairs_come_in_any_order_of_lengths() -> None:
    X = numbered(np.arange(48) + 2)
    metric = SyncGRUMetric(
        **{**PLAIN, "max_epochs": 12, "coupling": None}, batch_size=8, min_batches=1, callbacks=[seen := SeenBatches()]
    )
    metric.fit_pairs(X, np.arange(48).reshape(24, 2), np.where(np.arange(24) % 2, 1, -1))
    assert len(seen.training) == 72
    assert abs(rank_in_epoch([batch["lengths"].mean() for batch in seen.training], 12)) < 0.4


def test_every_class_meets_every_other() -> None:
    labels = np.repeat(np.arange(24), 2)
    batches = batches_of(
        numbered(np.full(48, 3)), labels, batch_size=16, samples_per_class=2, min_batches=60, coupling=None
    )
    together = np.zeros((24, 24), dtype=bool)
    for batch in batches:
        present = np.unique(batch["targets"])
        together[np.ix_(present, present)] = True
    # 60 batches of 28 of the 276 pairs of classes: one pair in 400 is left out by chance
    assert together.mean() > 0.95


def test_batches_of_pairs_pass_over_all_pairs() -> None:
    X = numbered(np.random.default_rng(0).integers(1, 90, 51))
    pairs = np.stack([np.arange(50), np.arange(1, 51)], axis=1)
    metric = SyncGRUMetric(**PLAIN, batch_size=32, min_batches=8, callbacks=[seen := SeenBatches()])
    metric.fit_pairs(X, pairs, np.where(np.arange(50) % 3, 1, -1))
    assert len(seen.training) == 8
    for half in (seen.training[:4], seen.training[4:]):
        found = np.concatenate([batch["values"][:, :, 0, 0] for batch in half])
        assert sorted(found.astype(int).tolist()) == pairs.tolist()
    for batch in seen.training:
        np.testing.assert_array_equal(batch["same"], batch["values"][:, 0, 0, 0] % 3 != 0)
        assert batch["lengths"].shape == (len(batch["same"]), 2)


def test_equal_rows_are_one_row_of_their_summed_weight() -> None:
    order = [1, 0, 1, 2, 0, 3, 3]
    X = [numbered(np.array([3, 4, 5, 6]))[i] for i in order]
    batches = batches_of(X, np.array([0, 0, 1, 1])[order], [1.0, 2.0, 3.0, 0.0, 0.5, 1.0, 0.25])
    weights = {(i, w) for batch in batches for i, w in zip(numbers(batch), batch["weights"].tolist(), strict=True)}
    assert weights == {(0, 2.5), (1, 4.0), (3, 1.25)}


# ------------------------------------------------------------------ pairs of a batch


@pytest.mark.parametrize("per_sequence", [2, 8, 100, None])
def test_sampled_pairs_are_distinct_and_of_both_kinds(per_sequence: int | None) -> None:
    labels = torch.arange(32) // 4
    rows, columns = sample_pairs(labels, per_sequence, torch.Generator().manual_seed(0))
    assert (rows < columns).all()
    assert len({(int(i), int(j)) for i, j in zip(rows, columns, strict=True)}) == len(rows)
    same = labels[rows] == labels[columns]
    if per_sequence in (100, None):
        assert len(rows) == 32 * 31 // 2
    else:
        assert len(rows) == 32 * per_sequence // 2
        assert int(same.sum()) == min(48, len(rows) // 2)


def test_sampled_pairs_follow_their_generator_and_leave_none_out() -> None:
    labels = torch.arange(12) // 6
    generator = torch.Generator().manual_seed(0)
    draws = [torch.stack(sample_pairs(labels, 4, generator)) for _ in range(60)]
    again = torch.stack(sample_pairs(labels, 4, torch.Generator().manual_seed(0)))
    assert torch.equal(draws[0], again)
    assert not torch.equal(draws[0], draws[1])
    times = torch.zeros(12, 12).index_put(tuple(torch.cat(draws, 1)), torch.ones(60 * 24), accumulate=True)
    same = (labels[:, None] == labels)[torch.triu_indices(12, 12, 1).unbind()]
    drawn = times[torch.triu_indices(12, 12, 1).unbind()]
    assert drawn.sum() == 60 * 24
    # 12 of 30 pairs of one class and 12 of 36 pairs of two, 60 times: 24 and 20 each, with deviations of 3.8 and 3.7
    assert (drawn[same] - 24).abs().max() < 4 * 3.8
    assert (drawn[~same] - 20).abs().max() < 4 * 3.7


def test_kinds_of_which_there_are_too_few_pairs_are_taken_whole() -> None:
    for labels, n_same, n_other in ((torch.arange(10), 0, 20), (torch.zeros(10), 10, 0)):
        rows, columns = sample_pairs(labels, 4, torch.Generator().manual_seed(0))
        same = labels[rows] == labels[columns]
        assert (int(same.sum()), int((~same).sum())) == (n_same, n_other)


# ------------------------------------------------------------------ augmentation


def augmented(augment: Any, X: Any, y: Any, **settings: Any) -> list[dict[str, Any]]:
    return batches_of(X, y, augment=augment, batch_size=8, **settings)


@pytest.mark.parametrize("names", [("jitter",), "warp", ("crop",), ("jitter", "warp", "crop")])
def test_augmentation_keeps_lengths_and_padding_and_follows_the_seed(names: Any, ragged: Data) -> None:
    plain, first, again = (augmented(a, *ragged, max_epochs=2) for a in (None, names, names))
    for raw, batch, repeated in zip(plain, first, again, strict=True):
        np.testing.assert_array_equal(raw["lengths"], batch["lengths"])
        np.testing.assert_array_equal(raw["targets"], batch["targets"])
        np.testing.assert_array_equal(batch["values"], repeated["values"])
        behind = np.arange(batch["values"].shape[1]) >= batch["lengths"][:, None]
        assert (batch["values"][behind] == 0).all()
        changes = np.abs(batch["values"] - raw["values"]).max(axis=(1, 2))
        assert np.isfinite(changes).all()
        assert (changes > 0).all()
        assert (changes < 2).all()
        assert len(np.unique(changes)) == len(changes)  # a row's own draws, also where a row comes twice


def test_a_callable_augments_and_what_it_leaves_past_the_end_is_zeroed(ragged: Data) -> None:
    def one_more(values: torch.Tensor, lengths: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        assert isinstance(generator, torch.Generator)
        return values + 1

    for raw, batch in zip(augmented(None, *ragged), augmented(one_more, *ragged), strict=True):
        inside = (np.arange(raw["values"].shape[1]) < raw["lengths"][:, None])[..., None]
        np.testing.assert_array_equal(batch["values"], np.where(inside, raw["values"] + 1, 0))


def test_pairs_are_augmented_sequence_by_sequence(ragged: Data) -> None:
    X, _ = ragged
    pairs = np.array([(0, 0), (1, 1), (2, 3), (4, 5)])
    metric = SyncGRUMetric(**{**PLAIN, "augment": ("jitter",)}, callbacks=[seen := SeenBatches()])
    metric.fit_pairs(X, pairs, np.array([1, 1, -1, -1]))
    for batch in seen.training:
        first, second = batch["values"][batch["same"]].swapaxes(0, 1)
        assert len(first) == 2
        assert (np.abs(first - second).max(axis=(1, 2)) > 0.01).all()


RAMPS = torch.linspace(0, 1, 101)[None, :, None].expand(50, -1, 1)
FULL = torch.full((50,), 101)


def test_padding_beyond_the_longest_changes_no_warp() -> None:
    ramp, lengths = RAMPS[:1, :40], torch.tensor([40])
    longer = torch.cat([ramp, torch.zeros(1, 24, 1)], 1)
    short, padded = (
        moved(x, lengths, [warped, cropped], torch.Generator().manual_seed(3))[:, :40] for x in (ramp, longer)
    )
    torch.testing.assert_close(padded, short)


def test_warp_is_monotone_and_keeps_the_ends() -> None:
    read = moved(RAMPS, FULL, [warped], torch.Generator().manual_seed(4))[..., 0]
    assert (read.diff(dim=1) > 0).all()
    torch.testing.assert_close(read[:, 0], torch.zeros(50))
    torch.testing.assert_close(read[:, -1], torch.ones(50))
    assert (read - RAMPS[..., 0]).abs().max() > 0.05


def test_crop_cuts_up_to_five_percent_off_either_end() -> None:
    read = moved(RAMPS, FULL, [cropped], torch.Generator().manual_seed(4))[..., 0]
    torch.testing.assert_close(read.diff(dim=1).diff(dim=1), torch.zeros(50, 99), rtol=0, atol=1e-5)
    for cut in (read[:, 0], 1 - read[:, -1]):
        assert cut.min() >= -1e-6
        assert 0.03 < cut.max() <= 0.05 + 1e-6
        assert cut.mean() == pytest.approx(0.025, abs=0.008)
    assert np.corrcoef(read[:, 0], 1 - read[:, -1])[0, 1] < 0.5  # one draw for each end


def test_warps_have_speeds_of_the_deviation_that_they_name() -> None:
    steps = torch.linspace(0, 1, 65).expand(3000, -1)
    speed = warped(steps, torch.Generator().manual_seed(4)).diff(dim=1).log()
    # log-speeds of 0.2 N(0, 1) at five knots, each drawn by itself
    knots = speed[:, [0, 16, 31, 47, 63]]
    between = (knots[:, :, None] - knots[:, None]).std(0)[tuple(torch.triu_indices(5, 5, 1))]
    torch.testing.assert_close(between, torch.full((10,), 0.2 * 2**0.5), rtol=0.05, atol=0)


def read_with(values: torch.Tensor, names: tuple[str, ...]) -> torch.Tensor:
    """What a fit with these augmentations reads of sequences (n, T, C) of one length: (10 n, T, C)."""
    X, y = list(values.numpy()), np.arange(len(values)) % 2
    batches = batches_of(X, y, augment=names, max_epochs=10, batch_size=len(X), samples_per_class=len(X) // 2)
    return torch.from_numpy(np.concatenate([batch["values"] for batch in batches]))


def test_all_moves_together_cut_no_more_than_five_percent() -> None:
    shifts = 4 * torch.arange(len(RAMPS))[:, None, None]
    for names in (("warp", "crop"), ("crop", "warp")):
        read = read_with(RAMPS + shifts, names)[..., 0] % 4
        assert (read.diff(dim=1).diff(dim=1).abs() > 1e-4).any()  # warped
        for cut in (read[:, 0], 1 - read[:, -1]):
            assert 0.045 < cut.max() <= 0.05 + 1e-4


def test_jitter_joins_the_moves() -> None:
    constant = torch.ones(50, 101, 2) + 1e-6 * torch.arange(50)[:, None, None]
    assert float(read_with(constant, ("warp", "crop")).diff(dim=1).abs().max()) < 1e-6
    noisy = read_with(constant, ("jitter", "warp", "crop"))
    assert float(noisy.diff(dim=1).std()) == pytest.approx(0.05 * 2**0.5, rel=0.02)


def test_jitter_has_the_deviations_it_names() -> None:
    generator = torch.Generator().manual_seed(5)
    noise = jitter(torch.zeros(200, 50, 2), generator)
    assert float(noise.std()) == pytest.approx(0.05, rel=0.02)
    factors = jitter(torch.full((2000, 50, 2), 100.0), generator).mean(1) / 100
    assert float(factors.mean()) == pytest.approx(1, abs=0.01)
    assert float(factors.std()) == pytest.approx(0.1, rel=0.05)
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.1  # channel by channel
