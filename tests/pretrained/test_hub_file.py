"""`fetch_file` through the real client, against a hub on this machine."""

import hashlib
import socket

import pytest
from loopback_hub import COMMIT, NEWER_COMMIT, LoopbackHub, run_client

from keras_tdn.pretrained.preset_files import HubFile, fetch_file

NAME = "org/net/weights.bin"
DATA = bytes(range(256)) * 64
SHA256 = hashlib.sha256(DATA).hexdigest()

# Prints what each `HubFile` came to: the contents' digest, or the error. The client waits between
# its attempts, which a test has no time for.
CLIENT = """
import hashlib, time
time.sleep = lambda seconds: None
from keras_tdn.pretrained.preset_files import HubFile, fetch_file
for file in {files}:
    try:
        path = fetch_file(file)
    except Exception as error:
        print(type(error).__name__, str(error))
    else:
        print("got", hashlib.sha256(path.read_bytes()).hexdigest())
"""


def fetch(hub_url, cache, *files, offline=False):
    result = run_client(CLIENT.format(files=list(files)), hub_url, cache, offline)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def cached_files(cache):
    """What a later run could open; the client's own notes left out."""
    return [path for path in cache.glob("hub/models--*/snapshots/**/*") if path.is_file()] + [
        path for path in cache.glob("hub/models--*/blobs/*") if path.is_file()
    ]


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_pinned_file_is_downloaded_once_and_then_used_without_a_request(tmp_path):
    files = [
        HubFile("org/net", "weights.bin", revision=revision, sha256=SHA256)
        for revision in (None, COMMIT)
    ]
    with LoopbackHub({NAME: DATA}) as hub:
        assert fetch(hub.url, tmp_path, *files) == [f"got {SHA256}"] * 2
        assert len([line for line in hub.requests if line.startswith("GET")]) == 1
        hub.requests.clear()
        assert fetch(hub.url, tmp_path, *files) == [f"got {SHA256}"] * 2
        assert hub.requests == []
    file = files[0]
    assert fetch(hub.url, tmp_path, file) == [f"got {SHA256}"]
    assert fetch(hub.url, tmp_path, file, offline=True) == [f"got {SHA256}"]


def test_unpinned_file_is_checked_by_the_digest_that_the_hub_declares(tmp_path):
    small = "org/net/config.json"
    files = [HubFile("org/net", "weights.bin"), HubFile("org/net", "config.json")]
    with LoopbackHub({NAME: DATA, small: b"{}"}, small=[small]) as hub:
        expected = [f"got {SHA256}", f"got {hashlib.sha256(b'{}').hexdigest()}"]
        assert fetch(hub.url, tmp_path, *files) == expected
        # A newer revision is seen, which a pinned file has no use for.
        hub.files[NAME], hub.commit = DATA + b"newer", NEWER_COMMIT
        newer = hashlib.sha256(DATA + b"newer").hexdigest()
        assert fetch(hub.url, tmp_path, files[0]) == [f"got {newer}"]
    assert fetch(hub.url, tmp_path, files[0], offline=True) == [f"got {newer}"]


@pytest.mark.parametrize("kind", ["pinned", "large", "small"])
def test_wrong_digest_is_refused_and_the_file_removed(tmp_path, kind):
    file = HubFile("org/net", "weights.bin", sha256=SHA256 if kind == "pinned" else None)
    small = [NAME] if kind == "small" else []
    with LoopbackHub({NAME: DATA}, tamper=[NAME], small=small) as hub:
        (line,) = fetch(hub.url, tmp_path, file)
        assert line.startswith("ValueError 'org/net/weights.bin' is not the file expected")
        assert "removed from the cache" in line
        assert "expected " + hub.digest(NAME) in line
        assert cached_files(tmp_path) == []
        hub.tamper.clear()
        assert fetch(hub.url, tmp_path, file) == [f"got {SHA256}"]


def test_a_pinned_digest_wins_over_the_declared_one(tmp_path):
    file = HubFile("org/net", "weights.bin", sha256="0" * 64)
    with LoopbackHub({NAME: DATA}) as hub:
        (line,) = fetch(hub.url, tmp_path, file)
    assert f"its digest is {SHA256}, expected {'0' * 64}" in line


def test_damage_in_the_cache_is_repaired(tmp_path):
    file = HubFile("org/net", "weights.bin", revision=COMMIT, sha256=SHA256)
    with LoopbackHub({NAME: DATA}) as hub:
        fetch(hub.url, tmp_path, file)
        (blob,) = tmp_path.glob("hub/models--*/blobs/*")
        blob.write_bytes(b"damaged")
        assert fetch(hub.url, tmp_path, file) == [f"got {SHA256}"]


def test_missing_things_are_named(tmp_path):
    files = [
        HubFile("org/net", "other.bin"),
        HubFile("org/net", "weights.bin", revision="elsewhere"),
        HubFile("org/other", "weights.bin", size=102_469_840),
    ]
    with LoopbackHub({NAME: DATA}) as hub:
        entry, revision, repo = fetch(hub.url, tmp_path, *files)
    assert entry.startswith(
        "ValueError The Hugging Face Hub has the repository but not the file 'org/net/other.bin'"
    )
    assert "no repository or revision for 'org/net@elsewhere/weights.bin'" in revision
    assert "no repository or revision for 'org/other/weights.bin' (102 MB)" in repo
    assert all("download the file by hand and pass its path" in line for line in (entry, repo))


@pytest.mark.parametrize("offline", [False, True])
def test_no_network_says_what_to_do(tmp_path, offline):
    file = HubFile("org/net", "weights.bin", sha256=SHA256)
    (line,) = fetch(closed_port(), tmp_path, file, offline=offline)
    assert line.startswith("ConnectionError 'org/net/weights.bin' is not in the cache")
    assert "download the file by hand and pass its path" in line


def test_transfer_that_breaks_off_is_an_os_error(tmp_path):
    with LoopbackHub({NAME: DATA}, truncate=[NAME]) as hub:
        (line,) = fetch(hub.url, tmp_path, HubFile("org/net", "weights.bin"))
    assert line.startswith("OSError 'org/net/weights.bin' could not be downloaded")
    assert cached_files(tmp_path) == []


def test_transfer_that_breaks_off_is_resumed_where_it_did(tmp_path):
    # The client keeps what arrived in steps of 10 MiB.
    step = 10 << 20
    data = hashlib.shake_256(b"").digest(1 << 20) * 23
    file = HubFile("org/net", "weights.bin", sha256=hashlib.sha256(data).hexdigest())
    with LoopbackHub({NAME: data}, break_once=[NAME]) as hub:
        assert fetch(hub.url, tmp_path, file) == [f"got {file.sha256}"]
        assert hub.ranges == [step]


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "a\\b", "C:a", "a\0b", "", ".", "a/.."])
def test_names_that_leave_the_repository_are_refused(name):
    with pytest.raises(ValueError, match="is a relative path inside it"):
        HubFile("org/net", name)


def test_malformed_digest_is_refused():
    with pytest.raises(ValueError, match="64 lower-case hexadecimal digits"):
        HubFile("org/net", "weights.bin", sha256="abc")


def test_malformed_repository_is_refused():
    with pytest.raises(ValueError, match="a/b/c"):
        fetch_file(HubFile("a/b/c", "weights.bin"))
