"""A Dovecot of our own: a real IMAP server, spoken to by TLS."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from imapclient import IMAPClient

from devstack.stack import free_port
from shared.runtime.settings import tls_of
from tests.suites.certificates import Authority

PASSWORD = 'a password with blanks "and" signs \\ of æøå'
USER = "complaints@example.org"
READY_S = 20.0

CONFIG = """
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
listen = 127.0.0.1
ssl = required
ssl_cert = <{pem}
ssl_key = <{pem}
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
mail_location = maildir:{folder}/mail/%u
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
disable_plaintext_auth = yes
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """A server that runs; tests put mails into a mailbox and look where they lie."""

    def __init__(self, folder: Path, ca: Path) -> None:
        self.folder = folder
        self.ca = ca
        self.port = free_port()
        #: Where a client begins without TLS.
        self.plain_port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        dovecot = shutil.which("dovecot") or "/usr/sbin/dovecot"
        words = [dovecot, "-F", "-c", str(self.folder / "dovecot.conf")]
        # A group of its own, so that its children end with it.
        self.process = subprocess.Popen(words, start_new_session=True)
        until = time.monotonic() + READY_S
        while True:
            try:
                with self.client():
                    return
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until, (self.folder / "log").read_text()
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop, also the sessions that are open."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=10)
        self.process = None

    @contextmanager
    def client(self, user: str = USER) -> Iterator[IMAPClient]:
        """A client of the test's own."""
        client = IMAPClient("127.0.0.1", self.port, ssl_context=tls_of(self.ca), timeout=10)
        with client:
            client.plain_login(user, PASSWORD)
            yield client

    def put(self, *mails: bytes, user: str = USER, folder: str = "INBOX") -> None:
        """Deliver mails."""
        with self.client(user) as client:
            for mail in mails:
                client.append(folder, mail)

    def lying(self, folder: str = "INBOX", user: str = USER) -> list[bytes]:
        """The mails in a folder, whole; none where there is no such folder."""
        with self.client(user) as client:
            if not client.folder_exists(folder):
                return []
            client.select_folder(folder, readonly=True)
            uids = client.search()
            found = client.fetch(uids, ["BODY.PEEK[]"])
            return [found[uid][b"BODY[]"] for uid in sorted(found)]

    def account(self, user: str = USER, **more: object) -> dict[str, object]:
        """The entry of a file of accounts."""
        return {
            "host": "127.0.0.1",
            "port": self.port,
            "username": user,
            "password_file": str(self.folder / "password"),
            "ca": str(self.ca),
            **more,
        }


def _somebody(*names: str) -> tuple[str, str]:
    """A user of this machine and their group: as root one without rights, else ourselves."""
    if os.getuid() != 0:
        own = pwd.getpwuid(os.getuid())
        return own.pw_name, grp.getgrgid(own.pw_gid).gr_name
    for name in names:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return name, grp.getgrgid(found.pw_gid).gr_name
    pytest.skip(f"no user {' or '.join(names)} on this machine")


@contextmanager
def dovecot(capability: str = "") -> Iterator[Dovecot]:
    """A running server in a folder of its own, which says that it can do this alone; skips where none is installed.

    Not in the folder of the test: its processes without rights must get there, and pytest closes that to others.
    """
    if shutil.which("dovecot") is None and not Path("/usr/sbin/dovecot").exists():
        pytest.skip("no dovecot: `apt-get install dovecot-imapd`")
    internal, internal_group = _somebody("dovecot")
    login, _ = _somebody("dovenull")
    user, group = _somebody("nobody")
    with TemporaryDirectory(prefix="dovecot-") as name:
        folder = Path(name)
        server = _made(folder, (internal, internal_group, login, user, group))
        with (folder / "dovecot.conf").open("a", encoding="utf-8") as config:
            config.write(f"imap_capability = {capability}\n" if capability else "")
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _made(folder: Path, users: tuple[str, str, str, str, str]) -> Dovecot:
    """A server that is configured and not started."""
    internal, internal_group, login, user, group = users
    authority = Authority(folder)
    server = Dovecot(folder, authority.ca)
    pem = authority.server("imap")
    for name in ("run", "state", "mail"):
        (folder / name).mkdir()
    if os.getuid() == 0:
        # Its processes without rights walk to their folders through those of the test.
        shutil.chown(folder / "mail", user, group)
        folder.chmod(0o711)
    (folder / "log").touch()
    (folder / "log").chmod(0o666)
    (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (folder / "users").write_text(
        "".join(f"{name}:{{PLAIN}}{PASSWORD}\n" for name in (USER, "returns@example.org")),
        encoding="utf-8",
    )
    (folder / "users").chmod(0o644)
    values = {
        "folder": folder, "pem": pem, "port": server.port, "plain_port": server.plain_port, "internal": internal,
        "internal_group": internal_group, "login": login, "user": user, "group": group,
    }  # fmt: skip
    (folder / "dovecot.conf").write_text(CONFIG.format(**values), encoding="utf-8")
    return server
