"""A throwaway MariaDB."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path
from typing import Any

from tests.services.processes import Server, program

# "loose": a version that does not know a setting does without it.
SETTINGS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "ON",
    "max-connections": "60",
    "local-infile": "ON",
    "character-set-server": "utf8mb4",
    "default-time-zone": "+00:00",
    "innodb-buffer-pool-size": "32M",
    "innodb-log-file-size": "16M",
    # What is committed survives a crash of the server, not one of the machine.
    "innodb-flush-log-at-trx-commit": "2",
    "loose-innodb-doublewrite": "OFF",
    "loose-innodb-use-native-aio": "OFF",
    "loose-performance-schema": "OFF",
}


class MariaDB(Server):
    """A MariaDB to which all log in with a password; its settings are as in `my.cnf`, with hyphens."""

    PROTOCOL = "mariadb"
    RUNNING = """
        SELECT info FROM information_schema.processlist
        WHERE command IN ('Query', 'Execute') AND id <> connection_id()
    """
    USERS = "SELECT user FROM information_schema.processlist WHERE id <> connection_id()"
    STOP = signal.SIGTERM

    def find_programs(self) -> None:
        self._mariadbd = program("mariadbd", package="mariadb-server")
        self._install_db = program("mariadb-install-db", package="mariadb-server")

    def make_data(self) -> None:
        self.run(
            *(self._install_db, "--no-defaults", f"--datadir={self.home / 'data'}", "--skip-test-db"),
            *("--skip-name-resolve", f"--innodb-log-file-size={SETTINGS['innodb-log-file-size']}"),
        )
        # Users can be made only while it runs, and nobody can log in before: it begins with this.
        self._first.write_text(
            f"CREATE USER {self.ADMIN}@'%' IDENTIFIED BY '{self.admin_password}';\n"
            f"GRANT ALL ON *.* TO {self.ADMIN}@'%' WITH GRANT OPTION;\n"
        )

    def make_users(self) -> None:
        self._first.unlink()
        for sql in (
            f"CREATE DATABASE {self.database}",
            f"CREATE USER {self.user}@'%' IDENTIFIED BY '{self.password}'",
            f"GRANT ALL ON {self.database}.* TO {self.user}@'%'",
        ):
            self.ask(sql, self.ADMIN, self.admin_password, "")

    def command(self) -> list[str]:
        own = {
            "datadir": str(self.home / "data"),
            "socket": str(self.home / "socket"),
            "pid-file": str(self.home / "pid"),
            "port": str(self.port),
        }
        if self._first.exists():
            own["init-file"] = str(self._first)
        settings = {**SETTINGS, **own, **self.settings}
        return [self._mariadbd, "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]

    @property
    def _first(self) -> Path:
        return self.home / "first.sql"

    def ask(self, sql: str, user: str, password: str, database: str) -> list[tuple[Any, ...]]:
        import pymysql
        from pymysql.constants import CLIENT

        connection = pymysql.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            database=database or None,
            autocommit=True,
            client_flag=CLIENT.MULTI_STATEMENTS,
            connect_timeout=10,
        )
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass
            return list(cursor.fetchall()) if cursor.description else []
