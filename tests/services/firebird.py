"""A throwaway Firebird."""

from __future__ import annotations

import contextlib
import signal
from typing import Any

from tests.services.processes import Server, program

PACKAGE = "firebird3.0-server, or firebird4.0-server"  # by the release of Debian

SETTINGS = {
    "RemoteBindAddress": "127.0.0.1",
    "AuthServer": "Srp256, Srp",
    "UserManager": "Srp",
    "WireCrypt": "Enabled",
    "DefaultDbCachePages": "512",
}


class Firebird(Server):
    """A Firebird to which all log in with a password (SRP); its settings are as in `firebird.conf`."""

    PROTOCOL = "firebird"
    ADMIN = "SYSDBA"
    ALIVE = "SELECT 1 FROM rdb$database"
    RUNNING = """
        SELECT mon$sql_text FROM mon$statements
        WHERE mon$state = 1 AND mon$attachment_id <> current_connection
    """
    USERS = """
        SELECT lower(trim(mon$user)) FROM mon$attachments
        WHERE mon$system_flag = 0 AND mon$attachment_id <> current_connection
    """
    STOP = signal.SIGTERM

    def find_programs(self) -> None:
        self._firebird = program("firebird", package=PACKAGE)
        self._isql = program("isql-fb", package=PACKAGE)
        self._gfix = program("gfix", package=PACKAGE)

    def environment(self) -> dict[str, str]:
        home = str(self.home)
        return {"FIREBIRD": home, "FIREBIRD_LOCK": home, "FIREBIRD_TMP": home}

    def make_data(self) -> None:
        users, data, first = (self.home / name for name in ("users.fdb", "data.fdb", "first.sql"))
        (self.home / "databases.conf").write_text(f"{self.database} = {data}\nusers = {users}\n")
        self._configure()
        first.write_text(
            f"CREATE DATABASE '{users}' USER '{self.ADMIN}';\n"
            f"CREATE USER {self.ADMIN} PASSWORD '{self.admin_password}' USING PLUGIN Srp;\n"
            f"CREATE USER {self.user} PASSWORD '{self.password}' USING PLUGIN Srp;\n"
            f"GRANT CREATE DATABASE TO USER {self.user};\nCOMMIT;\n"
            f"CREATE DATABASE '{data}' USER '{self.user}' DEFAULT CHARACTER SET UTF8;\n"
        )
        self.run(self._isql, "-bail", "-quiet", "-input", first)
        first.unlink()
        # What is committed survives a crash of the server, not one of the machine.
        self.run(self._gfix, "-write", "async", "-user", self.ADMIN, data)

    def make_users(self) -> None:
        """They were made with the data: its programs open that without a server."""

    def command(self) -> list[str]:
        self._configure()
        return [self._firebird]

    def _configure(self) -> None:
        """Write the settings down: it takes none from its command line."""
        own = {"RemoteServicePort": str(self.port), "SecurityDatabase": "users", "IpcName": self.home.name}
        settings = {**SETTINGS, **own, **self.settings}
        (self.home / "firebird.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items())
        )

    def _address(self, database: str) -> str:
        return f"inet://{self.host}:{self.port}/{database or 'users'}"

    def ask(self, sql: str, user: str, password: str, database: str) -> list[tuple[Any, ...]]:
        """Run one statement, which is all that it takes at a time."""
        from firebird.driver import connect

        connection = connect(self._address(database), user=user, password=password)
        with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows
