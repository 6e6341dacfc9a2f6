import dataclasses

import keras
import numpy as np
import pytest
from evaluation_toys import NAMES, SPEC, toy

import keras_tdn
from keras_tdn.data.dataset import make_dataset
from keras_tdn.data.failures import TooManyFailuresError
from keras_tdn.data.records import Record, RecordList, load_records
from keras_tdn.evaluation import evaluate, load_report, load_scores, report_on
from keras_tdn.evaluation.evaluation import Evaluation
from keras_tdn.evaluation.report import view_subsets
from keras_tdn.progress import Progress
from keras_tdn.scoring.scorer import average_views
from keras_tdn.scoring.scoring_options import ScoringOptions
from keras_tdn.scoring.scoring_run import ViewJournal
from keras_tdn.specs import ClipSpec, Normalization, ViewSpec

THIRTY = ViewSpec(num_clips=10, num_crops=3)
# Processors sum in another order for another size of the batch, and for another row of it.
ROUNDING = 1e-5


def run(model, records, views=THIRTY, **options):
    return Evaluation(model, records, ScoringOptions(views, **options)).scores(progress=False)


def tdn(spec):
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), 16, classes=6, num_segments=2, frames_per_segment=3, name="tdn"
    )
    kernel = model.get_layer("classifier").kernel
    # As they are drawn, the scores of all videos are alike.
    kernel.assign(kernel * 200)
    model.clip_spec = spec
    return model


@pytest.mark.parametrize("activation", ["softmax", None])
def test_one_view_equals_model_evaluate(some_bad, activation):
    spec = ClipSpec(2, 3, 32, 32, 36)
    model = tdn(spec) if activation else toy(None, classes=6, spec=spec)
    model.run_eagerly = bool(activation)
    records = RecordList(some_bad, num_classes=6)
    scores = Evaluation(model, records, ScoringOptions(batch_size=4)).scores(progress=False)
    # Labels that make four of six right, and one of the others right at the second guess.
    labels = scores.view_scores[:, 0].argsort(axis=1)[np.arange(6), [-1, -1, -1, -1, -2, 0]]
    report = report_on(dataclasses.replace(scores, labels=labels))
    by_index = dict(zip(scores.indices.tolist(), labels.tolist(), strict=True))
    records = RecordList(
        (Record(r.path, by_index.get(r.index, 0), index=r.index) for r in records), num_classes=6
    )

    model.compile(
        # Compiled, the network gives the same, and the toy is compiled.
        run_eagerly=bool(activation),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=activation is None),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(5, name="top5")],
    )
    dataset = make_dataset(records, spec, training=False, batch_size=4).cache()
    expected = model.evaluate(dataset, return_dict=True, verbose=0)
    assert report.num_scored == 6
    assert (report.top1, report.top5) == (4 / 6, 5 / 6)
    # Keras divides in single precision.
    assert np.float32(report.top1) == np.float32(expected["accuracy"])
    assert np.float32(report.top5) == np.float32(expected["top5"])
    # Below that, Keras cuts off where it has no logits.
    assert min(video.truth for video in report.videos) > 1e-6
    # Keras computes the softmax and its mean in single precision, and ours are in double.
    assert report.loss == pytest.approx(expected["loss"], rel=1e-5)
    if activation is None:
        clips = np.concatenate([clips for clips, _ in dataset])
        np.testing.assert_array_equal(model.predict_on_batch(clips[:4]), scores.view_scores[:4, 0])


def test_scores_do_not_depend_on_batches_and_workers(model, some_bad):
    expected = run(model, some_bad, batch_size=8, num_workers=1)
    for batch_size, num_workers in ((8, 4), (1, 2), (7, 1)):
        scores = run(model, some_bad, batch_size=batch_size, num_workers=num_workers)
        assert scores.paths == expected.paths
        assert scores.failures == expected.failures
        if batch_size == 8:
            np.testing.assert_array_equal(scores.view_scores, expected.view_scores)
        else:
            np.testing.assert_allclose(scores.view_scores, expected.view_scores, rtol=ROUNDING)


def test_seeds_draw_random_clips(model, videos):
    views = ViewSpec(num_clips=3, clip_mode="random")
    first, again, other = (run(model, videos, views, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.view_scores, again.view_scores)
    assert (first.view_scores != other.view_scores).any()
    reordered = run(model, RecordList(reversed(videos), NAMES), views, seed=1)
    np.testing.assert_allclose(reordered.view_scores[::-1], first.view_scores, rtol=ROUNDING)


def test_bad_videos_are_listed_and_left_out(model, some_bad):
    report = evaluate(model, some_bad, THIRTY, progress=False)
    assert (report.num_listed, report.num_scored) == (8, 6)
    assert [failure.index for failure in report.failures] == [1, 4]
    assert "Cannot read" in report.failures[0].reason
    assert "the file is empty" in report.failures[1].reason
    assert [video.index for video in report.videos] == [0, 2, 3, 5, 6, 7]
    assert report.top1 == sum(video.rank == 0 for video in report.videos) / 6
    good = RecordList([some_bad[row] for row in (0, 2, 3, 5, 6, 7)], NAMES)
    of_good = evaluate(model, good, THIRTY, progress=False)
    for one, other in zip(of_good.videos, report.videos, strict=True):
        assert (one.path, one.index, one.predicted) == (other.path, other.index, other.predicted)
        assert one.confidence == pytest.approx(other.confidence, rel=ROUNDING)
    assert "6 scored of 8 listed" in report.summary()
    assert "2, excluded from all numbers" in report.summary()


def test_too_many_bad_videos_are_an_error(model, some_bad):
    bad = RecordList([some_bad[1], some_bad[4]], NAMES)
    for share in (0.1, None):
        with pytest.raises(TooManyFailuresError, match="2 of the 2 records"):
            evaluate(model, bad, max_failure_share=share, progress=False)
    with pytest.raises(TooManyFailuresError, match="limit is a share of 0"):
        evaluate(model, some_bad, max_failure_share=0, progress=False)


def test_averages_by_an_oracle(model, videos):
    scores = run(model, videos, ViewSpec(num_clips=3))
    assert scores.kind == "logits"
    for average in ("softmax", "logits"):
        report = report_on(scores, average)
        for views, video in zip(scores.view_scores.astype(float), report.videos, strict=True):
            parts = []
            for logits in views:
                exponentials = [np.exp(value) for value in logits]
                parts.append([value / sum(exponentials) for value in exponentials])
            mean = np.mean(parts, axis=0)
            if average == "logits":
                exponentials = np.exp(views.mean(axis=0))
                mean = exponentials / exponentials.sum()
            assert video.confidence == pytest.approx(mean.max(), abs=1e-6)
            assert video.truth == pytest.approx(mean[video.label], abs=1e-6)
            assert video.predicted == mean.argmax()
        losses = [-np.log(video.truth) for video in report.videos]
        assert report.loss == pytest.approx(np.mean(losses))


def test_many_videos_are_averaged_in_parts(monkeypatch):
    scores = np.random.default_rng(0).normal(size=(11, 6, 4)).astype(np.float32)
    subsets = [(0,), (1, 4), range(6)]
    expected = average_views(scores, "logits", subsets=subsets)
    monkeypatch.setattr("keras_tdn.scoring.scorer.CHUNK_VALUES", 50)
    for one, other in zip(average_views(scores, "logits", subsets=subsets), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_view_curve_takes_subsets_of_the_run(model, videos):
    report = evaluate(model, videos, THIRTY, progress=False)
    counts = [(point.num_clips, point.num_crops) for point in report.view_curve]
    assert counts == [(clips, crops) for crops in (1, 3) for clips in (1, 3, 5, 10)]
    assert report.view_curve[-1].top1 == report.top1
    subsets = view_subsets(THIRTY)
    # The middle clip and the centre crop, which is the last of three.
    assert subsets[1, 1] == (5 * 3 + 2,)
    assert subsets[3, 1] == (1 * 3 + 2, 5 * 3 + 2, 8 * 3 + 2)
    assert subsets[10, 3] == tuple(range(30))
    random = view_subsets(ViewSpec(num_clips=10, num_crops=10, clip_mode="random"))
    assert random[3, 1] == (8, 18, 28)
    # One of the points is what a run with that subset gives.
    ten = evaluate(model, videos, ViewSpec(num_clips=10, crop_size=32), progress=False)
    assert ten.view_curve[-1].top1 == report.view_curve[3].top1


def test_models_without_a_softmax_and_without_preprocessing(videos):
    softmax, logits = toy("softmax"), toy(None)
    expected = run(softmax, videos, ViewSpec(3))
    np.testing.assert_array_equal(
        run(logits, videos, ViewSpec(3)).view_scores, expected.view_scores
    )
    as_given = run(softmax, videos, ViewSpec(3), from_logits=False)
    assert as_given.kind == "probabilities"
    for one, other in zip(report_on(as_given).videos, report_on(expected).videos, strict=True):
        # The model's softmax is in single precision.
        assert one.truth == pytest.approx(other.truth, abs=1e-6)
    with pytest.raises(ValueError, match="Only logits can be averaged before the softmax"):
        evaluate(softmax, videos, from_logits=False, average="logits", progress=False)
    normalization = Normalization((0.1, 0.2, 0.3), (1.0, 1.0, 1.0))
    spec = ClipSpec(2, 3, 24, 32, 32, normalization)
    inputs = keras.Input((6, None, None, 3))
    outputs = keras.layers.GlobalAveragePooling3D()(inputs)
    bare = keras.Model(inputs, keras.layers.Activation("linear")(outputs))
    bare.include_preprocessing = False
    bare.clip_spec = spec
    result = Evaluation(bare, videos).scores(progress=False)
    pixels = Evaluation(bare, videos).reader.read_row(0).view(0).mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(result.view_scores[0, 0], pixels - normalization.mean, atol=1e-5)


def test_results_are_read_back(model, some_bad, tmp_path):
    report = evaluate(model, some_bad, THIRTY, output=tmp_path / "results", progress=False)
    names = {path.name for path in (tmp_path / "results").iterdir()}
    assert names == {"scores.npz", "report.json", "report.html"}
    assert load_report(tmp_path / "results") == report
    versions = report.facts["versions"]
    assert {"keras_tdn", "keras", keras.backend.backend(), "av"} <= set(versions)
    assert versions["keras"] == keras.__version__
    scores = load_scores(tmp_path / "results")
    assert scores.view_scores.shape == (6, 30, 3)
    assert report_on(scores) == report
    assert "crops along the long side" in report.facts["views_text"]
    across = ViewSpec(num_crops=3, always_across=True)
    other = evaluate(model, some_bad, across, progress=False)
    assert "as the authors take them" in other.facts["views_text"]


class Sigmoid(keras.layers.Layer):
    def call(self, x):
        return keras.ops.sigmoid(x)


def rubbish(model, videos, folder):
    unlabelled = RecordList([*videos, Record("/a.mp4", None, index=9)], NAMES)
    twice = RecordList([videos[0], videos[0]], NAMES)
    other_order = RecordList(videos, NAMES[::-1])
    labelled = toy()
    labelled.labels = NAMES
    headless = keras_tdn.TDNResNet((1, 1, 1, 1), 16, include_top=False, num_segments=2)
    without_spec = toy()
    del without_spec.clip_spec
    custom = keras.Sequential([toy(), Sigmoid()])
    custom.clip_spec = SPEC
    pixels = keras.Sequential([keras.Input((6, 24, 32, 3)), keras.layers.ReLU()])
    (folder / "file").write_text("")
    return {
        "empty": ((model, []), {}, r"at least one record.*Received: \[\]"),
        "none": ((model, RecordList([])), {}, "at least one record"),
        "unlabelled": ((model, unlabelled), {}, "1 of 7 have none, among them '/a.mp4'"),
        "twice": ((model, twice), {}, "Received 2 records with index 0"),
        "classes": ((toy(classes=4), videos), {}, "records have 3 classes and the model 4"),
        "order": ((labelled, other_order), {}, "of the model: .*class 0 is 'roll' and 'fall'"),
        "label": (
            (toy(classes=2), load_records([(videos[0].path, 5)])), {},
            "2 classes have no place for label 5",
        ),
        "headless": ((headless, videos), {}, "without its classifier gives features"),
        "rank": ((pixels, videos), {"clip_spec": SPEC},
                 r"one score per class.*\(None, 6, 24, 32, 3\)"),
        "shape": ((toy(size=(24, 32)), videos, THIRTY), {},
                  r"takes clips of shape \(6, 24, 32, 3\), and the views have the shape \(6, 32"),
        "spec": ((without_spec, videos), {}, "does not say how its clips are cut"),
        "unknown": ((custom, videos), {},
                    r"does not tell whether its scores are logits.*Activation\('softmax'\)"),
        "sigmoid": ((toy("sigmoid"), videos), {"from_logits": False}, "are no probabilities"),
        "views": ((model, videos, "10x3"), {}, "The views are a ViewSpec.*'10x3'"),
        "batch": ((model, videos), {"batch_size": 0}, "positive integer for `batch_size`"),
        "workers": ((model, videos), {"num_workers": 0}, "positive integer for `num_workers`"),
        "seed": ((model, videos), {"seed": 0.5}, "`seed` is an integer.*0.5"),
        "average": ((model, videos), {"average": "max"}, r"one of \['softmax', 'logits'\]"),
        "decoder": ((model, videos), {"decoder": "none"}, "A decoder's name is one of"),
        "share": ((model, videos), {"max_failure_share": 2}, "number from 0 to 1"),
        "resume": ((model, videos), {"resume": True}, "Pass `output` as well"),
        "both": ((model, videos), {"output": folder / "x", "resume": True, "overwrite": True},
                 "Pass one of `resume` and `overwrite`"),
        "file": ((model, videos), {"output": folder / "file"}, "is a file"),
    }  # fmt: skip


def test_rubbish_is_told_before_anything_is_decoded(model, videos, tmp_path):
    for arguments, options, message in rubbish(model, videos, tmp_path).values():
        with pytest.raises(ValueError, match=message):
            evaluate(*arguments, **{"progress": False, **options})


def test_scores_that_are_not_finite_are_an_error(videos):
    model = toy()
    model.get_layer("classifier").bias.assign([0.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="gives scores that are not finite"):
        evaluate(model, videos, progress=False)


def test_progress_shows_the_accuracy_so_far(model, some_bad, monkeypatch, tmp_path):
    shown = []

    class Shown(Progress):
        def update(self, done, total=None, **figures):
            shown.append((done, figures))
            super().update(done, total, **figures)

    monkeypatch.setattr("keras_tdn.evaluation.evaluation.Progress", Shown)
    report = evaluate(model, some_bad, batch_size=2)
    assert [done for done, _ in shown] == [2, 4, 6, 8]
    assert shown[-1][1] == {"bad": 2, "top1": f"{report.top1:.1%}"}
    # A run that is continued starts where the one before it stopped.
    evaluation = Evaluation(model, some_bad, ScoringOptions(batch_size=2))
    with ViewJournal(tmp_path / "a.sqlite", evaluation.identity, 8, 1, 3) as journal:
        journal.append(np.ones((6, 3), np.float32), {1: "bad", 4: "bad"})
    shown.clear()
    evaluation.scores(journal=tmp_path / "a.sqlite")
    assert [done for done, _ in shown] == [8]
    assert shown[-1][1]["bad"] == 2
