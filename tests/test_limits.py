import pytest

from keras_tdn.limits import GIB, check_bytes, max_bytes


@pytest.mark.parametrize("kind", ["clip", "model", "answer"])
def test_a_limit_holds_to_the_byte_and_can_be_raised(kind, monkeypatch):
    limit = max_bytes(kind)
    check_bytes(limit, kind, "A thing")
    variable = f"KERAS_TDN_MAX_{kind.upper()}_GIB"
    with pytest.raises(ValueError, match=f"A thing would take .* {variable}=[123]\\."):
        check_bytes(limit + 1, kind, "A thing")
    monkeypatch.setenv(variable, str((limit + GIB) / GIB))
    check_bytes(limit + GIB, kind, "A thing")
    with pytest.raises(ValueError, match="A thing would take"):
        check_bytes(limit + GIB + 1, kind, "A thing")


def test_the_message_has_both_numbers_and_what_to_set(monkeypatch):
    with pytest.raises(
        ValueError,
        match=r"^40 frames would take 7.5 GiB, more than the 1 GiB that one clip may take. To "
        r"allow it, set the environment variable KERAS_TDN_MAX_CLIP_GIB=8\.$",
    ):
        check_bytes(40 * 8192 * 8192 * 3, "clip", "40 frames")
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", "0.001")
    with pytest.raises(ValueError, match=r"would take 0\.0049 GiB, more than the 0\.001 GiB that"):
        check_bytes(5 * 2**20, "clip", "A clip")
    with pytest.raises(ValueError, match="A tensor would take over"):
        check_bytes(10**400, "model", "A tensor")


@pytest.mark.parametrize("text", ["a lot", "0", "-1", "nan", "inf", "1e308"])
def test_a_limit_is_a_positive_number(text, monkeypatch):
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", text)
    with pytest.raises(ValueError, match=f"a positive number, in GiB. Received: '{text}'"):
        check_bytes(1, "clip", "A thing")


def test_a_blank_variable_is_none(monkeypatch):
    before = max_bytes("clip")
    monkeypatch.setenv("KERAS_TDN_MAX_CLIP_GIB", " ")
    assert max_bytes("clip") == before
