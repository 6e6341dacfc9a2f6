import json

import pytest

from keras_tdn.specs import ClipSpec, ViewSpec


def test_the_default_is_one_centre_view():
    views = ViewSpec()
    assert (views.num_clips, views.num_crops, views.num_views) == (1, 1, 1)
    assert ViewSpec(num_clips=10, num_crops=3).num_views == 30


def test_crops_have_the_published_size_unless_told():
    spec = ClipSpec(height=224, width=200, short_side=256)
    assert ViewSpec().crop_size_of(spec) == (224, 200)
    assert ViewSpec(num_crops=10).crop_size_of(spec) == (224, 200)
    assert ViewSpec(num_crops=3).crop_size_of(spec) == (256, 256)
    assert ViewSpec(num_crops=3, crop_size=224).crop_size_of(spec) == (224, 224)
    assert ViewSpec(crop_size=[100, 120]).crop_size == (100, 120)


def test_config_round_trip():
    views = ViewSpec(10, 3, "random", True, (224, 256))
    assert ViewSpec.from_config(json.loads(json.dumps(views.to_config()))) == views
    with pytest.raises(ValueError, match="A ViewSpec config has the entries"):
        ViewSpec.from_config({"num_clips": 1})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_clips": 0}, "a positive integer for `num_clips`.*num_clips=0"),
        ({"num_clips": True}, "num_clips=True"),
        ({"num_crops": 5}, r"one of \[1, 3, 10\].*num_crops=5"),
        ({"num_crops": 3.0}, "num_crops=3.0"),
        ({"clip_mode": "centre"}, "clip_mode='centre'"),
        ({"always_across": 1}, "always_across=1"),
        ({"crop_size": 0}, "crop_size=0"),
        ({"crop_size": (224,)}, r"crop_size=\(224,\)"),
        ({"crop_size": "224"}, "crop_size='224'"),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        ViewSpec(**arguments)
