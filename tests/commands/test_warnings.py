"""Warnings that the library logs appear on the terminal, each as one line."""

import logging

import pytest

from vecsetx.cli.logs import warnings_on_terminal


def test_warnings_are_printed_while_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("vecsetx.inference.sd_factor")
    with warnings_on_terminal():
        logger.info("a detail")
        logger.warning("%s: not calibrated [yet]", "a" * 200)
    assert capsys.readouterr().out == "a" * 200 + ": not calibrated [yet]\n"
    logger.warning("afterwards")
    assert capsys.readouterr().out == ""


def test_warnings_of_other_libraries_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_on_terminal():
        logging.getLogger("matplotlib").warning("no font")
    assert capsys.readouterr().out == ""
