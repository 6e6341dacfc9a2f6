"""The page as a visitor has it: Gradio's server, and a browser that drops files onto it."""

import importlib.util
import signal
import urllib.error
import urllib.request

import pytest
from chromium import Browser, find_chromium
from running_page import MEGABYTES, form
from synthetic_videos import encode_video

from keras_tdn.datasets.motion import MOTION_LABELS, MotionConfig, render_motion
from keras_tdn.datasets.motion.make import encode_mp4

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("gradio") is None, reason="needs keras-tdn[web]: gradio"
    ),
    pytest.mark.skipif(find_chromium() is None, reason="needs Chromium"),
]

INPUT = "#video input[type=file]"


@pytest.fixture(scope="module")
def browser(server):
    with Browser(find_chromium()) as browser:
        browser.resize(1280, 900)
        browser.open(server.address)
        browser.wait_for(f"!!document.querySelector('{INPUT}')")
        yield browser


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    config = MotionConfig()
    for label in ("moving left", "zooming in"):
        frames = render_motion(MOTION_LABELS.index(label), config, (11, 3))
        (folder / f"{label}.mp4").write_bytes(encode_mp4(frames, config))
    (folder / "rubbish.mp4").write_bytes(bytes(range(256)) * 20)
    (folder / "short.mp4").write_bytes(encode_video(3))
    (folder / "large.mp4").write_bytes(bytes((MEGABYTES << 20) + 1))
    (folder / "text.txt").write_text("no video")
    return folder


def clear(browser):
    browser.evaluate("document.querySelectorAll('#video [aria-label=Clear]').forEach(x=>x.click())")
    browser.wait_for(f"!!document.querySelector('{INPUT}')")
    browser.wait_for("!document.querySelector('#answer').innerText.trim()")


def drop(browser, path, says):
    browser.upload(INPUT, path)
    browser.wait_for(f"document.body.innerText.includes({says!r})")


def check_answer(browser, label):
    first = browser.evaluate("document.querySelector('#answer .tile b').innerText")
    assert first == label
    assert browser.evaluate("document.querySelectorAll('#answer .bars .name').length") == 5
    assert f"\u25cf {label}" in browser.text("#timeline")
    curves = """document.querySelectorAll('#timeline .wide svg path[style*="fill: none"]').length"""
    assert browser.evaluate(curves) >= 1
    maps = browser.text("#maps")
    for name in ("motion energy", "stage 2: gate strength", f"Grad-CAM: {label}"):
        assert name in maps
    # Pictures and animation are there, and their data is sound.
    browser.wait_for(
        "[...document.querySelectorAll('#maps .row img')].every(x => x.complete && x.naturalWidth)"
        " && document.querySelectorAll('#maps .row img').length > 20"
        " && document.querySelector('#maps video').readyState > 1"
    )


def test_good_bad_and_good_again(server, browser, videos):
    drop(browser, videos / "moving left.mp4", "Done.")
    check_answer(browser, "moving left")
    clear(browser)
    assert not browser.text("#timeline") + browser.text("#maps")
    drop(browser, videos / "rubbish.mp4", "Cannot read the file: it is not a video")
    assert browser.evaluate("!!document.querySelector('#state [role=alert]')")
    clear(browser)
    drop(browser, videos / "short.mp4", "too short: it has 3 frames")
    clear(browser)
    # Gradio itself says so, in a note that floats above the page.
    drop(browser, videos / "large.mp4", "exceed the maximum allowed size")
    drop(browser, videos / "text.txt", "Invalid file type")
    drop(browser, videos / "zooming in.mp4", "Done.")
    check_answer(browser, "zooming in")
    assert "Traceback" not in browser.evaluate("document.body.innerText")
    assert "Traceback" not in server.log()


def test_example(browser):
    clear(browser)
    browser.evaluate("document.querySelector('#example').click()")
    browser.wait_for("document.querySelector('#state').innerText.includes('Done.')")
    assert browser.evaluate("document.querySelector('#answer .tile b').innerText") in MOTION_LABELS
    browser.wait_for("document.querySelector('#video video').readyState > 1")


def test_a_phone_sees_all_of_it(browser):
    browser.resize(390, 844, mobile=True)
    browser.wait_for("document.documentElement.scrollWidth <= 390")
    shown = "getComputedStyle(document.querySelector('#timeline .{}')).display"
    assert browser.evaluate(shown.format("wide")) == "none"
    assert browser.evaluate(shown.format("narrow-plot")) == "block"
    browser.resize(1280, 900)
    assert browser.evaluate(shown.format("narrow-plot")) == "none"


def test_nothing_comes_from_elsewhere(server, browser):
    assert any(address.startswith(server.address) for address in browser.requests)
    ours = (server.address, "data:", "blob:", "about:")
    assert [address for address in browser.requests if not address.startswith(ours)] == []
    assert not [line for line in browser.console if "Content Security Policy" in line]
    # Were a script to try, the browser would refuse.
    refused = "fetch('http://127.0.0.2:9/').then(() => 'sent', error => String(error))"
    assert "Failed to fetch" in browser.evaluate(refused)
    assert "Content Security Policy" in " ".join(browser.console)


def test_server_asks_nobody(server):
    """But for the witness itself, which shows in this way that it sees what is asked."""
    assert server.witness.read_text().splitlines() == ["('127.0.0.1', 9)"]


def test_server_takes_no_more_than_it_says(server):
    content = bytes((MEGABYTES << 20) + 1)
    body, kind = form(content, "a.mp4")
    headers = {"Content-Type": kind}
    request = urllib.request.Request(f"{server.address}gradio_api/upload", body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    assert caught.value.code == 413
    assert all(path.stat().st_size < len(content) for path in server.uploads())


def test_termination_removes_uploads(server):
    assert server.uploads()
    assert server.stop(signal.SIGTERM) == 0
    assert not list(server.folder.glob("keras_tdn_web_*"))
