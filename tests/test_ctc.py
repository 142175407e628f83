"""CTC decoding against the sum over all paths, against torch's CTC loss and against a plain prefix beam search."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from skseqmetric._ops.ctc import beam_decode, beam_search, greedy_decode, least_steps

Label = tuple[int, ...]


def draw(n_rows: int, n_steps: int, n_symbols: int, *, seed: int = 0, scale: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n_rows, n_steps, n_symbols, generator=generator, dtype=torch.float64)
    return logits.log_softmax(2)


def full(log_probs: Tensor) -> Tensor:
    return torch.full((len(log_probs),), log_probs.shape[1])


def collapse(path: Label, blank: int) -> Label:
    merged = [symbol for i, symbol in enumerate(path) if i == 0 or symbol != path[i - 1]]
    return tuple(symbol for symbol in merged if symbol != blank)


def every_label(log_probs: Tensor, blank: int) -> dict[Label, float]:
    """Probability of each label: the sum over all K^T paths of one sequence (T, K)."""
    probs = log_probs.exp().numpy()
    labels: dict[Label, float] = defaultdict(float)
    for path in product(range(probs.shape[1]), repeat=len(probs)):
        labels[collapse(path, blank)] += float(
            np.prod([step[symbol] for step, symbol in zip(probs, path, strict=True)])
        )
    return labels


def plain_beams(log_probs: Tensor, width: int, blank: int) -> list[dict[Label, tuple[float, float]]]:
    """The same search for one sequence (T, K) with dictionaries: (p_b, p_n) of the labels kept after each step."""
    history: list[dict[Label, tuple[float, float]]] = [{(): (1.0, 0.0)}]
    for step in log_probs.exp().numpy():
        following: dict[Label, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for label, (ends_blank, ends_symbol) in history[-1].items():
            for symbol, p in enumerate(step):
                if symbol == blank:
                    following[label][0] += p * (ends_blank + ends_symbol)
                elif label and symbol == label[-1]:
                    following[label][1] += p * ends_symbol
                    following[(*label, symbol)][1] += p * ends_blank
                else:
                    following[(*label, symbol)][1] += p * (ends_blank + ends_symbol)
        best = sorted(following, key=lambda label: -sum(following[label]))[:width]
        history.append({label: (following[label][0], following[label][1]) for label in best})
    return history


def plain_beam_search(log_probs: Tensor, width: int, blank: int) -> tuple[Label, float]:
    beams = plain_beams(log_probs, width, blank)[-1]
    best = max(beams, key=lambda label: sum(beams[label]))
    return best, float(np.log(sum(beams[best])))


# ------------------------------------------------------------------------------------------------ beam search


@pytest.mark.parametrize(("n_steps", "n_symbols", "blank"), [(1, 3, 0), (4, 2, 1), (4, 4, 2), (6, 3, 0)])
def test_a_wide_beam_finds_the_likeliest_label(n_steps: int, n_symbols: int, blank: int) -> None:
    log_probs = draw(8, n_steps, n_symbols)
    labels, scores = beam_search(log_probs, full(log_probs), 2000, blank)
    for row, label, score in zip(log_probs, labels, scores, strict=True):
        probability = every_label(row, blank)
        assert tuple(label) == max(probability, key=lambda name: probability[name])
        assert score == pytest.approx(np.log(probability[tuple(label)]), abs=1e-12)


@pytest.mark.parametrize("blank", [0, 2])
def test_score_of_a_wide_beam_is_minus_the_ctc_loss(blank: int) -> None:
    log_probs = draw(6, 7, 3, seed=3)
    lengths = torch.tensor([7, 6, 5, 4, 7, 3])
    labels, scores = beam_search(log_probs, lengths, 5000, blank)
    assert max(map(len, labels)) > 1
    for i, label in enumerate(labels):
        target = torch.tensor(label, dtype=torch.int64)[None]
        sizes = lengths[i : i + 1], torch.tensor([len(label)])
        loss = ctc_loss(log_probs[i : i + 1].transpose(0, 1), target, *sizes, blank=blank, reduction="sum")
        assert scores[i] == pytest.approx(-float(loss), abs=1e-12)


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize(("n_symbols", "blank"), [(2, 0), (3, 1), (6, 0), (6, 5)])
def test_narrow_beams_equal_the_plain_search(width: int, n_symbols: int, blank: int) -> None:
    log_probs = draw(25, 12, n_symbols, seed=width)
    labels, scores = beam_search(log_probs, full(log_probs), width, blank)
    for row, label, score in zip(log_probs, labels, scores, strict=True):
        expected, expected_score = plain_beam_search(row, width, blank)
        assert tuple(label) == expected
        assert score == pytest.approx(expected_score, abs=1e-10)


def comes_back(history: list[dict[Label, tuple[float, float]]]) -> bool:
    """Whether a label is dropped and taken up again while an extension of it by one symbol is kept all along."""
    for before, now in pairwise(range(len(history))):
        for label in history[now].keys() - history[before].keys():
            extended = [
                other for other in history[before].keys() & history[now].keys() if other[:-1] == label and other
            ]
            if extended and any(label in history[t] for t in range(before)):
                return True
    return False


def test_a_label_that_was_dropped_and_comes_back_is_merged_with_its_extensions() -> None:
    log_probs = draw(300, 12, 3, seed=5)
    labels, scores = beam_search(log_probs, full(log_probs), 4)
    back = [i for i, row in enumerate(log_probs) if comes_back(plain_beams(row, 4, 0))]
    assert len(back) >= 5
    for i in back:
        expected, expected_score = plain_beam_search(log_probs[i], 4, 0)
        assert tuple(labels[i]) == expected
        assert scores[i] == pytest.approx(expected_score, abs=1e-10)


def test_the_likeliest_path_need_not_be_the_likeliest_label() -> None:
    log_probs = torch.tensor([[[0.6, 0.4], [0.6, 0.4]]]).log()  # "": 0.36, "1": 0.64
    assert greedy_decode(log_probs, full(log_probs))[0].tolist() == []
    assert beam_decode(log_probs, full(log_probs), 2)[0].tolist() == [1]


def test_repetitions_need_a_blank_between() -> None:
    path = torch.tensor([[1, 1, 0, 1, 2, 2, 0, 0, 2]])
    log_probs = torch.nn.functional.one_hot(path, 3).double().log()  # other symbols are impossible
    for labels in (greedy_decode(log_probs, full(log_probs)), beam_decode(log_probs, full(log_probs), 10)):
        assert labels[0].tolist() == [1, 1, 2, 2]


def test_impossible_symbols_make_no_label_twice() -> None:
    log_probs = draw(10, 5, 4)
    log_probs[:, ::2, 1] = -torch.inf
    log_probs[:, 1, 2:] = -torch.inf
    labels, scores = beam_search(log_probs, full(log_probs), 500)
    for row, label, score in zip(log_probs, labels, scores, strict=True):
        probability = every_label(row, 0)
        assert tuple(label) == max(probability, key=lambda name: probability[name])
        assert score == pytest.approx(np.log(probability[tuple(label)]), abs=1e-12)


# ------------------------------------------------------------------------------------------------ greedy


@pytest.mark.parametrize("blank", [0, 1, 3])
def test_greedy_is_the_label_of_the_best_path(blank: int) -> None:
    log_probs = draw(30, 9, 4, seed=1)
    for row, label in zip(log_probs, greedy_decode(log_probs, full(log_probs), blank), strict=True):
        assert label.dtype == np.int64
        assert tuple(label) == collapse(tuple(row.argmax(1).tolist()), blank)


# ------------------------------------------------------------------------------------------------ both


def decoders(log_probs: Tensor, lengths: Tensor) -> list[list[np.ndarray]]:
    return [greedy_decode(log_probs, lengths), beam_decode(log_probs, lengths, 4), beam_decode(log_probs, lengths, 60)]


def test_ragged_batches_equal_one_at_a_time() -> None:
    log_probs = draw(9, 8, 4, seed=2)
    lengths = torch.tensor([3, 8, 0, 1, 5, 8, 0, 2, 7])
    for i, length in enumerate(lengths.tolist()):
        log_probs[i, length:] = torch.nan  # nobody reads it
        alone = log_probs[i : i + 1, :length]
        for together, single in zip(decoders(log_probs, lengths), decoders(alone, full(alone)), strict=True):
            np.testing.assert_array_equal(together[i], single[0])


def test_scores_stand_in_the_order_of_the_sequences() -> None:
    log_probs, lengths = draw(5, 8, 4, seed=2), torch.tensor([3, 8, 0, 1, 5])
    scores = beam_search(log_probs, lengths, 4)[1]
    expected = [beam_search(log_probs[i : i + 1], lengths[i : i + 1], 4)[1][0] for i in range(5)]
    np.testing.assert_array_equal(scores, expected)
    assert scores[2] == 0.0  # without a step the empty label is certain


def test_nothing_to_decode() -> None:
    for labels in decoders(torch.zeros(0, 5, 3), torch.zeros(0, dtype=torch.int64)):
        assert labels == []
    for labels in decoders(torch.zeros(2, 0, 3), torch.zeros(2, dtype=torch.int64)):
        assert [label.tolist() for label in labels] == [[], []]
    only_blanks = torch.zeros(1, 4, 1)
    for labels in decoders(only_blanks, full(only_blanks)):
        assert labels[0].tolist() == []


def test_gradients_and_inputs_are_left_alone() -> None:
    log_probs = draw(3, 6, 4).float().requires_grad_()
    before = log_probs.detach().clone()
    decoders(log_probs, full(log_probs))
    torch.testing.assert_close(log_probs.detach(), before, rtol=0, atol=0)
    assert log_probs.grad is None


@pytest.mark.parametrize("decode", [greedy_decode, lambda *args, **named: beam_decode(*args, 3, **named)])
def test_errors(decode) -> None:
    log_probs = draw(2, 4, 3)
    with pytest.raises(ValueError, match=r"log_probs has shape \(4, 3\), expected \(B, T, K\)"):
        decode(log_probs[0], torch.tensor([4]))
    with pytest.raises(ValueError, match=r"lengths has shape \(1,\), but log_probs has 2 sequences"):
        decode(log_probs, torch.tensor([4]))
    for lengths in ([4, 5], [-1, 4]):
        with pytest.raises(ValueError, match="between 0 and the 4 steps"):
            decode(log_probs, torch.tensor(lengths))
    for blank in (-1, 3):
        with pytest.raises(ValueError, match="log_probs has the symbols 0 to 2"):
            decode(log_probs, full(log_probs), blank=blank)


def test_a_beam_search_needs_a_beam() -> None:
    with pytest.raises(ValueError, match="beam_width=0"):
        beam_decode(draw(1, 2, 3), torch.tensor([2]), 0)


@pytest.mark.parametrize(
    ("label", "steps"), [([], 0), ([3], 1), ([1, 2, 1], 3), ([1, 1], 3), ([2, 2, 2, 1, 1], 8), (np.array([5, 5]), 3)]
)
def test_least_steps(label, steps: int) -> None:
    assert least_steps(label) == steps


def test_ctc_loss_is_finite_from_the_least_steps_on() -> None:
    target = torch.tensor([[1, 1, 2, 2, 1]])
    needed = least_steps(target[0].numpy())
    losses = [
        float(ctc_loss(draw(n, 1, 3), target, torch.tensor([n]), torch.tensor([5]), reduction="sum"))
        for n in (needed - 1, needed)
    ]
    assert np.isinf(losses[0])
    assert np.isfinite(losses[1])
