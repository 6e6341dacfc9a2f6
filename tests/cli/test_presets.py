import pytest

import keras_tdn
from keras_tdn import cli
from keras_tdn.labels import load_labels
from keras_tdn.pretrained import PresetCard, save_preset
from keras_tdn.pretrained.catalog import CATALOG


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_TDN_PRESETS", str(tmp_path / "presets"))
    monkeypatch.delenv("KERAS_TDN_HUB", raising=False)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    labels = load_labels("hmdb51")
    model = keras_tdn.TDNResNet((1, 1, 1, 1), width=8, classes=51, num_segments=2, labels=labels)
    card = PresetCard(dataset="hmdb51", licence="MIT")
    return save_preset(model, tmp_path_factory.mktemp("a") / "preset", card=card)


def run(capsys, *arguments):
    status = cli.main(["presets", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list(capsys, monkeypatch, tmp_path):
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert all(entry.name in out for entry in CATALOG)
    assert len([line for line in out.splitlines() if line.endswith(" nowhere yet")]) == 10
    assert "76.6 / 92.8 % at 8x3x10" in out
    assert "keras-tdn convert best.pth.tar" in out
    (tmp_path / "presets" / CATALOG[0].name).mkdir(parents=True)
    assert str(tmp_path / "presets" / CATALOG[0].name) in run(capsys, "list")[1]
    monkeypatch.setenv("KERAS_TDN_HUB", "lab")
    assert f"hf://lab/{CATALOG[0].name}" in run(capsys, "list")[1]


def test_show(capsys, preset):
    status, out, _ = run(capsys, "show", preset)
    assert status == 0
    assert "classes    51: brush_hair, cartwheel" in out
    assert "licence    MIT" in out
    assert "measured   not stated" in out
    status, _, err = run(capsys, "show", "tdn_resnet50_8_kinetics400")
    assert status == 2
    assert "1UALrg2ABFq-HGPdy8vgZ9mxqkSkuqWET" in err


def test_verify(capsys, preset, tmp_path):
    status, out, _ = run(capsys, "verify", preset)
    assert status == 0
    assert out.endswith("Passed.\n")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in preset.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "config.json").write_text("{}")
    status, out, _ = run(capsys, "verify", copy)
    assert status == 1
    assert "FAIL  config.json" in out
    assert out.endswith("FAILED.\n")


def test_push_tells_what_would_go(capsys, preset):
    status, out, _ = run(capsys, "push", preset, "org/net", "--private")
    assert status == 0
    assert "To org/net (private) would go, and nothing else:" in out
    assert "Nothing was sent. Add --yes to send it." in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "none"], "There is no preset at 'none'"),
        (["verify", "hf://none"], "is written 'hf://organisation/name'"),
        (["push", "none", "org/net"], "There is no preset at 'none'"),
    ],
)
def test_errors_are_one_line(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
