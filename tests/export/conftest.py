"""A small trained-looking model, its preset and its export, and clips of videos."""

import keras
import numpy as np
import pytest
from real_videos import BEDFALL
from small_model import build
from synthetic_videos import encode_video

import keras_tdn
from keras_tdn.data.decoding import read_frames
from keras_tdn.data.frame_transforms import resize_and_center_crop
from keras_tdn.data.segment_sampling import SegmentSampler
from keras_tdn.export import export_saved_model


@pytest.fixture(scope="session")
def build_model():
    return build


@pytest.fixture(scope="session")
def preset_model(tmp_path_factory):
    """A model that was loaded from a preset, and the preset. No test changes it."""
    keras.utils.set_random_seed(0)
    preset = keras_tdn.pretrained.save_preset(build(), tmp_path_factory.mktemp("model") / "preset")
    return keras_tdn.pretrained.load_preset(preset), preset


@pytest.fixture(scope="session")
def exported(preset_model, tmp_path_factory):
    """The same, and its export."""
    folder = tmp_path_factory.mktemp("export") / "served" / "1"
    return *preset_model, export_saved_model(preset_model[0], folder, top=3)


@pytest.fixture(scope="session")
def served_version(exported):
    """The export as a server holds it, under the name that clients ask by unless told another."""
    pytest.importorskip("tensorflow_serving", reason="needs keras-tdn[serving]")
    from stand_in import Served

    with Served(exported[2], "tdn") as version:
        yield version


@pytest.fixture(scope="session")
def addresses(served_version):
    """Where it is served, by protocol."""
    from stand_in import stand_in

    with stand_in(served_version) as (grpc_url, rest_url):
        yield {"grpc": grpc_url, "rest": rest_url}


@pytest.fixture(scope="session")
def video_clips(preset_model):
    return clips_of_videos(preset_model[0].clip_spec)


def clips_of_videos(spec):
    """Three clips of real videos where there are some, else of rendered ones, all encoded."""
    videos = sorted(BEDFALL.rglob("*.mp4"))[::60][:3] or [
        encode_video(number, size=(120, 96)) for number in (30, 40, 50)
    ]

    def indices(num_frames):
        chosen = SegmentSampler(spec.num_segments, spec.frames_per_segment)(num_frames)
        return chosen.ravel()

    clips = [resize_and_center_crop(read_frames(video, indices), spec) for video in videos]
    return np.stack(clips)


@pytest.fixture(scope="session")
def make_clips():
    return clips_of_videos
