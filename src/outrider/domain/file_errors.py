"""What can go wrong with a host's files, beside what domain.errors has.

PathRefused is a Forbidden: the path leads where the host's policy, or the rules for all hosts, let nobody go.
NotAFile and NotAFolder are Invalid; FileExists, FileChanged, FolderNotEmpty and FileBusy a Conflict.
"""

from outrider.domain.errors import Conflict, Forbidden, Invalid, OutriderError


class PathRefused(Forbidden):
    """The path leads where the host lets nobody go. `fields`: path."""

    code = "path_refused"


class NotAFile(Invalid):
    """A folder is there where a file is needed. `fields`: path."""

    code = "not_a_file"


class NotAFolder(Invalid):
    """Something that is no folder is there where a folder is needed. `fields`: path."""

    code = "not_a_folder"


class FileExists(Conflict):
    """Something is there already, and nothing was to be overwritten. `fields`: path."""

    code = "file_exists"


class FileChanged(Conflict):
    """The file changed, shrank or went while it was read. `fields`: path."""

    code = "file_changed"


class FolderNotEmpty(Conflict):
    """There is something in a folder that was to be deleted or replaced as an empty one. `fields`: path."""

    code = "folder_not_empty"


class FileBusy(Conflict):
    """The host is using it: a file system is mounted there, or a program holds it. `fields`: path."""

    code = "file_busy"


class RangeNotSatisfiable(OutriderError):
    """The part that was asked for lies beyond the file's end. `fields`: size."""

    code = "range_not_satisfiable"
