"""System calls that Python does not have: openat2(2), fstatfs(2), renameat2(2), sync_file_range(2)."""

import ctypes
import errno
import os
import stat
import struct
from typing import Final

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

_OPENAT2: Final = 437
"""The same number on every architecture that Python runs on, Alpha apart."""
_RENAME_NOREPLACE: Final = 1
_SYNC_FILE_RANGE_WRITE: Final = 2
_NOT_THERE: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
_STATFS_BYTES: Final = 512
"""More than any architecture's struct statfs."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


def openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    """Open `path` beneath the descriptor `folder`. Raises OSError: ENOSYS before Linux 5.6."""
    mode = 0
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    descriptor: int = _libc.syscall(
        ctypes.c_long(_OPENAT2),
        ctypes.c_int(folder),
        ctypes.c_char_p(path),
        ctypes.c_char_p(how),
        ctypes.c_size_t(len(how)),
    )
    if descriptor < 0:
        raise _error()
    return descriptor


def file_system_kind(descriptor: int) -> int:
    """Return the magic number of the file system that an open file lies on. Raises OSError."""
    buffer = ctypes.create_string_buffer(_STATFS_BYTES)
    while _libc.fstatfs(ctypes.c_int(descriptor), buffer) != 0:
        if ctypes.get_errno() != errno.EINTR:
            raise _error()
    return ctypes.c_ulong.from_buffer(buffer).value & 0xFFFFFFFF


def rename_new(old_folder: int, old: str, new_folder: int, new: str) -> None:
    """Rename from one open folder into another. Raises FileExistsError when `new` is there."""
    names = os.fsencode(old), os.fsencode(new)
    if hasattr(_libc, "renameat2"):
        if _libc.renameat2(old_folder, names[0], new_folder, names[1], _RENAME_NOREPLACE) == 0:
            return
        if ctypes.get_errno() not in _NOT_THERE:
            raise _error()
    # File systems that can't do it in one step can mostly do it in two that are as safe.
    if stat.S_ISDIR(os.stat(old, dir_fd=old_folder, follow_symlinks=False).st_mode):
        os.mkdir(new, 0o700, dir_fd=new_folder)
        try:
            os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)
        except OSError:
            os.rmdir(new, dir_fd=new_folder)
            raise
        return
    os.link(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder, follow_symlinks=False)
    os.unlink(old, dir_fd=old_folder)


def start_writing(descriptor: int, offset: int, size: int) -> None:
    """Ask the kernel to begin writing these bytes to the disk: a hint, which raises nothing."""
    if hasattr(_libc, "sync_file_range"):
        _libc.sync_file_range(
            ctypes.c_int(descriptor),
            ctypes.c_int64(offset),
            ctypes.c_int64(size),
            ctypes.c_uint(_SYNC_FILE_RANGE_WRITE),
        )


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
