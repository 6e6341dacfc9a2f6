"""Presets through the real client of the Hugging Face Hub, against a hub on this machine."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from loopback_hub import COMMIT, NEWER_COMMIT, LoopbackHub, client_environment, run_client

import keras_tdn
from keras_tdn.pretrained import save_preset
from keras_tdn.pretrained.preset_files import FILES, NEEDED_FILES, SUMS_FILE

REPO = "org/net"
SOURCE = f"hf://{REPO}"
PINNED = f"{SOURCE}@{COMMIT}"

# Prints what each source came to: a digest of the model, or the error. The client waits between its
# attempts, which a test has no time for.
CLIENT = """
import hashlib, time
time.sleep = lambda seconds: None
import keras, numpy as np
from keras_tdn.pretrained import load_preset
for source in {sources!r}:
    try:
        model = load_preset(source)
    except Exception as error:
        print(type(error).__name__, *str(error).split())
    else:
        arrays = [np.asarray(keras.ops.convert_to_numpy(w)) for w in model.weights]
        digest = hashlib.sha256(b"".join(a.tobytes() for a in arrays))
        digest.update(repr(model.labels).encode())
        print("got", digest.hexdigest())
"""


def digest(model):
    arrays = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    result = hashlib.sha256(b"".join(array.tobytes() for array in arrays))
    result.update(repr(model.labels).encode())
    return result.hexdigest()


def make_preset(folder, seed):
    keras.utils.set_random_seed(seed)
    model = keras_tdn.TDNResNet(
        (1, 1, 1, 1), width=8, classes=2, num_segments=2, labels=["jump", "run"]
    )
    save_preset(model, folder)
    names = (*FILES, SUMS_FILE)
    return {f"{REPO}/{name}": (folder / name).read_bytes() for name in names}, digest(model)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    return make_preset(tmp_path_factory.mktemp("preset") / "a", 0)


@pytest.fixture(scope="module")
def newer(tmp_path_factory):
    return make_preset(tmp_path_factory.mktemp("newer") / "a", 1)


def load(url, cache, *sources, **options):
    result = run_client(CLIENT.format(sources=list(sources)), url, cache, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def reseal(files):
    """Puts the hashes right after a change, as whoever made it would."""
    record = json.loads(files[f"{REPO}/recorded_logits.json"])
    for field, name in (("config", "config.json"), ("weights", "model.weights.h5")):
        record[f"{field}_sha256"] = hashlib.sha256(files[f"{REPO}/{name}"]).hexdigest()
    files[f"{REPO}/recorded_logits.json"] = json.dumps(record).encode()
    hashes = {name: hashlib.sha256(files[f"{REPO}/{name}"]).hexdigest() for name in FILES}
    files[f"{REPO}/{SUMS_FILE}"] = "".join(f"{h}  {n}\n" for n, h in hashes.items()).encode()
    return files


def cached(cache):
    return [path.name for path in cache.glob("hub/models--*/snapshots/*/*")]


def test_first_download_then_no_request_then_offline(preset, tmp_path):
    files, expected = preset
    with LoopbackHub(files) as hub:
        assert load(hub.url, tmp_path, PINNED) == [f"got {expected}"]
        # Nothing but what is needed: the model card stays there.
        assert sorted(cached(tmp_path)) == sorted((*NEEDED_FILES, SUMS_FILE))
        assert hub.count("GET") == 4
        hub.requests.clear()
        assert load(hub.url, tmp_path, PINNED) == [f"got {expected}"]
        assert hub.requests == []
    assert load(hub.url, tmp_path, PINNED, SOURCE, offline=True)[0] == f"got {expected}"
    (line,) = load(hub.url, tmp_path / "empty", PINNED, offline=True)
    assert line.startswith("ConnectionError")
    assert "HF_HUB_OFFLINE is set" in line


@pytest.mark.slow
def test_a_branch_that_moves_is_followed_and_a_pinned_revision_is_not(preset, newer, tmp_path):
    with LoopbackHub(preset[0]) as hub:
        assert load(hub.url, tmp_path, SOURCE) == [f"got {preset[1]}"]
        hub.move(newer[0])
        lines = load(hub.url, tmp_path, SOURCE, PINNED, f"{SOURCE}@{NEWER_COMMIT}")
        assert lines == [f"got {newer[1]}", f"got {preset[1]}", f"got {newer[1]}"]
    # The newest that was seen, and the one asked for, are there without a network.
    lines = load(hub.url, tmp_path, SOURCE, PINNED, offline=True)
    assert lines == [f"got {newer[1]}", f"got {preset[1]}"]


def test_a_download_that_breaks_off_is_repeated(preset, tmp_path):
    name = f"{REPO}/model.weights.h5"
    with LoopbackHub(preset[0], break_once=[name]) as hub:
        assert load(hub.url, tmp_path, SOURCE) == [f"got {preset[1]}"]
        assert hub.count(f"GET /{REPO}/resolve/{COMMIT}/model.weights.h5") == 2


@pytest.mark.parametrize("name", NEEDED_FILES)
def test_a_wrong_hash_deletes_the_file_and_says_so(preset, tmp_path, name):
    with LoopbackHub(preset[0], tamper=[f"{REPO}/{name}"]) as hub:
        (line,) = load(hub.url, tmp_path, SOURCE)
        assert line.startswith("ValueError")
        assert f"/{name}' is not the file expected, and was removed from the cache" in line
        assert name not in cached(tmp_path)
        hub.tamper.clear()
        assert load(hub.url, tmp_path, SOURCE) == [f"got {preset[1]}"]


@pytest.mark.slow
def test_a_file_that_is_cut_off_on_the_hub_is_refused(preset, tmp_path):
    name = f"{REPO}/model.weights.h5"
    files = {**preset[0], name: preset[0][name][:-1000]}
    with LoopbackHub(files) as hub:
        (line,) = load(hub.url, tmp_path, SOURCE)
    assert "model.weights.h5' is not the file expected, and was removed from the cache" in line
    with LoopbackHub(preset[0], truncate=[name]) as hub:
        (line,) = load(hub.url, tmp_path / "other", SOURCE)
    assert line.startswith("OSError")
    assert "could not be downloaded" in line
    assert "download the file by hand" in line


@pytest.mark.parametrize("name", [*NEEDED_FILES, SUMS_FILE])
@pytest.mark.slow
def test_a_missing_file_is_named(preset, tmp_path, name):
    files = {key: value for key, value in preset[0].items() if key != f"{REPO}/{name}"}
    with LoopbackHub(files) as hub:
        (line,) = load(hub.url, tmp_path, SOURCE)
    assert line.startswith("ValueError The Hugging Face Hub has the repository but not the file")
    assert f"{name}'" in line


def test_what_is_not_there(preset, tmp_path):
    with LoopbackHub(preset[0]) as hub:
        repo, revision = load(hub.url, tmp_path, "hf://org/none", f"{SOURCE}@none")
    for line in (repo, revision):
        assert line.startswith("ValueError The Hugging Face Hub has no repository or revision")
        assert "check the name, log in with `hf auth login`" in line


@pytest.mark.slow
def test_private_repositories(preset, tmp_path):
    with LoopbackHub(preset[0], token="hf_right") as hub:
        (line,) = load(hub.url, tmp_path, SOURCE)
        assert "or shows it only to others: check the name, log in with `hf auth login`" in line
        (line,) = load(hub.url, tmp_path, SOURCE, HF_TOKEN="hf_wrong")
        assert line.startswith("OSError The Hugging Face Hub refuses")
        assert "correct or unset HF_TOKEN" in line
        assert load(hub.url, tmp_path, SOURCE, HF_TOKEN="hf_right") == [f"got {preset[1]}"]


@pytest.mark.parametrize(("method", "status"), [("HEAD", 503), ("GET", 500), ("GET", 502)])
@pytest.mark.slow
def test_errors_of_the_server_are_retried(preset, tmp_path, method, status):
    with LoopbackHub(preset[0], failures={method: [status] * 2}) as hub:
        assert load(hub.url, tmp_path, SOURCE) == [f"got {preset[1]}"]
    with LoopbackHub(preset[0], failures={method: [status] * 100}) as hub:
        (line,) = load(hub.url, tmp_path / "other", SOURCE)
    assert line.startswith(("OSError", "ConnectionError"))
    assert str(status) in line
    assert "try later, or download the file by hand" in line


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/evil", "..\\evil", "a/../../evil", "C:evil", "evil\0.h5", "ev\til"]
)
def test_names_that_leave_the_folder_are_refused(preset, tmp_path, name):
    files = dict(preset[0])
    files[f"{REPO}/{SUMS_FILE}"] += b"0" * 64 + b"  " + name.encode() + b"\n"
    with LoopbackHub(files) as hub:
        (line,) = load(hub.url, tmp_path, SOURCE)
        assert hub.count("GET") == 1
    assert line.startswith("ValueError A file's name in a repository or preset is a relative path")


@pytest.mark.slow
def test_files_off_the_list_are_not_fetched(preset, tmp_path):
    files = {**preset[0], f"{REPO}/model.py": b"raise SystemExit"}
    with LoopbackHub(files) as hub:
        assert load(hub.url, tmp_path, SOURCE) == [f"got {preset[1]}"]
        assert not any("model.py" in line for line in hub.requests)
        hub.files[f"{REPO}/{SUMS_FILE}"] += b"0" * 64 + b"  model.py\n"
        hub.commit = NEWER_COMMIT
        (line,) = load(hub.url, tmp_path, SOURCE)
        assert "listed but no part of a preset: ['model.py']" in line


def evil_configs():
    yield "class", lambda config: config["model"].update(class_name="Lambda")
    yield "module", lambda config: config["model"].update(module="os", registered_name="system")
    yield "auto_map", lambda config: config.update(auto_map={"AutoModel": "model.Model"})
    yield (
        "dtype",
        lambda config: config["model"]["arguments"].update(
            dtype={"class_name": "__lambda__", "config": {"value": "aW1wb3J0IG9z"}}
        ),
    )
    yield (
        "activation",
        lambda config: config["model"]["arguments"].update(
            classifier_activation={"class_name": "__lambda__", "config": {}}
        ),
    )


@pytest.mark.parametrize("change", [pair[1] for pair in evil_configs()], ids=dict(evil_configs()))
def test_a_config_that_asks_for_code_is_refused(preset, tmp_path, change):
    files = dict(preset[0])
    config = json.loads(files[f"{REPO}/config.json"])
    change(config)
    files[f"{REPO}/config.json"] = json.dumps(config).encode()
    with LoopbackHub(reseal(files)) as hub:
        (line,) = load(hub.url, tmp_path, SOURCE)
        assert not any("weights.h5" in request for request in hub.requests)
    assert line.startswith("ValueError")
    assert "preset's" in line


@pytest.mark.parametrize(
    "source", ["hf://", "hf://org", "hf://org/net/file", "hf://org/..", "hf://org/net@a b"]
)
def test_malformed_sources(source):
    with pytest.raises(ValueError, match=r"is written 'hf://organisation/name'"):
        keras_tdn.pretrained.load_preset(source)


@pytest.mark.slow
def test_four_processes_at_once_share_one_good_cache(preset, tmp_path):
    code = CLIENT.format(sources=[SOURCE])
    with LoopbackHub(preset[0]) as hub:
        environment = client_environment(hub.url, tmp_path)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(4)
        ]
        outputs = [process.communicate(timeout=300) for process in processes]
    assert [out for out, _ in outputs] == [f"got {preset[1]}\n"] * 4, outputs
    for name in (*NEEDED_FILES, SUMS_FILE):
        (path,) = tmp_path.glob(f"hub/models--*/snapshots/*/{name}")
        assert path.read_bytes() == preset[0][f"{REPO}/{name}"]
    assert not list(tmp_path.glob("hub/**/*.incomplete"))


def test_a_pushed_preset_loads(preset, tmp_path):
    folder = tmp_path / "preset"
    folder.mkdir()
    for key, content in preset[0].items():
        (folder / key.removeprefix(f"{REPO}/")).write_bytes(content)
    (folder / "notes.txt").write_text("not part of it")
    code = f"""
from keras_tdn.pretrained import push_preset
print(push_preset({str(folder)!r}, {REPO!r}, dry_run=DRY))
"""
    with LoopbackHub(token="hf_right") as hub:
        options = {"HF_TOKEN": "hf_right"}
        dry = run_client(code.replace("DRY", "True"), hub.url, tmp_path, **options)
        assert "To org/net would go, and nothing else:" in dry.stdout, dry.stderr
        assert hub.requests == []
        sent = run_client(code.replace("DRY", "False"), hub.url, tmp_path, **options)
        assert f"To org/net went, as commit {NEWER_COMMIT}:" in sent.stdout, sent.stderr
        assert hub.files == preset[0]
        lines = load(hub.url, tmp_path / "cache", SOURCE, HF_TOKEN="hf_right")
        assert lines == [f"got {preset[1]}"]
        options["HF_TOKEN"] = "hf_wrong"
        refused = run_client(code.replace("DRY", "False"), hub.url, tmp_path, **options)
        assert "did not take the preset for 'org/net'" in refused.stderr


NAMED_CLIENT = """
import dataclasses, numpy as np
import keras_tdn
from keras_tdn.pretrained import catalog
{entry}
try:
    model = keras_tdn.TDNResNet50(weights="kinetics400", num_segments=8)
except ValueError as error:
    print("ValueError", *str(error).split())
else:
    print("got", model.labels[0], float(np.max(np.abs(model.get_layer("classifier").bias))))
"""


@pytest.mark.slow
def test_names_load_from_the_repository_that_is_set(tmp_path):
    entry = keras_tdn.pretrained.catalog.entry_by_name("tdn_resnet50_8_kinetics400")
    model = keras_tdn.TDNResNet50(labels=keras_tdn.labels.load_labels("kinetics400"))
    model.get_layer("classifier").bias.assign(np.full(400, 0.25))
    folder = save_preset(model, tmp_path / "preset", card=entry.card)
    contents = {name: (folder / name).read_bytes() for name in (*FILES, SUMS_FILE)}
    files = {
        f"{repo}/{name}": content
        for repo in (f"lab/{entry.name}", "ours/k400")
        for name, content in contents.items()
    }
    sums = hashlib.sha256(contents[SUMS_FILE]).hexdigest()

    def run(hub, sha256=None, **variables):
        change = ""
        if sha256:
            change = (
                f"hub = catalog.HubPreset('ours/k400', {COMMIT!r}, {sha256!r}, 1)\n"
                "catalog.CATALOG = tuple(dataclasses.replace(e, hub=hub) "
                f"if e.name == {entry.name!r} else e for e in catalog.CATALOG)"
            )
        code = NAMED_CLIENT.format(entry=change)
        result = run_client(code, hub.url, tmp_path / "cache", **variables)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    with LoopbackHub(files) as hub:
        assert "are not hosted yet: no repository of ours" in run(hub)
        assert hub.requests == []
        assert run(hub, KERAS_TDN_HUB="lab") == "got abseiling 0.25"
        assert run(hub, sha256=sums) == "got abseiling 0.25"
        assert "is not the file expected" in run(hub, sha256="0" * 64)
        assert "KERAS_TDN_HUB names an organisation" in run(hub, KERAS_TDN_HUB="lab/net")


def test_a_catalog_entry_is_pinned():
    entry = keras_tdn.pretrained.catalog.CATALOG[0]
    with pytest.raises(ValueError, match="40 lower-case hexadecimal digits for `revision`"):
        keras_tdn.pretrained.catalog.HubPreset("a/b", "main", "0" * 64, 1)
    with pytest.raises(ValueError, match="A catalog entry is for one of"):
        dataclasses.replace(entry, dataset="imagenet")
