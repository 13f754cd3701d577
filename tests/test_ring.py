"""The ring against a deque; its behaviour between two threads is tests/cpp/ring_stress.cpp's business."""

import random
from collections import deque

import numpy as np
import pytest

from cpp_ext import SpscRing


def test_ring_behaves_like_a_deque():
    rng = random.Random(0)
    for _ in range(200):
        ring, model, clock = SpscRing(rng.randint(1, 40), 2), deque(), 0
        for _ in range(100):
            block = np.arange(clock, clock + 2 * rng.randint(0, 60), dtype=np.float32).reshape(-1, 2)
            fitted = ring.write(block)
            assert fitted == min(len(block), ring.capacity - len(model))
            model.extend(block[:fitted].tolist())
            clock += 2 * fitted
            assert ring.available == len(model)
            out = np.empty((rng.randint(0, 60), 2), np.float32)
            got = ring.read_into(out)
            assert got == min(len(out), len(model))
            assert out[:got].tolist() == [model.popleft() for _ in range(got)]


@pytest.mark.parametrize(("asked", "capacity"), [(1, 1), (2, 2), (3, 4), (1000, 1024)])
def test_capacity_is_the_next_power_of_two(asked, capacity):
    assert SpscRing(asked, 1).capacity == capacity


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 2)),
        np.zeros((4, 1), np.float32),
        np.zeros(4, np.float32),
        np.zeros((4, 4), np.float32)[:, ::2],
    ],
    ids=["float64", "mono", "flat", "strided"],
)
def test_wrong_dtype_and_shape_are_refused(bad):
    ring = SpscRing(8, 2)
    with pytest.raises((TypeError, ValueError)):
        ring.write(bad)
    with pytest.raises((TypeError, ValueError)):
        ring.read_into(bad)
    assert ring.available == 0


def test_a_ring_of_nothing_is_refused():
    for sizes in ((0, 2), (8, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            SpscRing(*sizes)
