"""A throwaway JupyterLab, or Notebook 7."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import ClassVar

from tests.services.kernels import SOURCE
from tests.services.processes import Service

QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}


class Jupyter(Service):
    """A Jupyter server without a login, whose kernels have the package of this run.

    Parameters
    ----------
    config : str
        The ``ipython_config.py`` of its kernels.
    settings : dict of str to dict, optional
        Of its extensions, as ``@jupyterlab/apputils-extension:themes``.
    """

    PROTOCOL = "jupyter"
    UNPRIVILEGED = False
    APPS: ClassVar[dict[str, tuple[str, str]]] = {
        "lab": ("jupyterlab", "LabApp"),
        "notebook": ("notebook", "JupyterNotebookApp"),
    }

    def __init__(
        self, app: str = "lab", config: str = "", settings: dict[str, dict[str, object]] | None = None
    ):
        super().__init__()
        self.is_lab = app == "lab"
        self._module, self._class = self.APPS[app]
        self._config = config
        self._settings = {**(QUIET if self.is_lab else {}), **(settings or {})}

    def find_programs(self) -> None:
        __import__(self._module)

    def make_data(self) -> None:
        for folder in ("notebooks", "config/labconfig", "ipython/profile_default"):
            (self.home / folder).mkdir(parents=True)
        self.notebooks = self.home / "notebooks"
        text = json.dumps(self._settings)
        (self.home / "config/labconfig/default_setting_overrides.json").write_text(text)
        (self.home / "ipython/profile_default/ipython_config.py").write_text(self._config)

    def make_users(self) -> None:
        """Nobody logs in."""

    def environment(self) -> dict[str, str]:
        home = self.home
        return {
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
            "IPYTHONDIR": str(home / "ipython"),
            "PYTHONPATH": str(SOURCE),
            "LC_ALL": "C.UTF-8",
        }

    def command(self) -> list[str]:
        return [
            *(sys.executable, "-m", self._module, "--no-browser", "--allow-root"),
            *(f"--ServerApp.ip={self.host}", f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"),
            *("--IdentityProvider.token=", "--PasswordIdentityProvider.hashed_password="),
            "--ServerApp.disable_check_xsrf=True",
            f"--ServerApp.root_dir={self.notebooks}",
            f"--{self._class}.expose_app_in_browser=True",
        ]

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self.host}:{self.port}"

    def end_kernels(self) -> None:
        """End the kernels of all notebooks."""
        with urllib.request.urlopen(f"{self.url}/api/sessions", timeout=10) as response:
            sessions = json.load(response)
        for session in sessions:
            request = urllib.request.Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=10).close()

    def probe(self) -> None:
        with urllib.request.urlopen(f"{self.url}/api/status", timeout=5) as response:
            assert response.status == 200
