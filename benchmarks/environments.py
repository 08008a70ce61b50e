"""The environments that the peers run in: made in build/ by the first run that needs them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OLD", "PEER", "PINNED", "THREADS", "python_for", "versions"]

PEER = "jupysql"
OLD = "omniduct 1.3"
PINNED = ("duckdb", "ipython", "pandas", "polars", "pyarrow")
"""In our versions everywhere, so that the sides differ in what is measured alone."""
THREADS = min(4, os.cpu_count() or 1)
"""DuckDB's threads, for every side."""
DRIVERS = ("psycopg2-binary", "pymysql", "sqlalchemy")

_BUILD = Path(__file__).resolve().parents[1] / "build"


@dataclass(frozen=True)
class _Peer:
    """Whose environment it is: where, who else may name one, and what is in it."""

    folder: Path
    variable: str
    packages: tuple[str, ...]
    pinned: tuple[str, ...]
    if_it_installs: tuple[str, ...] = ()


_PEERS: Mapping[str, _Peer] = {
    PEER: _Peer(
        _BUILD / "peers",
        "OMNIDUCT_PEERS_PYTHON",
        (PEER, "duckdb-engine", *DRIVERS, "trino"),
        PINNED,
        ("connectorx",),
    ),
    OLD: _Peer(
        _BUILD / "peers-omniduct",
        "OMNIDUCT_OLD_PYTHON",
        ("omniduct>=1.3,<1.4", *DRIVERS, "pyhive[presto]"),
        ("pandas",),
    ),
}


def python_for(peer: str | None) -> str:
    """The interpreter of a peer's environment, which is made when it is not there; without a peer, this one.

    The environment variables OMNIDUCT_PEERS_PYTHON and OMNIDUCT_OLD_PYTHON name others.
    """
    if peer is None:
        return sys.executable
    made = _PEERS[peer]
    given = os.environ.get(made.variable)
    if given:
        return given
    stamp = made.folder / "made-for"
    wanted = "\n".join([sys.version, *_requirements(made), *made.if_it_installs])
    if not stamp.exists() or stamp.read_text() != wanted:
        _make(made, _requirements(made))
        stamp.write_text(wanted)
    return str(_python_of(made.folder))


def versions() -> dict[str, str]:
    """The versions of what is measured, in this environment."""
    from importlib.metadata import PackageNotFoundError, version

    drivers = ("adbc-driver-postgresql", "psycopg", *DRIVERS, "trino", "pyhive", "connectorx")
    found = {"python": sys.version.split()[0]}
    for name in ("omniduct-ext", PEER, "omniduct", *PINNED, *drivers, "paramiko", "sshtunnel"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _make(peer: _Peer, requirements: list[str]) -> None:
    import subprocess

    print(f"making {peer.folder} (a minute or two): {' '.join(requirements)}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(peer.folder)], check=True)
    install = [str(_python_of(peer.folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*install, *requirements]).returncode != 0:
        print("no release of a peer goes with our versions of the libraries: it gets its own", flush=True)
        subprocess.run([*install, *(each.partition("==")[0] for each in requirements)], check=True)
    for each in peer.if_it_installs:
        subprocess.run([*install, each])


def _requirements(peer: _Peer) -> list[str]:
    """What is in the environment, the libraries in the versions that our side has."""
    ours = versions()
    return [*peer.packages, *(f"{name}=={ours[name]}" if name in ours else name for name in peer.pinned)]


def _python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
