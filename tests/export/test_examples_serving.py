"""What lies in `examples/serving`, as far as it can be checked without the server."""

import pathlib
import re
import runpy

import keras
import pytest
from synthetic_videos import encode_video

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SERVING = EXAMPLES / "serving"


def test_the_model_config_is_one():
    text_format = pytest.importorskip("google.protobuf.text_format")
    config_type = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="needs keras-tdn[serving]"
    ).ModelServerConfig
    config = text_format.Parse((SERVING / "models.config").read_text(), config_type())
    (model,) = config.model_config_list.config
    # Where README.md beside it has the export written to, as compose.yaml mounts it.
    assert (model.name, model.base_path, model.model_platform) == (
        "tdn",
        "/models/tdn",
        "tensorflow",
    )


def test_compose_mounts_what_is_there():
    yaml = pytest.importorskip("yaml")
    (service,) = yaml.safe_load((SERVING / "compose.yaml").read_text())["services"].values()
    mounts = [volume.split(":")[:2] for volume in service["volumes"]]
    assert dict(mounts)["./models"] == "/models"
    text = (SERVING / "compose.yaml").read_text()
    for source, inside in mounts[1:]:
        assert (SERVING / source).is_file()
        assert f"={inside}" in text
    # One caller's bad request would fail those of others.
    assert not any("batching" in argument for argument in service["command"])


def test_the_image_is_the_newest_server_that_exports_were_tried_in():
    script = (ROOT / "tests" / "export" / "serving_pairs" / "run.sh").read_text()
    releases = re.search(r"^releases=\((.*)\)$", script, re.MULTILINE)[1].split()
    (image,) = re.findall(
        r"image: tensorflow/serving:(\S+)", (SERVING / "compose.yaml").read_text()
    )
    assert image == releases[-1]
    readme = (SERVING / "README.md").read_text()
    page = (ROOT / "docs" / "serving.md").read_text()
    assert f"the newest server, {image}" in readme
    assert f"The newest server is {image}" in page
    for release in releases:
        assert release in readme
        assert re.search(rf"^\| 2\.\d+\.\d+ \| {re.escape(release)} \|", page, re.MULTILINE)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports on TensorFlow")
@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_serve_request(exported, addresses, tmp_path, capsys, protocol):
    video = tmp_path / "video.mp4"
    video.write_bytes(encode_video(30))
    main = runpy.run_path(str(EXAMPLES / "serve_request.py"))["main"]
    main(str(video), addresses[protocol])
    printed = capsys.readouterr().out.splitlines()
    with pytest.raises(SystemExit, match=r"ModelNotFoundError: .*'other'"):
        main(str(video), addresses[protocol], "other")
    assert {line.split("%  ")[1] for line in printed} <= set(exported[0].labels)
    assert len(printed) == 3
