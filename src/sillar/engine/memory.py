"""How much memory this process may still take: the machine's, the cgroup's and its own limits' word."""

from __future__ import annotations

import resource
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes that can be allocated without swapping; a very large number where the system does not say."""
    return min(_machine_available(), _cgroup_available(), _process_available())


def _process_available() -> int:
    """What RLIMIT_AS and RLIMIT_DATA (ulimit -v, -d) leave."""
    space, data = resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_DATA)[0]
    if space == data == resource.RLIM_INFINITY:
        return 1 << 62
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 1 << 62
    limits = [(limit, int(pages[field])) for limit, field in ((space, 0), (data, 5)) if limit >= 0]
    return min(max(0, limit - used * resource.getpagesize()) for limit, used in limits)


def _machine_available() -> int:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 1 << 62


def _cgroup_available() -> int:
    """cgroup v2: the limit less what is used, where reclaimable file pages do not count as used."""
    folder = _CGROUP / _own_cgroup()
    least = 1 << 62
    while True:
        least = min(least, _room(folder))
        if folder in (_CGROUP, folder.parent):
            return least
        folder = folder.parent


def _own_cgroup() -> str:
    try:
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                return line[3:].strip().lstrip("/")
    except OSError:
        pass
    return ""


def _room(folder: Path) -> int:
    try:
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return 1 << 62
        used = int((folder / "memory.current").read_text())
        for line in (folder / "memory.stat").read_text().splitlines():
            name, value = line.split()
            if name == "inactive_file":
                used -= int(value)
        return max(0, int(limit) - used)
    except (OSError, ValueError):
        return 1 << 62
