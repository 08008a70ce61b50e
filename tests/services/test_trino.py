"""A Trino with all it can have lets in whom it should, and spools; it ends with the run that shares it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.services.guard import have_ended
from tests.services.kerberos import KDC
from tests.services.shared import joined
from tests.services.trino import Trino, whole_trino

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds

# Joins the server, and logs in with what it knows of it.
WORKER = """
import sys
from pathlib import Path
from tests.services.shared import joined
from tests.services.test_trino import log_in
from tests.services.trino import whole_trino
from trino.auth import BasicAuthentication
server = joined(whole_trino, Path(sys.argv[1]), int(sys.argv[2]))
print(server.admin("SELECT 'from a worker'"))
print(log_in(server, server.user, BasicAuthentication(server.user, server.password)))
"""


@pytest.fixture(scope="module")
def run() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a run of tests."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run") / "trino.server"


@pytest.fixture(scope="module")
def server(run: subprocess.Popen[bytes], file: Path) -> Trino:
    return joined(whole_trino, file, run.pid)


@pytest.fixture(autouse=True)
def no_other_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    """For `requests` these go before what it is told to trust."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


def log_in(server: Trino, user: str, auth: Any) -> str:
    """Who the server says one is, who logs in over TLS; by PyPI's client."""
    from trino.dbapi import connect

    place = {"host": "localhost", "port": server.https_port, "http_scheme": "https"}
    with connect(user=user, auth=auth, verify=str(server.ca), **place) as connection:
        [[name]] = connection.cursor().execute("SELECT current_user").fetchall()
        return str(name)


def test_a_password_lets_in_and_a_wrong_one_does_not(server: Trino) -> None:
    from trino.auth import BasicAuthentication
    from trino.exceptions import HttpError

    for user, password in [(server.user, server.password), (server.ADMIN, server.admin_password)]:
        assert log_in(server, user, BasicAuthentication(user, password)) == user
    with pytest.raises(HttpError, match="401"):
        log_in(server, server.user, BasicAuthentication(server.user, "wrong"))


def test_a_token_lets_in_until_it_expires(server: Trino) -> None:
    from trino.auth import JWTAuthentication
    from trino.exceptions import HttpError

    assert log_in(server, "dora", JWTAuthentication(server.token("dora"))) == "dora"
    with pytest.raises(HttpError, match=r"401.*expired"):
        log_in(server, "dora", JWTAuthentication(server.token("dora", -60)))


def test_a_certificate_lets_in(server: Trino) -> None:
    from trino.auth import CertificateAuthentication

    auth = CertificateAuthentication(str(server.certificate), str(server.key))
    assert log_in(server, "carol", auth) == "carol"


def test_a_ticket_lets_in(server: Trino, monkeypatch: pytest.MonkeyPatch) -> None:
    if server.kdc is None:
        KDC().find_programs()  # skips the test
    pytest.importorskip("requests_gssapi", reason="it is not installed (make services)")
    from trino.auth import GSSAPIAuthentication

    assert server.kdc is not None
    monkeypatch.setenv("KRB5_CONFIG", str(server.kdc.config))
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{server.kdc.ticket()}")
    auth = GSSAPIAuthentication(service_name="HTTP", hostname_override="localhost")
    assert log_in(server, "alice", auth) == "alice"


def test_an_openid_provider_lets_in_who_follows_the_link(server: Trino) -> None:
    from trino.auth import OAuth2Authentication

    issuer, ca, pages = server.issuer, server.ca, []
    assert issuer is not None

    def show(url: str) -> None:
        threading.Thread(target=lambda: pages.append(issuer.log_in(url, "dave", ca))).start()

    assert log_in(server, "dave", OAuth2Authentication(redirect_auth_url_handler=show)) == "dave"
    assert "</html>" in pages[0]


@pytest.mark.parametrize("encoding", ["json", "json+lz4", "json+zstd"])
def test_results_are_spooled(server: Trino, encoding: str) -> None:
    from trino.dbapi import connect

    assert server.storage is not None
    with connect(host=server.host, port=server.port, user="bob", encoding=encoding) as connection:
        cursor = connection.cursor().execute("SELECT * FROM tpch.tiny.lineitem")
        assert len(cursor.fetchall()) == 60175
    assert f"GET /{server.storage.BUCKET}/" in server.storage.log()


def test_tables_in_files_have_partitions_and_iceberg_replaces_them(server: Trino) -> None:
    partitioning = {"iceberg": "partitioning", "hive": "partitioned_by"}
    for catalog, option in partitioning.items():
        server.admin(f"CREATE SCHEMA {catalog}.s")
        server.admin(
            f"CREATE TABLE {catalog}.s.t WITH ({option} = ARRAY['day']) AS "
            "SELECT * FROM (VALUES (1, DATE '2020-01-01'), (2, DATE '2020-01-02')) AS v (a, day)"
        )
        assert len(server.admin(f'SELECT * FROM {catalog}.s."t$partitions"')) == 2
    new = "SELECT 3 AS a, DATE '2020-01-03' AS day"
    server.admin(f"CREATE OR REPLACE TABLE iceberg.s.t AS {new}")
    assert server.admin("SELECT a FROM iceberg.s.t") == [(3,)]
    with pytest.raises(Exception, match="NOT_SUPPORTED"):
        server.admin(f"CREATE OR REPLACE TABLE hive.s.t AS {new}")


def test_another_process_has_it_too_and_a_killed_run_ends_it_all(
    server: Trino, file: Path, run: subprocess.Popen[bytes]
) -> None:
    worker = subprocess.run(
        [sys.executable, "-c", WORKER, str(file), str(run.pid)],
        cwd=ROOT,
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout == f"[('from a worker',)]\n{server.user}\n"
    parts = [part for part in (server, server.storage, server.kdc, server.issuer) if part is not None]
    ports = {part.port for part in parts}
    processes = [
        psutil.Process(each.pid)
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port in ports and each.pid is not None
    ]
    assert len(processes) >= len(ports)
    run.kill()
    run.wait()
    assert have_ended(processes, PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while any(part.home.exists() for part in parts):
        assert time.monotonic() < deadline, "a folder is left"
        time.sleep(0.02)
