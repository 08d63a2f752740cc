"""The built files, read once at the start: a path is a name in a table, so none leads out of the folder."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.web.sessions.rules import FACES
from shared.runtime.http.answers import tag_of
from shared.runtime.observe import log

#: Of each face, in its folder: the page that shows every path below it.
INDEX = "index.html"
#: A build is of some hundred files and well below this; more is no build.
FILES_MAX = 2_000
BYTES_MAX = 32 * 1024 * 1024
#: A name with the hash of what is in it, as the build writes it: another content has another name.
HASHED = re.compile(r".*-[A-Za-z0-9_-]{8,}\.[a-z0-9]+")
#: What the table of the system may not know.
KINDS = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}


@dataclass(frozen=True, slots=True)
class File:
    """One built file, and its twin that was compressed by gzip, if there is one."""

    content: bytes
    kind: str
    tag: str
    hashed: bool
    zipped: bytes | None = None


class Built:
    """The files of a build by their path."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder, which blocks; raises ValueError for one that is no build."""
        self._files = read(folder)
        if not self._files:
            log.warning("web_not_built", folder=str(folder))

    @property
    def empty(self) -> bool:
        """Whether nothing was built."""
        return not self._files

    def find(self, path: str) -> File | None:
        """The file of a path; for a path of a face without a file, the page of the face."""
        name = path.strip("/")
        if (found := self._files.get(name)) is not None:
            return found
        face, _, rest = name.partition("/")
        if face in FACES and "." not in rest.rpartition("/")[2]:
            return self._files.get(f"{face}/{INDEX}")
        return None


def read(folder: Path) -> Mapping[str, File]:
    """Every file below a folder, by its path in it; none if there is no such folder; raises ValueError."""
    found: dict[str, File] = {}
    held = 0
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.suffix in (".gz", ".br", ".map") or "/." in f"/{name}":
            continue
        content, zipped = path.read_bytes(), path.with_name(path.name + ".gz")
        held += len(content)
        if len(found) >= FILES_MAX or held > BYTES_MAX:
            msg = f"SERVICE_CHECK_WEB_DIST: {folder} holds more than a build"
            raise ValueError(msg)
        found[name] = File(
            content,
            KINDS.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream",
            f"W/{tag_of(content)}",
            HASHED.fullmatch(name) is not None,
            zipped.read_bytes() if zipped.is_file() else None,
        )
    return found
