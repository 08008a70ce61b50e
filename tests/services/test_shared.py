"""The small throwaway services; and a service that several processes share lasts as long as their run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.services.guard import have_ended, tree
from tests.services.kerberos import KDC
from tests.services.moto import Moto
from tests.services.oidc import OpenID
from tests.services.processes import Service
from tests.services.shared import joined

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds

# Joins the service, says where it is, and ends.
WORKER = """
import sys
from pathlib import Path
from tests.services.oidc import OpenID
from tests.services.shared import joined
service = joined(OpenID, Path(sys.argv[1]), int(sys.argv[2]))
service.probe()
print(service.port, service.home)
"""

# A run of two workers, each with a test.
RUN = """
import pathlib, pytest
from tests.services.oidc import OpenID
from tests.services.shared import shared
@pytest.fixture(scope="session")
def service(tmp_path_factory):
    with shared(OpenID, "openid", tmp_path_factory) as service:
        yield service
@pytest.mark.parametrize("number", range(2))
def test_it(service, number):
    service.probe()
    pathlib.Path(f"{number}.txt").write_text(f"{service.port} {service.home}")
"""


class Broken(OpenID):
    """A service that ends at once."""

    def command(self) -> list[str]:
        return [sys.executable, "-c", "print('not today')"]


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a run of tests."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def started(word: str) -> set[psutil.Process]:
    """The processes that this one started and that run, with a word on their command line."""
    running = [each for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE]
    return {each for each in running if word in each.cmdline()}


def refuses(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("kind", [Moto, KDC, OpenID])
def test_a_small_service_starts_and_answers_and_leaves_nothing(kind: type[Service]) -> None:
    with kind() as service:
        service.probe()
        port, home, processes = service.port, service.home, tree(service.pid)
        service.stop()
        assert refuses(port)
        service.start()
        service.probe()
        processes += tree(service.pid)
        assert service.port == port
    assert have_ended(processes, 0)
    assert refuses(port)
    assert not home.exists()


def test_a_user_gets_tickets_each_in_a_file_of_its_own() -> None:
    with KDC() as kdc:
        first, second = kdc.ticket(), kdc.ticket()
        assert first != second
        environment = {**os.environ, "KRB5_CONFIG": str(kdc.config)}
        listed = subprocess.run(
            ["klist", "-c", first], env=environment, check=True, text=True, capture_output=True
        )
        assert "alice@TEST.LOCAL" in listed.stdout


def test_processes_that_share_a_service_have_the_same_until_their_run_is_killed(
    tmp_path: Path, run: subprocess.Popen[bytes]
) -> None:
    file = tmp_path / "openid.server"
    command = [sys.executable, "-c", WORKER, str(file), str(run.pid)]
    workers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {worker.communicate()[0] for worker in workers}
    assert len(said) == 1
    port, home = said.pop().split()
    assert Path(home).exists()
    joined(OpenID, file, run.pid).probe()  # it did not end with who started it
    run.kill()
    run.wait()
    until(lambda: not Path(home).exists())
    assert refuses(int(port))


def test_a_shared_service_ends_with_its_run_though_who_started_it_goes_on(
    tmp_path: Path, run: subprocess.Popen[bytes]
) -> None:
    service = joined(OpenID, tmp_path / "openid.server", run.pid)
    run.kill()
    run.wait()
    until(lambda: not service.home.exists())
    assert refuses(service.port)


def test_what_is_started_for_a_run_that_has_ended_ends_at_once(
    tmp_path: Path, run: subprocess.Popen[bytes]
) -> None:
    run.kill()
    run.wait()
    others = started("oidc_provider_mock")  # of the run that this test belongs to
    with contextlib.suppress(AssertionError, OSError):  # if it ended before it answered
        joined(OpenID, tmp_path / "openid.server", run.pid)
    until(lambda: started("oidc_provider_mock") <= others)


def test_a_shared_service_that_does_not_come_up_leaves_nothing_to_join(
    tmp_path: Path, run: subprocess.Popen[bytes]
) -> None:
    for _ in range(2):
        with pytest.raises(AssertionError, match=r"(?s)it ended.*not today"):
            joined(Broken, tmp_path / "broken.server", run.pid)
    assert [each.name for each in tmp_path.iterdir()] == ["broken.lock"]
    assert not started(str(run.pid))  # no guard that waits


def test_the_workers_of_a_run_share_a_service_and_it_ends_with_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(RUN)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n2", "--rootdir=.", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    first, second = ((tmp_path / f"{number}.txt").read_text() for number in range(2))
    assert first == second
    port, home = first.split()
    until(lambda: not Path(home).exists())
    assert refuses(int(port))
