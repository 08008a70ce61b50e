"""A throwaway PostgreSQL."""

from __future__ import annotations

import signal
from typing import Any

from tests.services.processes import Server, program

SETTINGS = {
    "max_connections": "60",
    "shared_buffers": "16MB",
    "max_wal_size": "256MB",
    # What is committed survives a crash of the server, not one of the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "dynamic_shared_memory_type": "mmap",  # in its own folder, so it goes with that
    "track_activity_query_size": "16kB",
    "timezone": "UTC",
}


class PostgreSQL(Server):
    """A PostgreSQL to which all log in with a password (SCRAM); its settings are as in `postgresql.conf`."""

    PROTOCOL = "postgresql"
    RUNNING = """
        SELECT query FROM pg_stat_activity
        WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    """
    USERS = """
        SELECT usename FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
    """
    STOP = signal.SIGINT

    def find_programs(self) -> None:
        self._postgres = program("postgres", package="postgresql")
        self._initdb = program("initdb", package="postgresql")

    def make_data(self) -> None:
        secret = self.home / "secret"
        secret.write_text(f"{self.admin_password}\n")
        self.run(
            *(self._initdb, "--pgdata", self.home / "data", "--no-sync", "--wal-segsize=1"),
            *("--username", self.ADMIN, "--pwfile", secret, "--auth=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C"),
        )
        secret.unlink()
        with (self.home / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all scram-sha-256\n")  # it listens on one address

    def make_users(self) -> None:
        for sql in (
            f"CREATE ROLE {self.user} LOGIN PASSWORD '{self.password}'",
            f"CREATE DATABASE {self.database} OWNER {self.user}",
        ):
            self.ask(sql, self.ADMIN, self.admin_password, "")

    def command(self) -> list[str]:
        own = {
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": str(self.home),
        }
        command = [self._postgres, "-D", str(self.home / "data")]
        for name, value in {**SETTINGS, **own, **self.settings}.items():
            command += ["-c", f"{name}={value}"]
        return command

    def ask(self, sql: str, user: str, password: str, database: str) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            dbname=database or "postgres",
            autocommit=True,
            connect_timeout=10,
        ) as connection:
            cursor = connection.execute(sql)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []
