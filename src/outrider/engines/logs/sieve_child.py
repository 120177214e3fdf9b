"""The program that matches a pattern, given as its argument, in a process of its own.

It reads batches from standard input - four bytes of length, then that many bytes of lines - and answers each
on standard output with one byte a line, 1 where the pattern is found. It ends when its input does.
"""

import re
import struct
import sys
from typing import BinaryIO, Final

LENGTH: Final = struct.Struct(">I")
BAD_PATTERN: Final = 3
"""The exit code for a pattern that can't be read; standard error says why."""


def main(pattern: str, source: BinaryIO, sink: BinaryIO) -> int:
    """Answer batches until there are no more; returns the exit code."""
    try:
        search = re.compile(pattern).search
    except (re.error, OverflowError, RecursionError) as error:
        sys.stderr.write(str(error))
        return BAD_PATTERN
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        lines = source.read(*LENGTH.unpack(head)).decode("utf-8", "replace").split("\n")
        sink.write(bytes([search(line) is not None for line in lines]))
        sink.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer))
