"""`keras-tdn doctor`, on installations that are broken in every part, and on this one."""

import collections
import http.server
import importlib.metadata
import json
import os
import shutil
import tempfile
import threading
import time

import pytest

from keras_tdn import doctor
from keras_tdn.cli import main
from keras_tdn.doctor import BROKEN, OK, WARNING, probes

BROKEN_IMPORT = "raise ImportError('libbroken.so: cannot open shared object file')"


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Plants modules that processes import in place of those that are installed."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))

    def plant(**modules):
        for name, content in modules.items():
            (tmp_path / f"{name}.py").write_text(content)

    return plant


def by_name(findings):
    return {finding.name: finding for finding in findings}


def test_an_installation_in_which_nothing_can_be_imported(planted, capsys, monkeypatch):
    """Keras on JAX, so that TensorFlow is looked at by itself."""
    planted(**dict.fromkeys(("keras", "tensorflow", "jax", "av", "huggingface_hub"), BROKEN_IMPORT))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is False
    found = {finding["name"]: finding for finding in report["findings"]}
    for name, status in (
        ("backend", BROKEN),
        ("data", BROKEN),
        ("video", BROKEN),
        ("Hub", WARNING),
    ):
        assert found[name]["status"] == status
        assert "libbroken.so" in found[name]["found"]
        assert found[name]["advice"]
    assert found["Python"]["status"] == OK


@pytest.mark.skipif(os.name != "posix", reason="Windows has no signals")
def test_a_backend_that_ends_its_process(planted):
    planted(keras="import os, signal\nos.kill(os.getpid(), signal.SIGILL)")
    facts = probes.run_probe("backend")
    (finding,) = doctor._backend(facts, "tensorflow")
    assert finding.status == BROKEN
    assert "ended with signal SIGILL" in finding.found
    assert "instructions that this processor lacks" in finding.advice


def test_a_backend_that_hangs(planted, monkeypatch):
    planted(keras="import time\ntime.sleep(600)")
    monkeypatch.setitem(probes.SECONDS, "backend", 1.0)
    start = time.monotonic()
    (finding,) = doctor._backend(probes.run_probe("backend"), "tensorflow")
    assert time.monotonic() - start < 30
    assert (finding.status, "no answer within 1 s" in finding.found) == (BROKEN, True)


def test_this_installation_reads_videos(tmp_path, monkeypatch):
    """In a process of its own, which imports nothing from the current folder."""
    for name in ("json", "numpy", "av", "keras_tdn"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('from the current folder')")
    monkeypatch.chdir(tmp_path)
    facts = probes.run_probe("video")
    assert "error" not in facts
    assert facts["codecs"]["h264"]
    assert facts["libavcodec"]


@pytest.mark.parametrize("name", ["backend", "tensorflow"])
def test_this_installation_computes(name):
    facts = probes.ask(name)
    assert "error" not in facts
    assert facts.get("onednn") in (True, False, None)


# === The Hub ===


@pytest.fixture
def hub(monkeypatch):
    """Asks the Hub at an address."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # A proxy is asked for addresses of other machines.
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def ask(url, offline=False):
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        facts = probes.ask("hub")
        return facts, *doctor._hub(facts)

    return ask


def test_a_hub_that_answers(hub):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(500 if self.server.broken else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.broken = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        finding = hub(url)[1]
        assert (finding.status, finding.found) == (OK, "127.0.0.1 answers")
        server.broken = True
        assert hub(url)[1].status == WARNING
        server.shutdown()


def test_a_hub_that_cannot_be_reached(hub):
    facts, finding = hub("http://user:secret@127.0.0.1:1")
    assert finding.status == WARNING
    assert "HF_HUB_OFFLINE=1 keeps to the cache" in finding.advice
    assert facts["host"] == "127.0.0.1"


def test_a_hub_that_is_not_to_be_asked(hub):
    facts, finding = hub("http://127.0.0.1:1", offline=True)
    assert "error" not in facts
    assert (finding.status, "HF_HUB_OFFLINE" in finding.found) == (OK, True)


# === What is made of facts ===


@pytest.mark.parametrize(
    ("backend", "installed", "advice"),
    [
        ("jax", False, "pip install jax, or choose another backend with KERAS_BACKEND"),
        ("torch", True, "--force-reinstall --no-cache-dir keras torch"),
        ("theano", False, "is tensorflow, jax or torch"),
    ],
)
def test_a_backend_that_does_not_work(monkeypatch, backend, installed, advice):
    monkeypatch.setattr(doctor, "installed_version", lambda name: "1.0" if installed else None)
    (finding,) = doctor._backend({"error": "ImportError: why"}, backend)
    assert finding.status == BROKEN
    assert "ImportError: why" in finding.found
    assert advice in finding.advice


@pytest.mark.parametrize(
    ("seen", "there", "hidden", "status", "found"),
    [
        (["/GPU:0"], True, None, OK, "H200"),
        ([], False, None, OK, "none"),
        ([], True, None, WARNING, "H200, which TensorFlow does not see"),
        ([], True, "CUDA_VISIBLE_DEVICES=-1", OK, "H200, hidden by CUDA_VISIBLE_DEVICES=-1"),
    ],
)
def test_gpus(monkeypatch, seen, there, hidden, status, found):
    monkeypatch.setattr(doctor, "nvidia_gpu_names", lambda: ["H200"] if there else [])
    monkeypatch.setattr(doctor, "has_nvidia_gpu", lambda: there)
    monkeypatch.setattr(doctor, "gpus_are_hidden", lambda backend: hidden)
    (finding,) = doctor._gpu({"devices": seen}, "tensorflow")
    assert (finding.status, found in finding.found) == (status, True)
    assert (finding.advice is not None) == (status == WARNING)


def test_onednn():
    (off,) = doctor._onednn({"onednn": False})
    assert (off.status, "TF_ENABLE_ONEDNN_OPTS=1" in off.advice) == (WARNING, True)
    assert next(doctor._onednn({"onednn": True})).status == OK
    assert list(doctor._onednn({"onednn": None})) == []


@pytest.mark.parametrize(
    ("missing", "status"), [((), OK), (("av1",), WARNING), (("h264", "av1"), BROKEN)]
)
def test_decoders(missing, status):
    codecs = {name: name not in missing for name in probes.CODECS}
    facts = {"codecs": codecs, "libavcodec": "62.1"}
    finding = by_name(doctor._video(facts))["decoders"]
    assert finding.status == status
    assert ("only-binary av" in (finding.advice or "")) == bool(missing)


def test_folders_that_cannot_be_written_to(monkeypatch):
    def fail(dir):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    found = by_name(doctor._folders({"cache": "/nowhere/at/all"}))
    assert found["temporary files"].status == BROKEN
    assert "set TMPDIR" in found["temporary files"].advice
    assert found["Hub's cache"].status == WARNING
    assert "cannot be written to (Read-only file system)" in found["Hub's cache"].found
    assert "HF_HOME" in found["Hub's cache"].advice


@pytest.mark.parametrize(("free", "status"), [(1e8, BROKEN), (1e9, WARNING), (1e11, OK)])
def test_free_space(monkeypatch, free, status):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(free))
    found = by_name(doctor._folders({}))
    assert found["temporary files"].status == status
    assert found["Hub's cache"].status == (OK if status == OK else WARNING)
    # Where somebody works is nobody's business.
    assert os.getcwd() not in found["current folder"].found


@pytest.mark.parametrize(
    ("required", "wrong"),
    [
        (["keras>=1", 'torch>=99; extra == "convert"'], None),
        (["keras>=99"], "is not >=99"),
        (["no-such-thing"], "no-such-thing is missing"),
    ],
)
def test_requirements(monkeypatch, required, wrong):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: required)
    found = by_name(doctor._packages())
    assert ("requirements" in found) == (wrong is not None)
    if wrong:
        assert found["requirements"].status == BROKEN
        assert wrong in found["requirements"].found
    assert ("keras " in found["packages"].found) == any("keras" in name for name in required)


def test_a_check_that_fails_itself(monkeypatch):
    def fail():
        raise OSError("no such file")
        yield

    monkeypatch.setattr(doctor, "run_probe", lambda name: {"error": "not asked"})
    monkeypatch.setattr(doctor, "_system", fail)
    found = by_name(doctor.examine())
    assert found["system"].status == WARNING
    assert "could not be looked at (OSError: no such file)" in found["system"].found


@pytest.mark.skipif(not hasattr(os, "uname"), reason="patches what Windows lacks anyway")
def test_without_what_only_posix_has(monkeypatch):
    monkeypatch.delattr(os, "uname")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(doctor, "run_probe", lambda name: {"error": "not asked"})
    found = by_name(doctor.examine())
    assert found["Python"].status == found["processor"].status == OK


def test_a_processor_without_avx(monkeypatch):
    monkeypatch.setattr(doctor, "cpu_info", lambda names: "fma")
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x86_64")
    finding = by_name(doctor._system())["processor"]
    assert (finding.status, "Illegal instruction" in finding.advice) == (BROKEN, True)


# === What is shown ===


def test_a_report_is_no_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "ada"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "ada"))
    monkeypatch.setattr(doctor.getpass, "getuser", lambda: "ada")
    text = f"{tmp_path}/ada/x /data/ada/y ada-2 hf_abcdefghij0123 https://ada:pw@host/z\n second"
    shown = doctor._private(text)
    assert shown == "~/x /data/USER/y ada-2 TOKEN https://host/z second"


def test_text_and_exit_status(monkeypatch, capsys):
    findings = [doctor.Finding("a", OK, "fine"), doctor.Finding("longer", WARNING, "odd", "do it")]
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       a       fine",
        "warning  longer  odd",
        "                 -> do it",
        "Nothing is broken that training and labelling need.",
    ]
    findings.append(doctor.Finding("b", BROKEN, "gone", "get it"))
    assert main(["doctor"]) == 1
    assert "Broken: b. Training and labelling need it." in capsys.readouterr().out
