import dataclasses
import pickle
import typing

import pytest

from keras_tdn.scoring.scoring_options import ReadingKeywords, ScoringKeywords, ScoringOptions
from keras_tdn.specs import ViewSpec


def test_keywords_are_fields_of_the_options():
    fields = typing.get_type_hints(ScoringOptions)
    for keywords in (ReadingKeywords, ScoringKeywords):
        for name, kind in typing.get_type_hints(keywords).items():
            assert fields[name] == kind
    # Front ends have arguments of their own for the others.
    rest = {"views", "features", "graph_dtype"}
    assert set(typing.get_type_hints(ScoringKeywords)) | rest == set(fields)


def test_workers_and_decoders_have_defaults_and_names():
    assert 1 <= ScoringOptions().workers <= 8
    assert ScoringOptions(num_workers=12).workers == 12
    assert ScoringOptions().decoder_name == "pyav"
    assert ScoringOptions(decoder=pytest).decoder_name == "module"


def test_they_are_frozen_and_can_be_sent_to_a_process():
    options = ScoringOptions(ViewSpec(3), seed=4)
    assert pickle.loads(pickle.dumps(options)) == options
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.seed = 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"views": "10x3"}, "The views are a ViewSpec.*'10x3'"),
        ({"features": 1}, "True or False for `features`"),
        ({"graph_dtype": "float16"}, "for `graph_dtype`"),
        ({"seed": 0.5}, "`seed` is an integer"),
        ({"batch_size": 0}, "positive integer for `batch_size`"),
        ({"num_workers": True}, "positive integer for `num_workers`"),
        ({"time_limit": float("inf")}, "`time_limit` is in seconds, above 0"),
        ({"in_processes": True, "decoder": object()}, "Pass the name of a decoder"),
    ],
)
def test_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        ScoringOptions(**arguments)
