"""Routes of hosts' files (seed 002 and its contract)."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, Literal

from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from outrider.center.files.download import ArchiveDownload, FileDownload
from outrider.center.files.names import query_bytes
from outrider.center.files.service import MOST_NAME, MOST_PATH, FileService
from outrider.center.files.views import DeletedView, FiledView, FileView, Listing, Uploaded
from outrider.center.http.callers import Caller, access
from outrider.center.http.downloads import DownloadAnswer
from outrider.center.http.problems import documented
from outrider.domain.errors import Unavailable
from outrider.domain.files import MOST_LISTED
from outrider.domain.ids import AgentId
from outrider.domain.roles import Role

Files = NamedDependency[FileService]
Asked = Request[Caller, Any, Any]
# At four bytes a character, percent-encoded, both together still fit into the head of a request.
PathOnHost = Annotated[str, QueryParameter(min_length=1, max_length=MOST_PATH)]
"""An absolute path on the host. Percent-encoded bytes need not be UTF-8."""
NameOnHost = Annotated[str, QueryParameter(max_length=MOST_NAME)]

_HOST = documented([400, 403, 404, 409, 429, 502, 503])
_DEED = {**_HOST, **documented([507])}


@get(
    "/agents/{agent_id:str}/files",
    opt=access(Role.OPERATOR),
    media_type="application/octet-stream",
    responses={**_HOST, **documented([416])},
)
async def download(
    agent_id: FromPath[str],
    path: PathOnHost,
    request: Asked,
    files: Files,
    archive: Annotated[Literal["tar.gz"] | None, QueryParameter()] = None,
) -> Response[bytes]:
    """Download a file, or with `archive` a folder. Takes Range, If-Range and If-None-Match for files."""
    wanted = _path_of(request, path)
    by = request.user.actor
    if archive is not None:
        return DownloadAnswer(ArchiveDownload(files, AgentId(agent_id), wanted, by))
    return DownloadAnswer(FileDownload(files, AgentId(agent_id), wanted, by, request.headers))


@get("/agents/{agent_id:str}/files/list", opt=access(Role.OPERATOR), responses=_HOST)
async def list_folder(
    agent_id: FromPath[str],
    path: PathOnHost,
    request: Asked,
    files: Files,
    after: NameOnHost = "",
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED)] = MOST_LISTED,
) -> Listing:
    """List a folder by name, page by page."""
    beyond = query_bytes(request.scope["query_string"], "after") or after.encode()
    return await files.list_folder(AgentId(agent_id), _path_of(request, path), after=beyond, limit=limit)


@get("/agents/{agent_id:str}/files/stat", opt=access(Role.OPERATOR), responses=_HOST)
async def look_at(
    agent_id: FromPath[str],
    path: PathOnHost,
    request: Asked,
    files: Files,
    digest: FromQuery[bool] = False,  # noqa: FBT002 (a query parameter has a name)
    length: Annotated[int | None, QueryParameter(ge=0)] = None,
) -> FileView:
    """Describe a file; with `digest` also the BLAKE3 of its content, or of its first `length` bytes."""
    return await files.look_at(AgentId(agent_id), _path_of(request, path), digest=digest, length=length)


@post(
    "/agents/{agent_id:str}/files",
    opt=access(Role.OPERATOR),
    status_code=200,
    request_max_body_size=None,
    responses={**_HOST, **documented([413, 507])},
)
async def upload(agent_id: FromPath[str], request: Asked, files: Files) -> Uploaded:
    """Upload a file as a form with the parts `dest` and `file`, best in this order.

    Also `mode`, `owner`, `overwrite` and `extract` (`tar.gz`: a folder).
    """
    content_type = request.headers.get("content-type", "")
    return await files.upload(
        AgentId(agent_id), content_type, request.content_length, _body(request), request.user.actor
    )


@post("/agents/{agent_id:str}/files/folders", opt=access(Role.OPERATOR), responses=_DEED)
async def make_folder(agent_id: FromPath[str], path: PathOnHost, request: Asked, files: Files) -> FiledView:
    """Make a folder in one that is there."""
    return await files.make_folder(AgentId(agent_id), _path_of(request, path), request.user.actor)


@post("/agents/{agent_id:str}/files/move", opt=access(Role.OPERATOR), status_code=200, responses=_DEED)
async def move(
    agent_id: FromPath[str],
    path: PathOnHost,
    to: PathOnHost,
    request: Asked,
    files: Files,
    replace: FromQuery[bool] = False,  # noqa: FBT002 (a query parameter has a name)
) -> FiledView:
    """Give what is at `path` the name `to`, in its folder or in another one. A link is moved itself."""
    dest = query_bytes(request.scope["query_string"], "to") or to.encode()
    by = request.user.actor
    return await files.move(AgentId(agent_id), _path_of(request, path), dest, by, replace=replace)


@delete("/agents/{agent_id:str}/files", opt=access(Role.OPERATOR), status_code=200, responses=_DEED)
async def remove(
    agent_id: FromPath[str],
    path: PathOnHost,
    request: Asked,
    files: Files,
    recursive: FromQuery[bool] = False,  # noqa: FBT002 (a query parameter has a name)
) -> DeletedView:
    """Delete a file, a link itself, or a folder; one that is not empty only when it is `recursive`."""
    return await files.delete(
        AgentId(agent_id),
        _path_of(request, path),
        request.user.actor,
        recursive=recursive,
        gone=partial(_gone, request),
    )


def _path_of(request: Asked, text: str) -> bytes:
    """Return `path` as the bytes that were sent, which need not be text."""
    return query_bytes(request.scope["query_string"], "path") or text.encode()


async def _body(request: Asked) -> AsyncIterator[bytes]:
    """Give the body as it comes. Raises Unavailable when its sender goes before its end."""
    while True:
        message = await request.receive()
        if message["type"] != "http.request":
            raise Unavailable("The upload's sender went away before its end.")
        if message["body"]:
            yield message["body"]
        if not message["more_body"]:
            return


async def _gone(request: Asked) -> None:
    """Return when whoever asks has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass  # what is left of the request's body


def router() -> Router:
    """Make the room's routes."""
    return Router(
        "/api",
        route_handlers=[download, list_folder, look_at, upload, make_folder, move, remove],
        tags=["files"],
    )
