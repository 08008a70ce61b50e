"""Services behind bastions: PostgreSQL by its magics over one hop and two, TLS, web pages; loopback only."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.remotes.ssh.conftest import Home
from tests.services.mariadb import MariaDB
from tests.services.networks import Network
from tests.services.postgresql import PostgreSQL
from tests.services.shells import Shell, started
from tests.services.sshd import SSHD
from tests.services.tcp import join, run
from tests.services.tls import Authority

from omniduct.databases.sqlalchemy.mysql import MySQLClient
from omniduct.errors import DuctConnectionError
from omniduct.registry import DuctRegistry

DATABASE = "db.example.test"


class Site:
    """A network: its outer bastion is reached from here, the inner one and the database only from the inside.

    The database has a name that the bastions alone know, and a certificate for that name.
    """

    def __init__(self, network: Network, folder: Path) -> None:
        self.network = network
        names = {DATABASE: network["db"].address}
        self.outer = network["outer"].runs(SSHD(names=names))
        self.inner = network["inner"].runs(SSHD(names=names))
        self.authority = Authority(folder)
        file = self._certificate()
        tls = {"ssl": "on", "ssl_cert_file": file, "ssl_key_file": file}
        self.database = network["db"].runs(PostgreSQL(**tls))
        tls = {"ssl-cert": file, "ssl-key": file, "bind-address": network["db"].address}
        self.other = network["db"].runs(MariaDB(**tls))

    def _certificate(self) -> str:
        server = self.authority.server(DATABASE)
        server.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(server, "nobody", "nogroup")
        return str(server)

    def __enter__(self) -> Site:
        for machine in (self.outer, self.inner, self.database, self.other):
            machine.start()
        self.network.hide("inner")
        self.network.hide("db")
        return self

    def __exit__(self, *error: object) -> None:
        for machine in (self.other, self.database, self.inner, self.outer):
            machine.close()

    def config(self, **pg: Any) -> dict[str, Any]:
        def bastion(machine: SSHD, **more: Any) -> dict[str, Any]:
            where = {"host": machine.host, "port": machine.port, "username": machine.user}
            return {"protocol": "ssh", **where, "password": machine.password, **more}

        login = {**self.database.login, "host": DATABASE}
        return {
            "remotes": {
                "outer": bastion(self.outer),
                "inner": bastion(self.inner, remote="outer"),
            },
            "databases": {
                "near": {"protocol": "postgresql", "remote": "outer", **login, **pg},
                "far": {"protocol": "postgresql", "remote": "inner", **login, **pg},
            },
        }


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as name, Network("outer", "inner", "db") as network:
        folder = Path(name)
        folder.chmod(0o755)  # for the user who runs the database
        with Site(network, folder) as site:
            yield site


@pytest.fixture
def registry(site: Site, home: Home) -> Iterator[DuctRegistry]:
    home.knows(site.outer, site.inner)
    registry = DuctRegistry(site.config())
    yield registry
    end(registry)


def end(registry: DuctRegistry) -> None:
    for name in ("far", "near", "inner", "outer"):
        registry[name].disconnect()


@pytest.fixture
def shell(registry: DuctRegistry) -> Iterator[Shell]:
    with started() as shell:
        shell.user["registry"] = registry
        for duct in registry:
            duct.register_magics()  # type: ignore[attr-defined]
        yield shell


@pytest.mark.parametrize("name", ["near", "far"])
def test_a_cell_reaches_a_database_over_one_hop_and_over_two(shell: Shell, name: str) -> None:
    ran = shell.run(f"%%{name} found\nSELECT 41 + 1 AS x")
    assert ran.error is None, ran.said
    assert shell.user["found"]["x"].tolist() == [42]


def test_the_near_end_of_two_hops_is_local_and_the_far_one_is_shown(
    site: Site, registry: DuctRegistry
) -> None:
    far = registry["far"].connect()
    assert (far.host, far._host, far._port) == ("127.0.0.1", DATABASE, site.database.port)
    assert far.port != site.database.port
    assert repr(far) == (
        f"<PostgreSQLClient 'far': postgresql at {DATABASE}:{site.database.port} via inner, connected>"
    )


def test_many_ducts_share_one_connection_and_forwards_end_with_the_last_of_them(
    site: Site, registry: DuctRegistry
) -> None:
    other = registry.new("other", "postgresql", remote="outer", **{**site.database.login, "host": DATABASE})
    near = registry["near"]
    join(run(near.connect) + run(other.connect))
    assert near.port == other.port
    assert site.outer.connections() == 1
    near.disconnect()
    assert registry["outer"].has_port_forward(DATABASE)
    other.disconnect()
    assert not registry["outer"].has_port_forward()


def test_the_certificate_of_a_service_behind_a_forward_is_for_its_own_name(site: Site, home: Home) -> None:
    home.knows(site.outer, site.inner)
    checked = {"connection_options": {"sslmode": "verify-full", "sslrootcert": str(site.authority.ca)}}
    registry = DuctRegistry(site.config(**checked))
    encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert registry["far"].query(encrypted, format="tuple") == [(True,)]
    end(registry)
    registry = DuctRegistry(site.config(**checked))
    registry["near"].host = site.network["db"].address  # the same service by another name
    with pytest.raises(DuctConnectionError, match=f'certificate for "{DATABASE}".* does not match host name'):
        registry["near"].connect()
    end(registry)


def test_the_certificate_of_mariadb_behind_a_forward_is_for_its_own_name(
    site: Site, registry: DuctRegistry
) -> None:
    checked = {"connect_args": {"ssl": {"ca": str(site.authority.ca), "check_hostname": True}}}
    login = {**site.other.login, "engine_opts": checked, "remote": registry["outer"]}
    duct = MySQLClient(name="maria", protocol="mysql", **{**login, "host": DATABASE})
    [(name, cipher)] = duct.query("SHOW STATUS LIKE 'Ssl_cipher'", format="tuple")
    assert (name, bool(cipher)) == ("Ssl_cipher", True)
    duct.host = site.network["db"].address  # the same service by another name
    with pytest.raises(DuctConnectionError, match="ertificate"):
        duct.connect()
    duct.disconnect()


def test_forwards_are_reached_from_this_machine_alone(site: Site, registry: DuctRegistry) -> None:
    port = registry["outer"].port_forward(DATABASE, site.database.port)
    listening = [each.laddr for each in psutil.Process().net_connections() if each.status == "LISTEN"]
    assert {each.ip for each in listening if each.port == port} == {"127.0.0.1"}
    knock = f"exec 3<>/dev/tcp/{site.network.address}/{port}"
    command = site.network["outer"].command("bash", "-c", knock)
    assert b"refused" in subprocess.run(command, capture_output=True, timeout=30).stderr


def test_a_target_that_nothing_answers_at_is_said_as_seen_from_the_bastion(registry: DuctRegistry) -> None:
    with pytest.raises(DuctConnectionError, match=r"outer: nothing answers at .*:1, seen from there"):
        registry["outer"].port_forward(DATABASE, 1)
    registry["near"].host = "nowhere.invalid:5432"
    complaint = (
        "nothing can be reached at nowhere.invalid:5432 via outer: nothing answers there, seen from 'outer'"
    )
    with pytest.raises(DuctConnectionError, match=complaint):
        registry["near"].connect()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("hello")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "page"))
    with ThreadingHTTPServer(("", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{server.server_port}"
        server.shutdown()


def test_a_web_page_is_read_through_a_local_uri(site: Site, registry: DuctRegistry, page: str) -> None:
    uri = registry["outer"].get_local_uri(f"http://{site.network.address}:{page}/index.html?x=1")
    assert uri.startswith("http://127.0.0.1:")
    assert page not in uri
    with urllib.request.urlopen(uri, timeout=30) as answer:
        assert answer.read() == b"hello"
    assert registry["outer"].is_port_bound(site.network.address, int(page))
    assert not registry["outer"].is_port_bound(site.network.address, 1)
