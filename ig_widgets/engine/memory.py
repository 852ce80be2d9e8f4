"""Free memory of a device, and errors that say that it was not enough."""

from __future__ import annotations

import os
from pathlib import Path as FilePath

import torch


def free_memory(device: torch.device) -> int | None:
    """Returns the free bytes of `device`, None where they are not known."""
    if device.type == "cuda":
        # What torch holds and does not use is free to us as well.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0] + held)
    amounts = [_available_on_machine(), _available_in_group(), _available_to_process()]
    return min((amount for amount in amounts if amount is not None), default=None)


def _available_on_machine() -> int | None:
    try:
        for line in FilePath("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None


def _available_in_group() -> int | None:
    try:
        group = FilePath("/sys/fs/cgroup")
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def _available_to_process() -> int | None:
    """What `ulimit -v` leaves, where it is set."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(FilePath("/proc/self/statm").read_text().split()[0])
        return None if limit == resource.RLIM_INFINITY else limit - pages * resource.getpagesize()
    except (ImportError, OSError, ValueError):
        return None


# How torch's allocator, C++ and oneDNN say it; the last where there is no room for its code, or for its scratch memory.
_FULL = ("can't allocate memory", "std::bad_alloc", "could not create a primitive", "could not create a memory object")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on any device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # oneDNN says "could not create a primitive descriptor ..." of what it cannot do at all.
    return isinstance(error, RuntimeError) and any(
        says(error, words) and not says(error, f"{words} descriptor") for words in _FULL
    )


def says(error: BaseException, words: str) -> bool:
    """Whether `words` are in the text of `error`; not where its text, made by a stranger's code, is not available."""
    try:
        return words in str(error)
    except Exception:  # noqa: BLE001
        return False
