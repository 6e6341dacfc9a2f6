"""Every fixture against a plain sequential decode. Skips where the videos are not at hand."""

import av
import numpy as np
import pytest
from coded_videos import why_sequential
from real_videos import FIXTURES, NO_VIDEOS, VIDEOS

import keras_tdn
from keras_tdn.data.decoding import get_decoder, read_frames
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.prediction import predict_video

# What a player shows. `decord_unordered.mov` stores its four frames as 0, 3, 1, 2. The two clips
# of HMDB51 (`torchvision_S...`, `torchvision_T...`) have a placeholder packet after each pair of
# frames that AVI had to store together, so one frame fewer than packets. The AVI files with
# B-frames have timestamps that run backwards in the order shown.
NUM_FRAMES = {
    "decord_unordered.mov": 4,
    "decord_video_90.mov": 3,
    "moviepy_big_buck_bunny_0_30.webm": 720,
    "moviepy_pigs_in_a_polka.gif": 30,
    "torchvision_SchoolRulesHowTheyHelpUs_wave_f_nm_np1_ba_med_0.avi": 74,
    "torchvision_TrumanShow_wave_f_nm_np1_fr_med_26.avi": 48,
    "torchcodec_nasa_13013.mp4": 325,
}

# Bytes of a video that is decoded often only in the long run.
MUCH = 600_000
needs_videos = pytest.mark.skipif(not FIXTURES, reason=NO_VIDEOS)


def plain_decode(path, wanted):
    """Frame count and the wanted frames, by one pass that knows nothing of this package."""
    wanted, pictures, count = set(wanted), {}, 0
    with av.open(str(path)) as container:
        # Some pixels are not square: the data set's makers resized without regard to the shape.
        ratio = container.streams.video[0].sample_aspect_ratio or 1
        for frame in container.decode(video=0):
            if count in wanted:
                turns = {0: 0, -90: 3, 90: 1}[frame.rotation]
                square = {"width": int(frame.width * ratio), "height": frame.height}
                pictures[count] = np.rot90(frame.to_ndarray(format="rgb24", **square), turns)
            count += 1
    return count, pictures


def spread(num_frames):
    """Both ends, the middle, and the first segments' frames."""
    some = {0, 1, 2, num_frames // 2, num_frames - 2, num_frames - 1}
    return sorted(
        {index for index in some if 0 <= index < num_frames}
        | set(SegmentSampler(2)(num_frames).ravel().tolist())
    )


@needs_videos
def test_all_fixtures_are_there():
    assert len(FIXTURES) == 40


@needs_videos
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_same_as_a_plain_decode(path, capfd):
    counts = []

    def choose(num_frames):
        counts.append(num_frames)
        return spread(num_frames)

    frames = read_frames(path, choose)
    num_frames, expected = plain_decode(path, spread(counts[0]))
    assert counts == [num_frames]
    assert num_frames == NUM_FRAMES.get(path.name, num_frames)
    np.testing.assert_array_equal(frames, [expected[index] for index in spread(num_frames)])
    assert capfd.readouterr().err == ""


# Of these, packets do not tell which frames there are: no B-frame of MPEG-4 in AVI has a timestamp
# of its own, VP8 has packets that show nothing, and MPEG-4 says in no one byte what a picture is.
SEQUENTIAL = {
    "datumaro_cvat_test.mp4",
    "moviepy_big_buck_bunny_0_30.webm",
    "moviepy_big_buck_bunny_432_433.webm",
    "moviepy_pigs_in_a_polka.gif",
    *(path.name for path in FIXTURES if path.suffix == ".avi"),
}


def random_segments(num_frames, seed):
    """Two random runs of five neighbouring frames, one frame anywhere, and both ends."""
    rng = np.random.default_rng([num_frames, seed])
    starts = np.sort(rng.integers(0, num_frames, 2))
    runs = (starts[:, np.newaxis] + np.arange(5)).ravel()
    some = [*runs, rng.integers(num_frames), num_frames - 1, 0]
    return np.minimum(some, num_frames - 1)[: 12 if seed % 2 else 13]


# The large ones take most of the time.
ANY_SIZE = [
    pytest.param(path, id=path.name, marks=[pytest.mark.slow] * (path.stat().st_size > MUCH))
    for path in FIXTURES
]


@needs_videos
@pytest.mark.parametrize("path", ANY_SIZE)
def test_any_choice_is_the_same_as_a_plain_decode(path):
    decoder = get_decoder("pyav", num_threads=1)
    assert bool(why_sequential(path)) == (path.name in SEQUENTIAL)
    chosen = []

    def choose(num_frames):
        chosen.append((num_frames, random_segments(num_frames, len(chosen))))
        return chosen[-1][1]

    all_frames = [decoder.read_frames(path, choose) for _ in range(3)]
    wanted = np.concatenate([indices for _, indices in chosen]).tolist()
    num_frames, expected = plain_decode(path, wanted)
    for (counted, indices), frames in zip(chosen, all_frames, strict=True):
        assert counted == num_frames
        for index, frame in zip(indices, frames, strict=True):
            np.testing.assert_array_equal(frame, expected[index], err_msg=f"frame {index}")


@pytest.fixture(scope="module")
def model():
    return keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=16, classes=10, num_segments=4, input_shape=(20, 32, 32, 3)
    )


@needs_videos
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_predict_video(path, model):
    predictions = predict_video(model, path)
    assert len(predictions) == 5
    assert 0 < predictions[-1].score <= predictions[0].score < 1


@needs_videos
def test_rotated_fixture_is_upright():
    # The photographed keyboard has its letter rows one below the other.
    frames = read_frames(VIDEOS / "fixtures" / "decord_video_90.mov", lambda num_frames: [0])
    assert frames.shape == (1, 568, 320, 3)
