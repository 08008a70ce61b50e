"""Duct: the life-cycle, the fields and the registration that every protocol inherits."""

from __future__ import annotations

import enum
import functools
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from omniduct import credentials, protocols
from omniduct.core import arguments, cleanup, copies, endpoints, failures, fields
from omniduct.core.lifecycle import CONNECTED, LOST, Lifecycle
from omniduct.credentials import Secret
from omniduct.errors import DuctAuthenticationError, DuctError, DuctServerUnreachable

if TYPE_CHECKING:
    from typing_extensions import Self

    from omniduct.core.status import DuctStatus
    from omniduct.registry import DuctRegistry
    from omniduct.remotes.base import RemoteClient

__all__ = ["Duct"]

_NOTHING = object()

Host = str | list[str] | Callable[..., object] | None
Port = int | str | Callable[..., object] | None
Credential = str | bool | Secret | Callable[..., object] | None


class Duct(ABC):
    """A service, reached over one protocol. Connects itself when it is used.

    Parameters
    ----------
    protocol : str, optional
        The protocol it is made for, of those in `PROTOCOLS`.
    name : str, optional
        Its name; by default that of its class.
    registry : DuctRegistry, optional
        Where `remote` and `cache` are looked up when they are given by name.
    remote : RemoteClient or str, optional
        The machine through which the service is reached.
    host : str, list of str or callable, optional
        "host", "host:port", several of these (the first that answers is used), or a callable that
        takes the duct and returns one of these.
    port : int, str or callable, optional
        The port, for a host that is written without one; by default the protocol's own.
    username, password : str, bool or callable, optional
        A value, a callable that takes the duct, a source (``env:``, ``keyring:``, ``command:``), True
        (ask the person) or False (none). A username of None is the login name of the local user.
    cache : Cache or str, optional
        Where results are kept, for the methods that do.
    cache_namespace : str, optional
        The namespace to use there; by default "<class name>.<name>".

    Notes
    -----
    A subclass gives `PROTOCOLS`, `DUCT_TYPE` and the hooks ``_connect``, ``_is_connected`` and
    ``_disconnect``; ``_init`` takes its own arguments and ``_prepare`` may be extended. Every public
    operation of a subclass calls `connect` first, which costs next to nothing when it is connected.
    """

    class Type(enum.Enum):
        """The kinds of service, in the order in which a registry loads them."""

        REMOTE = "remotes"
        FILESYSTEM = "filesystems"
        CACHE = "caches"
        RESTFUL = "rest_clients"
        DATABASE = "databases"
        OTHER = "other"

    AUTO_LOGGING_SCOPE: ClassVar[bool] = False
    DUCT_TYPE: ClassVar[Duct.Type] = Type.OTHER
    PROTOCOLS: ClassVar[list[str]] = []
    DEFAULT_PORT: ClassVar[int | None] = None

    connection_fields: tuple[str, ...] | list[str] = ("host", "port", "remote", "username", "password")
    prepared_fields: tuple[str, ...] | list[str] = ("_host", "_port", "_username", "_password")

    CONNECT_TIMEOUT: ClassVar[float] = 10.0
    """Seconds that the service has to answer when connecting."""
    CHECK_TIMEOUT: ClassVar[float] = 2.0
    """Seconds within which `is_connected` answers."""
    PROBE_AFTER_IDLE: ClassVar[float] = 1.0
    """Seconds without use after which the next use checks the connection first."""

    ASKED_FIRST: ClassVar[tuple[str, ...]] = ("username", "password")
    """What the person is asked for before it connects, where it is True; the rest only when it is needed."""

    _arguments: dict[str, Any]
    _prepared: bool
    _preparing: bool
    _prepare_lock: threading.RLock
    _originals: dict[str, object]
    _answers: dict[str, Secret | None]
    _life: Lifecycle
    _login_refused = False
    """Whether the service has refused a login that the person typed, and none since was taken."""
    __opened = False  # whether `_connect` was called, and there may be something to close
    __made: Mapping[str, object] = MappingProxyType({})
    """What `_connect` set, with what was there before."""

    host = fields.host
    port = fields.port
    remote = fields.remote
    cache = fields.cache
    username = fields.username
    password = fields.password

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        protocols.register(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make what `__init__` fills."""
        self = super().__new__(cls)
        self.__dict__.update(  # here, as a subclass may set and read fields before it calls `__init__`
            _arguments=copies.named_arguments(cls, args, kwargs),
            _prepared=False,
            _preparing=True,  # while constructing, reading a field prepares nothing
            _prepare_lock=threading.RLock(),
            _originals={},
            _answers={},
            _life=Lifecycle(),
        )
        return self

    def __init__(
        self,
        protocol: str | None = None,
        name: str | None = None,
        registry: DuctRegistry | None = None,
        remote: RemoteClient | str | None = None,
        host: Host = None,
        port: Port = None,
        username: Credential = None,
        password: Credential = None,
        cache: Duct | str | None = None,
        cache_namespace: str | None = None,
        **own_arguments: Any,
    ) -> None:
        self.protocol = protocol
        self.name = name or type(self).__name__
        self.registry = registry
        self.cache_namespace = cache_namespace or f"{type(self).__name__}.{self.name}"
        self._remote, self._host, self._port, self._cache = remote, host, port, cache
        self._username, self._password = username, cast(Credential, Secret.wrap(password))
        password = self._password  # the local too: a traceback may show it
        arguments.check(self, own_arguments)
        self._init(**own_arguments)
        fields.watch(self)
        self._preparing = False
        cleanup.note(self)

    # What a subclass supplies

    def _init(self) -> None:  # noqa: B027
        """Take the class's own arguments; called at the end of construction. It must not connect."""

    def _before_disconnect(self) -> None:  # noqa: B027
        """End what uses the connection; called before ``_disconnect``."""

    @abstractmethod
    def _connect(self) -> None:
        """Connect to `self.host` and `self.port`."""

    @abstractmethod
    def _is_connected(self) -> bool:
        """Whether the connection still works, asking the service when there is one."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection."""

    # Protocols

    @classmethod
    def for_protocol(cls, protocol: str) -> functools.partial[Duct]:
        """The class for a protocol, with the protocol filled in.

        Raises
        ------
        DuctProtocolUnknown
            No class offers it; near misses are named.
        """
        return functools.partial(protocols.find(protocol), protocol=protocol)

    # Preparing

    def prepare(self) -> None:
        """Make the fields ready for use, if they are not: names are looked up, callables are called.

        Called before any of the `connection_fields` is read.
        """
        if self._prepared:
            return
        with self._prepare_lock:
            if self._prepared or self._preparing:
                return
            self._preparing = True
            try:
                for field in (*self.prepared_fields, "_remote", "_cache"):
                    self._originals.setdefault(field, fields.raw(self, field))
                self._prepare()
                self._prepared = True
            except BaseException:
                self.__restore()
                raise
            finally:
                self._preparing = False

    def _prepare(self) -> None:
        """Look up `remote` and `cache`, call the callables in `prepared_fields`, settle host and port."""
        fields.check_registry(self)
        self._remote = fields.look_up(self, "remote", self._remote)
        self._cache = fields.look_up(self, "cache", self._cache)
        for field in self.prepared_fields:
            value = fields.raw(self, field)
            if callable(value) and not isinstance(value, type):
                setattr(self, field, value(self))
        self._password = cast(Credential, Secret.wrap(self._password))
        endpoints.settle(self)

    def __restore(self) -> None:
        """Put back what `prepare` replaced."""
        for field, value in self._originals.items():
            object.__setattr__(self, field, value)
        self._originals.clear()
        self._prepared = False

    def reset(self) -> Self:
        """Disconnect, forget prompted and looked-up logins, and undo `prepare`.

        Returns
        -------
        Duct
            This duct.
        """
        try:
            self.disconnect()
        finally:
            with self._prepare_lock:
                fields.forget_answers(self)
                self.__restore()
        return self

    def __setattr__(self, name: str, value: Any) -> None:
        assign = functools.partial(super().__setattr__, name, value)
        if name in self.connection_fields:
            fields.change(self, name, value, assign)
        else:
            assign()
        if name == "connection_fields":
            fields.watch(self)

    # Connecting

    @functools.cached_property  # not a data descriptor: a subclass may use the name for something of its own
    def status(self) -> DuctStatus:
        """The state, as traits to observe: `state`, `last_error`, `since`, `running`."""
        return self._life.status

    def connect(self) -> Self:
        """Connect, unless it is connected. Threads that need it at once share one attempt.

        Returns
        -------
        Duct
            This duct.

        Raises
        ------
        DuctServerUnreachable
            Nothing answers at the host and port.
        DuctAuthenticationError
            The login was refused. One that the person typed is asked for again, twice.
        DuctConnectionError
            Anything else; the driver's own error is chained.
        """
        life = self._life
        if life.in_use(self.PROBE_AFTER_IDLE) or life.leads():
            life.touch()
            return self
        begun = life.cancels
        if life.state == CONNECTED:
            self.is_connected()
        if life.state == LOST:
            life.share_disconnect(self.__undo, when=LOST)
        for refusals in range(3):
            used = self.__gather()
            try:
                take_over = functools.partial(credentials.take_over, self)
                life.share_connect(self.name, self.__open, self.__undo, begun, take_over)
                self._login_refused = False
                return self
            except DuctAuthenticationError:
                self._login_refused = self.__forget_refused(used)
                if not self._login_refused or refusals == 2:
                    raise
        raise AssertionError("the last refusal is raised")

    def __gather(self) -> dict[str, Secret | None]:
        """Connect the remote and ask for the login, before the attempt: nobody is asked inside it."""
        if self._life.state == CONNECTED:
            return {}
        try:
            self.prepare()
            if isinstance(self._remote, Duct):
                self._remote.is_connected()  # however lately it was used: a lost one is to heal first
                self._remote.connect()
            for field in self.ASKED_FIRST:
                if getattr(self, f"_{field}") is True:
                    fields.credential(self, field)
            return dict(self._answers)
        except Exception as error:
            failure = failures.of_connecting(self, error)
        self._life.fail(str(failure))
        raise failure  # not from within `except`, where Python would chain the driver's frames to it

    def __forget_refused(self, used: dict[str, Secret | None]) -> bool:
        """Forget typed answers that were refused; False when none was typed."""
        typed = [f for f in ("username", "password") if getattr(self, f"_{f}") is True and f in used]
        with self._prepare_lock:
            for field in typed:
                if self._answers.get(field) is used[field]:  # else somebody was asked again already
                    del self._answers[field]
        return bool(typed)

    def __open(self) -> None:
        """One attempt: check that something answers, then let the subclass connect."""
        if self.__opened:  # it was lost a moment ago, or closing it was interrupted
            self.__undo()
        try:
            self.__find_service()
            self.__opened = True
            before = dict(self.__dict__)
            self._connect()
            now = self.__dict__.items()
            self.__made = {n: before.get(n, _NOTHING) for n, v in now if before.get(n, _NOTHING) is not v}
            return
        except Exception as error:
            endpoints.choose_again(self)
            failure = failures.of_connecting(self, error)
        except BaseException as interruption:
            raise interruption.with_traceback(None) from None  # the driver's frames hold logins
        raise failure

    def __find_service(self) -> None:
        self.prepare()
        reason = self._unreachable(self.CONNECT_TIMEOUT)
        if reason and endpoints.choose_again(self):
            self.prepare()
            reason = self._unreachable(self.CONNECT_TIMEOUT)
        if reason:
            raise DuctServerUnreachable(
                f"{self.name}: nothing can be reached at {endpoints.where(self)}: {reason}"
            )

    def __undo(self) -> None:
        """Take back what a failed or unwanted attempt left, or a duct that nobody holds any more."""
        try:
            self.__close()
        except Exception as error:
            failures.log(self, "cleaning up", error)

    def _unreachable(self, timeout: float) -> str:
        """Why the service cannot be reached, end to end; empty when it can, or has no host and port."""
        return endpoints.unreachable(self, timeout)

    def is_connected(self) -> bool:
        """Whether it is connected, checked end to end within 2 seconds.

        A duct with a statement under way is connected: the check never touches a busy connection. It
        never connects and never asks the person.
        """
        return self._prepared and self._life.check(lambda: failures.of_check(self))

    def disconnect(self) -> Self:
        """Disconnect, and give the port forward back. Connecting in another thread is cancelled.

        Returns
        -------
        Duct
            This duct.
        """
        if self._life.leads():
            return self
        try:
            self._life.share_disconnect(self.__close if self._life.state == CONNECTED else self.__undo)
            return self
        except Exception as error:
            failure = failures.of_disconnecting(self, error)
        raise failure

    def __close(self) -> None:
        try:
            self._before_disconnect()
        finally:
            try:
                if self.__opened:
                    self._disconnect()
            finally:
                self.__opened = False
                self._give_back_forward()

    def _give_back_forward(self) -> None:
        remote = self.__dict__.get("_remote")
        if isinstance(remote, Duct):
            cast("RemoteClient", remote).port_forward_release(self)

    def _after_fork(self) -> None:
        """Be disconnected in a forked child, without a word to the service."""
        self.__dict__.pop("status", None)
        self._life = Lifecycle()
        self._prepare_lock = threading.RLock()
        self._preparing = False
        for name, value in self.__made.items() if self.__opened else ():
            if value is _NOTHING:
                self.__dict__.pop(name, None)
            else:
                self.__dict__[name] = value  # else a hook might close the parent's connection
        self.__opened = False

    def reconnect(self) -> Self:
        """Disconnect, then connect.

        Returns
        -------
        Duct
            This duct.
        """
        try:
            self.disconnect()
        except DuctError as error:  # it is disconnected all the same
            failures.log(self, "reconnecting", error)
        return self.connect()

    # Words for people, and copies. They read raw values only: they never prepare, ask or connect.

    def __repr__(self) -> str:
        protocol = f" {self.protocol}" if self.protocol else ""
        where = endpoints.where(self)
        at = f" at {where}" if where else ""
        return f"<{type(self).__name__} {self.name!r}:{protocol}{at}, {self._life.state}>"

    def _secrets_besides(self) -> Iterable[str]:
        """What no error may show beside the login."""
        return ()

    def _usual_port(self, host: str | None) -> int | None:
        """The port of a host that is given without one."""
        return self.DEFAULT_PORT

    def _real_host(self, host: str) -> str:
        """The host that a name stands for, where a file of the person's has names."""
        return host

    def _location(self) -> str:
        """Where a service without a host is (a file, say), from raw values only."""
        return ""

    def _arguments_now(self) -> dict[str, Any]:
        """What the constructor would be called with for a duct like this one."""
        return copies.arguments_now(self)

    def __reduce_ex__(self, version: Any) -> tuple[Any, ...]:
        return copies.rebuild, (type(self), copies.arguments_for_copy(self, pickled=True))

    def __copy__(self) -> Self:
        return cast("Self", copies.rebuild(type(self), copies.arguments_for_copy(self, pickled=False)))

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return cast("Self", copies.rebuild_deeply(self))

    def __del__(self) -> None:
        values = self.__dict__
        constructed = values.get("_preparing") is False
        if constructed and (self.__opened or isinstance(values["_remote"], Duct)) and cleanup.may_clean():
            cleanup.in_time(self, self.__undo)
