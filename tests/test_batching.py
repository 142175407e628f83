"""Batches: what meets in them, how they are padded, drawn and augmented."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skseqmetric._input import Sequences
from skseqmetric._tensors.flat import FlatSequences, batches_by_length
from skseqmetric._training import augmentation as _augment
from skseqmetric._training.sampling import balanced_batches, merge_duplicates, sample_pairs, shuffled_batches

LENGTHS = np.array([3, 1, 5, 2, 4])


def flat(offset: float = 0.0, scale: float = 1.0) -> FlatSequences:
    values = np.arange(30, dtype=np.float64).reshape(15, 2)
    return FlatSequences.from_sequences(
        Sequences(values, LENGTHS), np.full(2, offset), np.full(2, scale), torch.device("cpu")
    )


def test_padded_batch_holds_the_sequences_and_zeros_behind_them() -> None:
    values, lengths = flat().padded(np.array([2, 1, 4]))
    assert values.shape == (3, 5, 2)
    assert lengths.tolist() == [5, 1, 4]
    starts = np.cumsum(LENGTHS) - LENGTHS
    for row, i in enumerate([2, 1, 4]):
        expected = 2 * np.arange(starts[i], starts[i] + LENGTHS[i])
        assert values[row, : LENGTHS[i], 0].tolist() == expected.tolist()
        assert (values[row, LENGTHS[i] :] == 0).all()


def test_flat_sequences_survive_pickling() -> None:
    loaded = pickle.loads(pickle.dumps(flat()))
    assert torch.equal(loaded.values, flat().values)
    assert loaded.host_lengths.tolist() == LENGTHS.tolist()


def test_digests_tell_sequences_apart_whatever_their_place() -> None:
    sequences = flat()
    values = torch.cat([sequences.values, sequences.values[:3]])
    lengths = np.append(LENGTHS, 3)
    offsets = np.cumsum(lengths) - lengths
    repeated = FlatSequences(values, torch.from_numpy(lengths), torch.from_numpy(offsets), lengths)
    digests = repeated.digests()
    assert digests[5] == digests[0]
    assert len(set(digests.tolist())) == 5


def test_standardisation_happens_before_the_rounding_to_float32() -> None:
    # one-second steps on a time stamp of 2^31 seconds vanish in float32
    stamps = 2.0**31 + np.arange(4.0)[:, None]
    sequences = Sequences(stamps, np.array([4]))
    batch = FlatSequences.from_sequences(sequences, np.array([2.0**31]), np.array([1.0]), torch.device("cpu"))
    assert batch.values[:, 0].tolist() == [0, 1, 2, 3]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 200))
def test_batches_by_length_take_everyone_once_and_stay_small(lengths: list[int], max_steps: int) -> None:
    array = np.array(lengths)
    batches = list(batches_by_length(array, max_steps))
    assert sorted(np.concatenate(batches)) == list(range(len(array)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * array[batch].max() <= max_steps


@pytest.mark.parametrize("counts", [[40, 40, 40], [100, 3, 1], [5] * 30, [2, 2]])
def test_balanced_batches_hold_several_of_every_class_present(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    lengths = np.random.default_rng(0).integers(5, 50, len(labels))
    batches = balanced_batches(labels, lengths, 32, 4, 60, np.random.default_rng(1))
    assert len(batches) == 60
    for batch in batches:
        assert len(batch) == 32
        present, times = np.unique(labels[batch], return_counts=True)
        assert (times >= 4).all()
        assert len(present) == min(8, len(counts)) or len(counts) > 8
        assert len(present) >= 2
    seen = np.unique(np.concatenate(batches))
    assert len(seen) == len(labels)
    per_class = np.bincount(labels[np.concatenate(batches)])
    assert per_class.max() - per_class.min() <= 0.05 * per_class.max() + 4


def test_balanced_batches_mix_lengths_less_than_chance() -> None:
    rng = np.random.default_rng(0)
    labels, lengths = np.repeat([0, 1], 500), rng.integers(10, 200, 1000)
    batches = balanced_batches(labels, lengths, 32, 4, 31, rng)
    padded = np.mean([lengths[b].max() for b in batches])
    by_chance = np.mean([lengths[rng.choice(1000, 32)].max() for _ in range(31)])
    assert padded < 0.85 * by_chance


def test_shuffled_batches_pass_over_everything() -> None:
    lengths = np.random.default_rng(0).integers(1, 90, 50)
    batches = shuffled_batches(lengths, 16, 8, np.random.default_rng(1))
    assert len(batches) == 8
    for half in (batches[:4], batches[4:]):
        assert sorted(np.concatenate(half)) == list(range(50))


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


def test_merged_duplicates_sum_their_weights_whatever_the_order() -> None:
    keys = [b"b", b"a", b"b", b"c", b"a"]
    kept, weights = merge_duplicates(keys, np.array([1.0, 2.0, 3.0, 0.0, 0.5]))
    assert [keys[i] for i in kept] == [b"a", b"b"]
    assert weights.tolist() == [2.5, 4.0]


BATCH = torch.randn(6, 40, 2, generator=torch.Generator().manual_seed(0))
BATCH_LENGTHS = torch.tensor([40, 1, 7, 25, 40, 2])
BATCH = BATCH * (torch.arange(40) < BATCH_LENGTHS[:, None])[..., None]


@pytest.mark.parametrize("names", [("jitter",), ("warp",), ("crop",), ("jitter", "warp", "crop")])
def test_augmentation_keeps_padding_and_follows_its_generator(names: tuple[str, ...]) -> None:
    augment = _augment.Augment(names)
    first, again, other = (augment(BATCH, BATCH_LENGTHS, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert (first[torch.arange(40) >= BATCH_LENGTHS[:, None]] == 0).all()
    assert torch.isfinite(first).all()


def test_padding_beyond_the_longest_changes_no_warp() -> None:
    ramp = torch.linspace(0, 1, 40)[None, :, None]
    lengths = torch.tensor([40])
    longer = torch.cat([ramp, torch.zeros(1, 24, 1)], 1)
    warp = _augment.Augment(("warp", "crop"))
    short = warp(ramp, lengths, torch.Generator().manual_seed(3))
    torch.testing.assert_close(warp(longer, lengths, torch.Generator().manual_seed(3))[:, :40], short)


def test_warp_is_monotone_and_keeps_the_ends_and_crop_cuts_at_most_five_percent() -> None:
    ramp = torch.linspace(0, 1, 101)[None, :, None].expand(50, -1, 1)
    lengths = torch.full((50,), 101)
    warped = _augment.Augment(("warp",))(ramp, lengths, torch.Generator().manual_seed(4))[..., 0]
    assert (warped.diff(dim=1) > 0).all()
    torch.testing.assert_close(warped[:, 0], torch.zeros(50))
    torch.testing.assert_close(warped[:, -1], torch.ones(50))
    assert (warped - ramp[..., 0]).abs().max() > 0.05
    cropped = _augment.Augment(("crop",))(ramp, lengths, torch.Generator().manual_seed(4))[..., 0]
    assert cropped[:, 0].max() <= 0.05 + 1e-6
    assert cropped[:, -1].min() >= 0.95 - 1e-6
    assert cropped[:, 0].max() > 0.03


def test_no_augmentation_and_a_callable() -> None:
    generator = torch.Generator()
    assert _augment.Augment(None)(BATCH, BATCH_LENGTHS, generator) is BATCH
    doubled = _augment.Augment(lambda values, lengths, generator: 2 * values)(BATCH, BATCH_LENGTHS, generator)
    assert torch.equal(doubled, 2 * BATCH)
