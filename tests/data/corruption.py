"""Damaged copies of videos, each made from a seed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".gif", ".jpg", ".ts", ".txt", "")


@dataclasses.dataclass(frozen=True)
class DamagedVideo:
    """One damaged copy: `name` tells its number and the damage."""

    name: str
    content: bytes


def truncate(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content[: rng.integers(1, len(content))]


def flip_few_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    return _flip(content, rng, int(rng.integers(1, 10)))


def flip_many_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    return _flip(content, rng, max(10, len(content) // 500))


def flip_header_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    head = min(len(content), 2000)
    return _flip(content[:head], rng, int(rng.integers(1, 30))) + content[head:]


def flip_tail_bits(content: bytearray, rng: np.random.Generator) -> bytearray:
    tail = max(0, len(content) - 4000)
    return content[:tail] + _flip(content[tail:], rng, int(rng.integers(1, 30)))


def zero_block(content: bytearray, rng: np.random.Generator) -> bytearray:
    start, end = np.sort(rng.integers(0, len(content), 2))
    content[start:end] = bytes(int(end - start))
    return content


def noise_block(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(len(content)))
    size = min(len(content) - start, int(rng.integers(1, 5000)))
    content[start : start + size] = rng.bytes(size)
    return content


def drop_block(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(len(content)))
    del content[start : start + int(rng.integers(1, 5000))]
    return content


def swap_blocks(content: bytearray, rng: np.random.Generator) -> bytearray:
    cut = int(rng.integers(1, len(content)))
    return content[cut:] + content[:cut]


def empty(content: bytearray, rng: np.random.Generator) -> bytearray:
    return bytearray()


def mislabel(content: bytearray, rng: np.random.Generator) -> bytearray:
    return content


def noise(content: bytearray, rng: np.random.Generator) -> bytearray:
    return bytearray(rng.bytes(min(len(content), 20000)))


DAMAGES: tuple[Callable[[bytearray, np.random.Generator], bytearray], ...] = (
    truncate,
    flip_few_bits,
    flip_many_bits,
    flip_header_bits,
    flip_tail_bits,
    zero_block,
    noise_block,
    drop_block,
    swap_blocks,
    mislabel,
    empty,
    noise,
)


def damaged_videos(
    videos: Sequence[tuple[str, bytes]], count: int, seed: int = 0
) -> Iterator[DamagedVideo]:
    """`count` damaged copies of `videos` (suffix and content), each damage in turn."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        suffix, content = videos[int(rng.integers(len(videos)))]
        damage = DAMAGES[number % len(DAMAGES)]
        if damage is mislabel or rng.random() < 0.1:
            suffix = SUFFIXES[int(rng.integers(len(SUFFIXES)))]
        damaged = damage(bytearray(content), rng)
        yield DamagedVideo(f"{number:04d}_{damage.__name__}{suffix}", bytes(damaged))


def _flip(content: bytearray, rng: np.random.Generator, count: int) -> bytearray:
    for _ in range(count):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return content
