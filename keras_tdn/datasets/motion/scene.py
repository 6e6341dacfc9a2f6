"""What a motion video shows: a background, and textured objects in front of it."""

from __future__ import annotations

import numpy as np

# Indices wrap around by masking bits, which needs a power of two.
TILE_SIDE = 256
NUM_OBJECTS = (9, 15)
# Diameters in texels.
OBJECT_SIDES = (32, 64)
# Share of an object's radius over which its edge is soft.
SOFTNESS = 0.08


def scene_tile(rng: np.random.Generator) -> np.ndarray:
    """Draws a background and the objects in front of it, float32 `(TILE_SIDE, TILE_SIDE, 7)`.

    The channels are the background's deviations from its mean colour, the objects' colours in
    [0, 255] times their opacity, and their opacity in [0, 1].
    """
    tile = np.zeros((TILE_SIDE, TILE_SIDE, 7), np.float32)
    waves = rng.uniform(15, 45, 3) * rng.choice([-1, 1], 3)
    texture = _cloud(rng, TILE_SIDE)
    tile[..., :3] = texture[..., None] * waves.astype(np.float32)
    for _ in range(rng.integers(*NUM_OBJECTS)):
        sprite = _sprite(rng, texture)
        top, left = rng.integers(0, TILE_SIDE, 2)
        rows = (top + np.arange(len(sprite))) % TILE_SIDE
        columns = (left + np.arange(len(sprite))) % TILE_SIDE
        place = np.ix_(rows, columns, np.arange(3, 7))
        tile[place] = tile[place] * (1 - sprite[..., 3:]) + sprite
    return tile


def _cloud(rng: np.random.Generator, side: int) -> np.ndarray:
    """Draws smooth repeating noise, mean 0, standard deviation 1, float32 `(side, side)`."""
    # Waves of eight texels and longer: it is read at the nearest texel.
    count = side // 8
    spectrum = np.zeros((side, side // 2 + 1), np.complex64)
    rows = np.r_[0:count, -count:0]
    waves = rng.standard_normal((2 * count, count), np.float32) * np.exp(
        1j * rng.uniform(0, 2 * np.pi, (2 * count, count))
    )
    frequencies = np.hypot(rows[:, None], np.arange(count)[None])
    spectrum[rows, :count] = waves / np.maximum(frequencies, 4) ** rng.uniform(0.7, 1.3)
    spectrum[0, 0] = 0
    values = np.fft.irfft2(spectrum, (side, side)).astype(np.float32)
    return values / values.std()


def _sprite(rng: np.random.Generator, texture: np.ndarray) -> np.ndarray:
    side = int(rng.integers(*OBJECT_SIDES))
    axis = (np.arange(side, dtype=np.float32) + 0.5) * np.float32(2 / side) - 1
    x, y = axis[None, :], axis[:, None]
    opacity = np.clip((_outline(rng, np.arctan2(y, x)) - np.hypot(x, y)) / SOFTNESS, 0, 1)
    first = rng.uniform(0, 255, 3)
    # Two colours too alike would leave an object without texture.
    second = (first + rng.uniform(90, 165, 3)) % 255
    pattern = _pattern(rng, x, y, texture)[..., None]
    colour = first.astype(np.float32) + pattern * (second - first).astype(np.float32)
    # Light from above its own left, or from below its right.
    colour *= 1 + np.float32(rng.uniform(-0.25, 0.25)) * (x + y)[..., None]
    sprite = np.concatenate([np.clip(colour, 0, 255), np.ones_like(pattern)], axis=-1)
    return sprite * opacity[..., None]


def _outline(rng: np.random.Generator, angle: np.ndarray) -> np.ndarray:
    """Returns the radius by angle, at most 1: a circle with two waves in it."""
    heights = rng.uniform(0.02, 0.16, 2)
    bumps = np.zeros_like(angle)
    for height in heights:
        count, phase = float(rng.integers(2, 7)), float(rng.uniform(0, 2 * np.pi))
        bumps += float(height) * np.cos(count * angle + phase)
    return (1 + bumps) / float(1 + heights.sum())


def _pattern(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, texture: np.ndarray
) -> np.ndarray:
    """Draws stripes, checks, arches or clouds in [0, 1]; none looks the same when turned."""
    direction, phase = rng.uniform(0, 2 * np.pi, 2)
    frequency, kind = float(rng.uniform(3.5, 7.0)), rng.integers(4)
    along = float(np.cos(direction)) * x + float(np.sin(direction)) * y
    across = float(np.cos(direction)) * y - float(np.sin(direction)) * x
    if kind == 0:
        wave = np.sin(frequency * along + float(phase))
    elif kind == 1:
        wave = np.sin(frequency * along + float(phase)) * np.sin(0.8 * frequency * across)
    elif kind == 2:
        wave = np.sin(0.7 * frequency * (along + 1.2 * across**2) + float(phase))
    else:
        top, left = rng.integers(0, TILE_SIDE - len(x[0]), 2)
        wave = texture[top : top + y.size, left : left + x.size]
    return 0.5 + 0.5 * np.tanh(3 * wave)
