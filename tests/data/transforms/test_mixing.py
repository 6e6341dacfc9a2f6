import numpy as np
import pytest
import tensorflow as tf

from keras_tdn.data.transforms import CutMix, MixUp

CLASSES = np.eye(4, dtype=np.float32)


@pytest.fixture
def batch(make_pictures):
    clips = np.stack([make_pictures(3, 24, 32, seed) for seed in range(4)])
    return clips, CLASSES


@pytest.mark.parametrize("transform", [MixUp(), MixUp(0.8, True), CutMix(), CutMix(0.5, True)])
def test_same_eagerly_and_in_graphs(transform, apply, batch):
    clips, labels = apply(transform, batch, (5, 6))
    assert clips.shape == batch[0].shape
    assert clips.dtype == (np.float32 if isinstance(transform, MixUp) else np.uint8)
    assert labels.dtype == np.float32
    np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-6)
    assert (labels >= 0).all()


@pytest.mark.parametrize("per_clip", [False, True])
def test_mix_up_blends_as_the_labels_say(per_clip, batch):
    shares = []
    for seed in range(20):
        clips, labels = MixUp(0.8, per_clip)(batch, (seed, 0))
        expected = np.tensordot(labels.numpy(), batch[0].astype(np.float32), 1)
        np.testing.assert_allclose(clips, expected, atol=1e-3)
        own = np.diag(labels.numpy())
        partnered = own[own < 1]
        if not per_clip and len(partnered):
            assert np.ptp(partnered) < 1e-6
        elif len(partnered) > 1:
            shares.append(np.ptp(partnered))
    assert (max(shares) > 0.1) if per_clip else (not shares)


@pytest.mark.parametrize("per_clip", [False, True])
def test_cut_mix_moves_one_window_as_the_labels_say(per_clip, batch):
    for seed in range(20):
        clips, labels = CutMix(1.0, per_clip)(batch, (seed, 0))
        for mixed, label, own, index in zip(
            clips.numpy(), labels.numpy(), batch[0], range(4), strict=True
        ):
            others = [other for other in np.flatnonzero(label) if other != index]
            if not others:
                np.testing.assert_array_equal(mixed, own)
                continue
            (other,) = others
            differs = (own != batch[0][other]).any(axis=(0, -1))
            moved = (mixed == batch[0][other]).all(axis=(0, -1)) & differs
            kept = (mixed == own).all(axis=(0, -1)) & differs
            assert (moved | kept | ~differs).all()
            # Pictures differ nearly everywhere, so that what differs tells the window's area.
            assert moved.sum() / differs.sum() == pytest.approx(label[other], abs=0.03)


def test_still_clips_stay_still(batch):
    still = np.repeat(batch[0][:, :1], 3, axis=1), CLASSES
    for transform in (MixUp(per_clip=True), CutMix(per_clip=True)):
        clips, _ = transform(still, (3, 3))
        assert (clips == clips[:, :1]).numpy().all()


def test_shares_follow_the_beta_distribution():
    for alpha in (0.2, 1.0, 5.0):
        shares = MixUp(alpha)._draw_shares(tf.constant((1, 2)), 20_000).numpy()
        assert shares.mean() == pytest.approx(0.5, abs=0.02)
        assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)
    assert np.isfinite(MixUp(1e-3)._draw_shares(tf.constant((1, 2)), 20_000)).all()


def test_soft_labels_and_float_clips(batch):
    soft = np.full((4, 4), 0.25, np.float16)
    clips, labels = MixUp()((batch[0].astype(np.float32), soft), (0, 0))
    assert clips.dtype == tf.float32
    np.testing.assert_allclose(labels, soft, rtol=1e-3)


@pytest.mark.parametrize("transform", [MixUp(), CutMix()])
def test_error_inputs(transform, batch):
    name = type(transform).__name__
    with pytest.raises(ValueError, match=rf"{name} takes a tuple \(clips, labels\)"):
        transform(batch[0], (0, 0))
    with pytest.raises(ValueError, match=r"after batching. Received: clips with shape=\(3, 24"):
        transform((batch[0][0], CLASSES[0]), (0, 0))
    with pytest.raises(ValueError, match=r"tf.one_hot.*shape=\(4,\), dtype=int32"):
        transform((batch[0], np.arange(4, dtype=np.int32)), (0, 0))
    with pytest.raises(ValueError, match="A seed is two integers"):
        transform(batch, 3)


@pytest.mark.parametrize("transform", [MixUp, CutMix])
def test_error_arguments(transform):
    with pytest.raises(ValueError, match=r"for `alpha`. Received: alpha=0"):
        transform(alpha=0)
    with pytest.raises(ValueError, match=r"True or False for `per_clip`. Received: per_clip='yes'"):
        transform(per_clip="yes")
