import json
import logging

import pytest

from keras_tdn.data.failures import (
    Failure,
    FailureLog,
    TooManyFailuresError,
    read_failures,
)


def failure(index, reason="damaged"):
    return Failure(f"ü {index}.mp4", index, reason)


def test_report_lists_each_path_once(tmp_path):
    report = tmp_path / "failures.jsonl"
    log = FailureLog(1000, report=report)
    for _ in range(3):
        for index in (7, 3):
            log.add(failure(index), num_seen=10)
    log.add(Failure(failure(3).path, 4, "the same path again"), num_seen=11)
    assert read_failures(report) == [failure(7), failure(3)]
    lines = report.read_text().splitlines()
    assert json.loads(lines[0]) == {"path": "ü 7.mp4", "index": 7, "reason": "damaged"}
    # Another run counts afresh, and adds only what is new.
    again = FailureLog(1000, report=report)
    assert again.reason("ü 7.mp4") is None
    again.add(failure(3), num_seen=1)
    again.add(failure(5), num_seen=2)
    assert [item.index for item in read_failures(report)] == [7, 3, 5]
    assert again.reason("ü 3.mp4") == "damaged"


def test_half_written_line_is_passed_over(tmp_path):
    report = tmp_path / "failures.jsonl"
    report.write_text('{"path": "a", "index": 1, "reason": "b"}\n{"path": "c", "ind')
    log = FailureLog(1000, report=report)
    log.add(failure(2), num_seen=1)
    assert [item.index for item in read_failures(report)] == [1, 2]
    assert read_failures(tmp_path / "nowhere") == []


def test_two_logs_share_a_report(tmp_path):
    report = tmp_path / "failures.jsonl"
    logs = [FailureLog(1000, report=report) for _ in range(2)]
    for index in range(20):
        logs[index % 2].add(failure(index), num_seen=500)
    assert [item.index for item in read_failures(report)] == list(range(20))


def test_paths_that_are_no_text(tmp_path):
    report = tmp_path / "failures.jsonl"
    bad = Failure(b"\xff.mp4".decode("utf-8", "surrogateescape"), 0, "damaged")
    FailureLog(1000, report=report).add(bad, num_seen=1)
    assert read_failures(report) == [bad]


def test_share_is_of_a_hundred_at_least():
    log = FailureLog(1000, max_failure_share=0.1)
    for index in range(10):
        log.add(failure(index), num_seen=index + 1)
    with pytest.raises(TooManyFailuresError, match="11 of the 11 records seen so far"):
        log.add(failure(10), num_seen=11)
    log = FailureLog(1000, max_failure_share=0.1)
    for index in range(40):
        log.add(failure(index), num_seen=400)
    with pytest.raises(TooManyFailuresError, match=r"41 of the 400 .* limit is a share of 0\.1"):
        log.add(failure(40), num_seen=300)


def test_one_bad_record_of_two_is_no_reason_to_stop_but_both_are():
    log = FailureLog(2, max_failure_share=0.1)
    log.add(failure(0), num_seen=1)
    log.add(failure(0), num_seen=3)
    for _ in range(2):
        with pytest.raises(TooManyFailuresError, match=r"keras-tdn check"):
            log.add(failure(1), num_seen=4)
    with pytest.raises(TooManyFailuresError):
        FailureLog(1000, max_failure_share=0).add(failure(0), num_seen=1000)


def test_log_stays_short(caplog):
    log = FailureLog(1000, max_failure_share=1)
    with caplog.at_level(logging.WARNING, "keras_tdn"):
        for index in range(50):
            log.add(failure(index, f"reason {index}"), num_seen=50)
    assert caplog.messages[0] == "Skipped a record: reason 0"
    assert len(caplog.messages) == 11
    assert "No more of them are logged" in caplog.messages[-1]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "all", True])
def test_wrong_share(share):
    with pytest.raises(ValueError, match="a number from 0 to 1"):
        FailureLog(10, max_failure_share=share)


def test_report_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="a folder that exists and is writable"):
        FailureLog(10, report=tmp_path / "nowhere" / "report")
    with pytest.raises(ValueError, match="cannot be read"):
        FailureLog(10, report=tmp_path)
