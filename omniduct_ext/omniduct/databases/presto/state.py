"""What a session with a coordinator is set to: from the duct, and from what its statements have set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from omniduct.databases.presto import authentication, headers
from omniduct.databases.presto.link import NO_TRANSACTION, PATH
from omniduct.databases.presto.segments import ENCODINGS
from omniduct.errors import DuctConfigError

if TYPE_CHECKING:
    from trino.client import ClientSession

    from omniduct.databases.presto.client import PrestoClient

__all__ = ["State", "header_value"]

_SETTABLE = ("catalog", "schema", "properties", "roles", "prepared_statements", "authorization_user")


class State:
    """Keeps what statements have set (USE, SET SESSION, PREPARE) from one connection to the next."""

    def __init__(self) -> None:
        self._begun: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}

    def session(self, client: PrestoClient) -> ClientSession:
        """A session as the duct says, with what statements have set since in the former."""
        made = _made(client)
        begun = _settings(made)
        for name, value in self._kept.items():
            if begun[name] == self._begun.get(name):  # else the person has set the duct's own since
                _set(made, name, value)
        self._begun = begun
        return made

    def keep(self, session: ClientSession) -> None:
        """Note what statements have set in a session that ends."""
        now = _settings(session)
        self._kept = {name: value for name, value in now.items() if value != self._begun.get(name)}

    def forget(self) -> None:
        """Forget it."""
        self._kept = {}


def _set(session: ClientSession, name: str, value: Any) -> None:
    if name == PATH:
        session.headers[PATH] = value
    else:
        setattr(session, name, value)


def _settings(session: ClientSession) -> dict[str, Any]:
    values = {name: getattr(session, name) for name in _SETTABLE}
    values[PATH] = session.headers.get(PATH)
    return {name: dict(value) if isinstance(value, dict) else value for name, value in values.items()}


def _made(client: PrestoClient) -> ClientSession:
    from trino.client import ClientSession

    given = client.session_properties.items()
    return ClientSession(
        user=cast("str", authentication.user(client)),
        catalog=client.catalog,
        schema=client.schema if client.catalog else None,  # one without a catalog servers refuse
        source=client.source or "omniduct",
        properties={name: header_value(value) for name, value in given if value is not None},
        headers=_headers(client),
        transaction_id=NO_TRANSACTION,
        extra_credential=headers.extra_credentials(client),
        client_tags=client.client_tags,
        roles=client.roles,
        timezone=_time_zone(client),
        encoding=ENCODINGS if _spools(client) else None,
    )


def header_value(value: Any) -> str:
    """The value of a session property as a header has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spools(client: PrestoClient) -> bool:
    return client._remote is None if client.spooling is None else client.spooling


def _headers(client: PrestoClient) -> dict[str, str]:
    given = headers.http_headers(client)
    if client.resource_estimates:
        estimates = (f"{name}={value}" for name, value in client.resource_estimates.items())
        given["X-Trino-Resource-Estimate"] = ",".join(estimates)
    return given


def _time_zone(client: PrestoClient) -> str | None:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    zone = client.time_zone
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise DuctConfigError(
                f"{client.name}: there is no time zone {zone!r}; time_zone takes a name as 'Europe/Paris'"
            ) from None
    return zone
