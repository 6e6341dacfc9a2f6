import json

import pytest
from evaluation_toys import make_scores

from keras_tdn.cli import main
from keras_tdn.evaluation import compare, report_on


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    paths = []
    for number in range(2):
        paths.append(str(folder / f"{number}.json"))
        report_on(make_scores(number, videos=40)).save(paths[-1])
    return paths


def test_text(reports, capsys):
    assert main(["compare", *reports]) == 0
    assert capsys.readouterr().out == compare(*reports).summary()


def test_json(reports, capsys):
    assert main(["compare", *reports, "--json", "--resamples", "100", "--seed", "4"]) == 0
    told = json.loads(capsys.readouterr().out)
    expected = compare(*reports, resamples=100, seed=4)
    assert told["p_value"] == expected.p_value
    assert told["beyond_chance"] == expected.beyond_chance
    assert told["top1"] == {
        "first": expected.top1.first,
        "second": expected.top1.second,
        "low": expected.top1.low,
        "high": expected.top1.high,
    }


def test_errors_are_told(reports, capsys, tmp_path):
    assert main(["compare", reports[0], str(tmp_path / "none.json")]) == 2
    assert "keras-tdn: error: There is no file" in capsys.readouterr().err
