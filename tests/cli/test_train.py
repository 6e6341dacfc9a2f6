"""The options of `keras-tdn train`. Whole runs of it: tests/training/test_killed_runs.py."""

import contextlib
import dataclasses
import re
from pathlib import Path

import keras
import pytest
import synthetic_videos

import keras_tdn
import keras_tdn.training
from keras_tdn import cli
from keras_tdn.data.failures import Failure
from keras_tdn.data.packed_records import PackedRecordList
from keras_tdn.data.packing import pack
from keras_tdn.data.records import load_records
from keras_tdn.pretrained import save_preset
from keras_tdn.specs import ClipSpec
from keras_tdn.training import distribution, recipes
from keras_tdn.training.distribution import Devices
from keras_tdn.training.training_result import TrainingResult

COMPACT = ("--stage-depths", "1,1,1,1", "--width", 8)
RESULT = TrainingResult(
    output=Path("out"),
    preset=Path("out/preset"),
    epochs=4,
    epoch=3,
    top1=0.756,
    top5=1.0,
    num_validation=41,
    stopped_early=True,
    history=(),
    failures=(Failure("a.mp4", 0, "it is empty"),),
    seconds=12.0,
    share_waited=0.34,
)


class Recorder:
    """Stands in for `train`, and keeps what it is called with."""

    def __call__(self, model, train_records, validation_records, recipe, output, **options):
        self.model, self.recipe, self.output = model, recipe, output
        self.records = train_records, validation_records
        self.options = options
        return self.result()

    def result(self):
        return RESULT


@pytest.fixture
def called(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(keras_tdn.training, "train", recorder)
    return recorder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number in range(4):
        content = synthetic_videos.encode_video(10, size=(32, 48))
        (folder / f"{number}.mp4").write_bytes(content)
    (folder / "train.txt").write_text("0.mp4 walk\n1.mp4 run\n2.mp4 jump\n")
    (folder / "validate.txt").write_text("3.mp4 run\n")
    (folder / "names.txt").write_text("run\nwalk\njump\nsit\n")
    return folder


def run(capsys, folder, *arguments, lists=True):
    if lists:
        arguments = (
            *("--train-list", folder / "train.txt", "--val-list", folder / "validate.txt"),
            *arguments,
        )
    status = cli.main(["train", "--output", "out", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_few_options_and_the_report(capsys, folder, called):
    status, out, err = run(capsys, folder, *COMPACT)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "epochs   4; the preset is of epoch 3",
        "top-1    75.6% of 41 validation videos",
        "top-5    100.0%",
        "input    waited for during 34% of the training steps' time; "
        "`keras-tdn pack` makes reading faster",
        "Failed, and left out: 1 videos (failures.jsonl)",
        "Wrote out/preset",
    ]
    assert called.recipe == recipes.finetune_small
    assert called.output == "out"
    assert called.options == {
        "seed": 0,
        "resume": False,
        "early_stopping": None,
        "class_weight": None,
        "tensorboard": False,
        "save_every": None,
        "deterministic": False,
        "dataset_arguments": {},
        "compile_arguments": {},
    }
    # The validation list has one class alone, and the names of the other list.
    assert called.model.labels == ("jump", "run", "walk")
    assert [record.label for record in called.records[0]] == [2, 1, 0]
    assert [record.label for record in called.records[1]] == [1]
    assert called.model.clip_spec == ClipSpec.for_crop(8, 5, 112, 112)
    assert called.model.input_shape == (None, 40, None, None, 3)
    assert called.model.name == "tdn_resnet_compact"


def test_every_option(capsys, folder, called, monkeypatch):
    without = dataclasses.replace(RESULT, top1=None, top5=None, failures=(), share_waited=0.0)
    monkeypatch.setattr(called, "result", lambda: without)
    status, out, _ = run(
        capsys,
        folder,
        *("--train-list", folder / "train.txt", "--no-validation", "--resume"),
        *("--labels", folder / "names.txt", "--root", folder, "--format", "list"),
        *("--skip-missing", "--workers", 2, "--stage-depths", "1,2,1,1", "--width", 8),
        *("--weights", "random", "--segments", 4, "--size", 64, "--dtype", "mixed_bfloat16"),
        *("--no-short-term", "--no-long-term", "--no-shift"),
        *("--recipe", "kinetics400", "--epochs", 7, "--batch-size", 32, "--freeze-until", "stage2"),
        *("--warmup", 1.5),
        *("--dropout", 0.3, "--label-smoothing", 0.1, "--mixup", 0.2, "--cutmix", 1.0),
        *("--ema", 0.99, "--accumulate", 2, "--early-stopping", 3, "--class-weight", "balanced"),
        *("--seed", 5, "--save-every", 9, "--tensorboard", "--deterministic", "--xla"),
        "--partial-batch-norm",
        lists=False,
    )
    assert status == 0
    assert out.splitlines()[0] == "epochs   4; the preset is of epoch 3"
    assert out.splitlines()[1] == "input    waited for during 0% of the training steps' time"
    assert len(out.splitlines()) == 3
    # The learning rate goes with the clips of a step.
    assert called.recipe == dataclasses.replace(
        recipes.kinetics400.for_batch_size(32, gradient_accumulation_steps=2),
        epochs=7,
        warmup_epochs=1.5,
        num_segments=4,
        crop_size=64,
        freeze_until="stage2",
        partial_batch_norm=True,
        dropout_rate=0.3,
        label_smoothing=0.1,
        mixup_alpha=0.2,
        cutmix_alpha=1.0,
        ema_momentum=0.99,
    )
    assert called.recipe.gradient_accumulation_steps == 2
    assert called.recipe.learning_rate == pytest.approx(0.01)
    model = called.model
    assert (model.stage_depths, model.width, model.num_segments) == ((1, 2, 1, 1), 8, 4)
    assert (model.short_term, model.long_term, model.temporal_shift) == (False,) * 3
    assert (model.classes, model.dropout_rate) == (4, 0.3)
    assert model.dtype_policy.name == "mixed_bfloat16"
    assert called.records[1] is None
    assert called.options == {
        "seed": 5,
        "resume": True,
        "early_stopping": 3,
        "class_weight": "balanced",
        "tensorboard": True,
        "save_every": 9,
        "deterministic": True,
        "dataset_arguments": {"num_parallel_calls": 2},
        "compile_arguments": {"jit_compile": True},
    }
    options = ("--no-xla", "--learning-rate", 0.3, "--batch-size", 5, "--ema", 0.5)
    assert run(capsys, folder, *COMPACT, *options)[0] == 0
    assert (called.recipe.learning_rate, called.recipe.batch_size) == (0.3, 5)
    assert called.recipe.ema_momentum == 0.5
    assert called.options["compile_arguments"] == {"jit_compile": False}
    # Three steps an epoch, of which the last tenth is averaged.
    assert run(capsys, folder, *COMPACT, "--batch-size", 1, "--epochs", 20, "--ema")[0] == 0
    assert called.recipe.ema_momentum == pytest.approx(1 - 1 / 6)
    for option in ("--batch-size", "--accumulate"):
        status, _, err = run(capsys, folder, *COMPACT, option, 0)
        assert status == 2
        assert f"{option} is a positive number. Received: 0" in err


def test_the_seed_decides_the_first_weights(capsys, folder, called):
    kernels = []
    for seed in (1, 1, 2):
        run(capsys, folder, *COMPACT, "--seed", seed)
        kernels.append(keras.ops.convert_to_numpy(called.model.get_layer("stem_conv").kernel))
    assert (kernels[0] == kernels[1]).all()
    assert (kernels[0] != kernels[2]).any()


def test_a_preset_brings_its_architecture(capsys, folder, called, tmp_path, caplog):
    model = keras_tdn.TDNResNet((1, 1, 1, 2), width=8, long_term=False, classes=3, num_segments=4)
    save_preset(model, tmp_path / "preset", labels=("a", "b", "c"))
    weights = ("--weights", tmp_path / "preset")
    status, *_ = run(capsys, folder, *weights)
    assert status == 0
    assert (called.model.stage_depths, called.model.num_segments) == ((1, 1, 1, 2), 4)
    assert not called.model.long_term
    assert called.model.labels == ("jump", "run", "walk")
    # As many classes, but others: their scores are of no use.
    assert "The classifier is new: the weights' classes have other names" in caplog.text
    for name, same in (("classifier", False), ("stem_conv", True)):
        kernels = [found.get_layer(name).get_weights()[0] for found in (model, called.model)]
        assert (kernels[0] == kernels[1]).all() == same
    caplog.clear()
    (tmp_path / "list.txt").write_text("0.mp4 a\n1.mp4 b\n2.mp4 c\n")
    lists = ("--train-list", tmp_path / "list.txt", "--no-validation", "--root", folder)
    assert run(capsys, folder, *lists, *weights, lists=False)[0] == 0
    assert caplog.text == ""
    kernels = [found.get_layer("classifier").get_weights()[0] for found in (model, called.model)]
    assert (kernels[0] == kernels[1]).all()
    # Another number of classes gives a new classifier, as the warning says.
    more = (*weights, "--labels", folder / "names.txt")
    with pytest.warns(UserWarning, match=r"classifier is new and random \(they have 3 classes"):
        assert run(capsys, folder, *more)[0] == 0
    with pytest.warns(UserWarning, match="trained with num_segments=4, the model has 2"):
        assert run(capsys, folder, *weights, "--segments", 2)[0] == 0
    status, _, err = run(capsys, folder, *weights, "--width", 16)
    assert status == 2
    assert "belong to another model" in err
    assert "width is 8 there and 16 in the model" in err


def test_packed_videos(capsys, folder, called, tmp_path):
    pack(load_records(folder / "train.txt"), tmp_path, num_processes=1, progress=False)
    lists = ("--train-list", tmp_path, "--no-validation")
    assert run(capsys, folder, *lists, *COMPACT, lists=False)[0] == 0
    assert isinstance(called.records[0], PackedRecordList)


@pytest.fixture
def hmdb51(folder, tmp_path):
    for name, lines in {
        "walk_test_split1.txt": "0.mp4 1\n1.mp4 2\n",
        "walk_test_split2.txt": "0.mp4 2\n1.mp4 1\n",
        "jump_test_split1.txt": "2.mp4 1\n3.mp4 2\n",
        "jump_test_split2.txt": "2.mp4 1\n3.mp4 2\n",
    }.items():
        (tmp_path / name).write_text(lines)
    return tmp_path


def names(records):
    return sorted(Path(record.path).name for record in records)


def test_one_list_for_both_splits(capsys, folder, called, hmdb51):
    lists = ("--train-list", hmdb51, "--val-list", hmdb51, "--root", folder)
    splits = ("--train-split", "train", "--val-split", "test")
    for fold, trained, measured in (
        ((), ["0.mp4", "2.mp4"], ["1.mp4", "3.mp4"]),
        (("--fold", 2), ["1.mp4", "2.mp4"], ["0.mp4", "3.mp4"]),
    ):
        assert run(capsys, folder, *lists, *splits, *fold, *COMPACT, lists=False)[0] == 0
        assert [names(records) for records in called.records] == [trained, measured]
    status, _, err = run(capsys, folder, *lists, *COMPACT, lists=False)
    assert status == 2
    assert "on the command line --split, or --train-split and --val-split" in err


def test_a_table_with_a_split_column(capsys, folder, called):
    table = folder / "all.csv"
    table.write_text("path,label,split\n0.mp4,walk,train\n1.mp4,run,val\n2.mp4,run,train\n")
    lists = ("--train-list", table, "--train-split", "train")
    assert run(capsys, folder, *lists, "--no-validation", *COMPACT, lists=False)[0] == 0
    assert names(called.records[0]) == ["0.mp4", "2.mp4"]
    with_validation = (*lists, "--val-list", table, "--val-split", "val")
    assert run(capsys, folder, *with_validation, *COMPACT, lists=False)[0] == 0
    assert names(called.records[1]) == ["1.mp4"]


def test_a_packed_folder_is_one_split(capsys, folder, called, tmp_path):
    pack(load_records(folder / "train.txt"), tmp_path, num_processes=1, progress=False)
    lists = ("--train-list", tmp_path, "--train-split", "train", "--no-validation")
    status, _, err = run(capsys, folder, *lists, *COMPACT, lists=False)
    assert status == 2
    assert "Leave --train-split out" in err


def test_several_devices(capsys, folder, called, monkeypatch):
    several = Devices(num_devices=2)
    asked = []

    def scope(devices):
        asked.append(devices)
        return contextlib.nullcontext(several)

    monkeypatch.setattr(distribution, "device_scope", scope)
    options = ("--devices", 2, "--synchronize-batch-norms")
    assert run(capsys, folder, *COMPACT, *options)[0] == 0
    assert called.model.get_layer("stem_norm").synchronized
    assert run(capsys, folder, *COMPACT)[0] == 0
    assert not called.model.get_layer("stem_norm").synchronized
    assert asked == [2, "auto"]
    status, _, err = run(capsys, folder, *COMPACT, "--batch-size", 3)
    assert status == 2
    assert "divided among 2 devices" in err


def test_where_to_go_on_is_told(capsys, folder, called, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(called, "result", interrupted)
    status, _, err = run(capsys, folder, *COMPACT)
    assert status == 130
    assert "with --resume goes on in 'out'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-list", "TRAIN"], "Pass --val-list .* or --no-validation"),
        (["--train-list", "TRAIN", "--val-list", "VAL", "--no-validation"], "Pass --val-list"),
        (["--train-list", "TRAIN", "--no-validation", "--val-split", "val"],
         "--val-split is for --val-list"),
        (["--train-list", "none.txt", "--no-validation"], "none.txt"),
        (["--train-list", "TRAIN", "--no-validation", "--model", "tdn_resnet50", "--width", 8],
         "--model names a published architecture"),
        (["--train-list", "TRAIN", "--no-validation", "--batch-size", 0], "--batch-size is a posi"),
        (["--train-list", "TRAIN", "--no-validation", "--epochs", 0], "`epochs` is an integer of"),
        (["--train-list", "TRAIN", "--no-validation", *COMPACT, "--weights", "lost"],
         "There are no weights 'lost'"),
        (["--train-list", "TRAIN", "--val-list", "EMPTY", *COMPACT], "empty.txt.* no "),
        (["--train-list", "EMPTY", "--no-validation", *COMPACT], "empty.txt.* no "),
        (["--train-list", "TRAIN", "--no-validation", "--labels", "FEWER", *COMPACT], "'jump'"),
        (["--train-list", "BEYOND", "--no-validation", "--labels", "FEWER", *COMPACT], "0 to 1"),
        (["--train-list", "TRAIN", "--no-validation", "--output", "OLD"], "There is a training in"),
        (["--train-list", "TRAIN", "--no-validation", "--output", "FEWER"], "it is a file"),
        (["--train-list", "TRAIN", "--no-validation", "--devices", 99], "not so many devices"),
    ],
)  # fmt: skip
def test_errors(capsys, folder, called, arguments, message):
    places = {
        "TRAIN": folder / "train.txt",
        "VAL": folder / "validate.txt",
        "EMPTY": folder / "empty.txt",
        "FEWER": folder / "fewer.txt",
        "BEYOND": folder / "beyond.txt",
        "OLD": folder / "old",
    }
    places["EMPTY"].touch()
    places["FEWER"].write_text("run\nwalk\n")
    places["BEYOND"].write_text("0.mp4 0\n1.mp4 5\n")
    places["OLD"].mkdir(exist_ok=True)
    (places["OLD"] / "last.weights.h5").touch()
    status, out, err = run(
        capsys, folder, *(places.get(word, word) for word in arguments), lists=False
    )
    assert (status, out) == (2, "")
    assert err.startswith("keras-tdn: error: ")
    # Whatever the message brings along is indented below its first line.
    assert all(line.startswith("  ") for line in err.splitlines()[1:])
    assert re.search(message, err)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--stage-depths", "1,2", "4 numbers, such as 1,1,1,1, not '1,2'"),
        ("--stage-depths", "1,x,1,1", "4 numbers"),
        ("--stage-depths", "", "4 numbers"),
        ("--devices", "all", "'auto' or a positive number, not 'all'"),
        ("--devices", "0", "'auto' or a positive number"),
        ("--devices", "-1", "'auto' or a positive number"),
    ],
)
def test_numbers_are_numbers(capsys, folder, called, option, text, message):
    with pytest.raises(SystemExit, match="2"):
        run(capsys, folder, f"{option}={text}")
    assert f"argument {option}: {message}" in capsys.readouterr().err
