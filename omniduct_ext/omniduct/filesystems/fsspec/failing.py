"""What fsspec and the libraries below it raise, as errors that say what they are about."""

from __future__ import annotations

import contextlib
import errno
import ftplib
from collections.abc import Iterator

__all__ = ["refused_login", "told_apart"]

_OF_STATUS = {401: errno.EACCES, 403: errno.EACCES, 404: errno.ENOENT, 410: errno.ENOENT}


@contextlib.contextmanager
def told_apart(kind: str) -> Iterator[None]:
    """Turn what is raised within it into an `OSError` with a number, or one of the connection.

    Parameters
    ----------
    kind : str
        fsspec's name of the filesystem.
    """
    try:
        yield
    except NotImplementedError as error:
        raise OSError(errno.EROFS, f"fsspec's {kind!r} cannot do that") from error
    except ftplib.Error as error:
        raise _of_ftp(str(error)) from error
    except FileNotFoundError as error:  # what HTTP says of everything
        raise (_of_http(error.__cause__) or error) from error.__cause__
    except Exception as error:
        raise (_of_http(error) or error) from error.__cause__


def _of_ftp(said: str) -> OSError:
    """An FTP server's reply, as "550 Permission denied."; the codes alone say little."""
    words = said.casefold()
    if said.startswith(("421", "425", "426")):
        return ConnectionError(said)
    for number, hints in {
        errno.EACCES: ("denied", "not permitted", "not enough privileges", "read-only"),
        errno.ENOENT: ("no such", "not found", "does not exist"),
        errno.EEXIST: ("exists",),
        errno.ENOTEMPTY: ("not empty",),
    }.items():
        if any(hint in words for hint in hints):
            return OSError(number, said)
    return OSError(errno.EIO, said)


def _of_http(error: BaseException | None) -> OSError | None:
    """The error of a reply's status, or of a connection; None if it is neither."""
    status = getattr(error, "status", None)
    if isinstance(status, int):
        return OSError(_OF_STATUS.get(status, errno.EIO), f"the server says {status} {error.message}")  # type: ignore[union-attr]
    if any(each.__name__ == "ClientConnectionError" for each in type(error).__mro__):
        return ConnectionError(str(error) or type(error).__name__)
    if type(error).__name__ == "FSTimeoutError":
        return TimeoutError("there is no answer")
    return None


def refused_login(error: BaseException) -> bool:
    """Whether a service has refused the login."""
    if isinstance(error, ftplib.Error):
        return str(error).startswith("530")
    named = {each.__name__ for each in type(error).__mro__}
    return bool(named & {"AuthenticationException", "LogonFailure", "NoCredentialsError"})
