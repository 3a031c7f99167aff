"""Who is let in: what the command refuses before it serves anything."""

from __future__ import annotations

import pytest

from recseg_d2.app import server
from recseg_d2.app.options import AppOptions, is_loopback
from recseg_d2.cli import app, run
from recseg_d2.errors import UserError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.1.9", "::1", "localhost"])
def test_this_machine_needs_no_password(host):
    assert is_loopback(host)
    AppOptions(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_other_hosts_need_one(host):
    with pytest.raises(UserError, match="--password"):
        AppOptions(host=host).check()
    AppOptions(host=host, password="secret").check()


@pytest.mark.parametrize(
    ("given", "name"),
    [({"port": 0}, "--port"), ({"port": 70000}, "--port"), ({"max_megabytes": 0}, "megabytes")],
)
def test_values_that_cannot_work_are_refused(given, name):
    with pytest.raises(UserError, match=name):
        AppOptions(**given).check()


@pytest.fixture
def launched(monkeypatch):
    """The options of each page that the command would serve."""
    found = []
    monkeypatch.setattr(app, "launch", lambda finder, options: found.append(options))
    monkeypatch.setattr(app, "check_libraries", lambda: None)
    monkeypatch.delenv(app.PASSWORD, raising=False)
    return found


def test_the_command_serves_beyond_this_machine_with_a_password_alone(
    launched, monkeypatch, capsys
):
    argv = ["--weights", "recseg://rosettes", "--host", "0.0.0.0"]
    assert run(app.main, argv) == 2
    assert "--host 0.0.0.0 lets other machines reach the page" in capsys.readouterr().err
    assert launched == []
    monkeypatch.setenv(app.PASSWORD, "secret")
    assert run(app.main, argv) == 0
    assert run(app.main, [*argv, "--password", "other"]) == 0
    assert run(app.main, [*argv, "--password", ""]) == 2
    assert [options.password for options in launched] == ["secret", "other"]


def test_without_gradio_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    assert run(app.main, ["--weights", "recseg://rosettes"]) == 2
    assert "pip install 'recseg_d2[app]'" in capsys.readouterr().err
