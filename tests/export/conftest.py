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
from keras_tdn.data.segment_sampling import center_indices
from keras_tdn.export import export_saved_model


@pytest.fixture(scope="session")
def build_model():
    return build


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A model that was loaded from a preset, the preset, and the export."""
    folder = tmp_path_factory.mktemp("export")
    keras.utils.set_random_seed(0)
    preset = keras_tdn.pretrained.save_preset(build(), folder / "preset")
    model = keras_tdn.pretrained.load_preset(preset)
    return model, preset, export_saved_model(model, folder / "served" / "1", top=3)


@pytest.fixture(scope="session")
def video_clips(exported):
    return clips_of_videos(exported[0].clip_spec)


def clips_of_videos(spec):
    """Three clips of real videos where there are some, else of rendered ones, all encoded."""
    videos = sorted(BEDFALL.rglob("*.mp4"))[::60][:3] or [
        encode_video(number, size=(120, 96)) for number in (30, 40, 50)
    ]

    def indices(num_frames):
        chosen = center_indices(num_frames, spec.num_segments, spec.frames_per_segment)
        return chosen.ravel()

    clips = [resize_and_center_crop(read_frames(video, indices), spec) for video in videos]
    return np.stack(clips)


@pytest.fixture(scope="session")
def make_clips():
    return clips_of_videos
