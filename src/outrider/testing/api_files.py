"""Hosts' files of the center without a center: kept in memory, by host and path."""

import re
from typing import Any, TypeAlias

from aiohttp import web
from blake3 import blake3

from outrider.domain.errors import HostAway, Invalid, NotFound
from outrider.domain.file_errors import FileExists, FolderNotEmpty, NotAFile, NotAFolder
from outrider.testing.api_access import NOW

Json: TypeAlias = dict[str, Any]


class FakeFiles:
    """The room's state and its handlers. A folder is there once `folders` has it, or a file is in it."""

    def __init__(self, agents: dict[str, Json]) -> None:
        """Take the agents that there are."""
        self._agents = agents
        self.files: dict[tuple[str, str], bytes] = {}
        self.folders: set[tuple[str, str]] = set()

    def routes(self) -> list[web.RouteDef]:
        """The routes of the room."""
        files = "/api/agents/{agent}/files"
        return [
            web.get(files, self._download),
            web.post(files, self._upload),
            web.delete(files, self._delete),
            web.post(files + "/folders", self._make_folder),
            web.post(files + "/move", self._move),
            web.get(files + "/list", self._list),
            web.get(files + "/stat", self._stat),
        ]

    def _agent(self, request: web.Request) -> str:
        agent = self._agents.get(request.match_info["agent"])
        if agent is None:
            raise NotFound(f"There is no agent {request.match_info['agent']}.")
        if agent["status"] != "online":
            raise HostAway("The host is not connected now. Try again when it is online.")
        return str(agent["id"])

    def _path(self, text: str) -> str:
        if not text.startswith("/"):
            raise Invalid(f"{text!r} is no absolute path: begin it with /.", path=text)
        return text.rstrip("/") or "/"

    def _is_folder(self, agent: str, path: str) -> bool:
        inside = path.rstrip("/") + "/"
        return (agent, path) in self.folders or any(
            owner == agent and name.startswith(inside) for owner, name in self.files
        )

    def _view(self, agent: str, path: str) -> Json:
        name = path.rpartition("/")[2]
        common = {"name": name, "uid": 0, "gid": 0, "owner": "root", "group": "root", "modified": float(NOW)}
        content = self.files.get((agent, path))
        if content is not None:
            tag = f'"{blake3(content).hexdigest()[:16]}-{len(content):x}"'
            return {**common, "kind": "file", "size": len(content), "mode": "0644", "etag": tag}
        if self._is_folder(agent, path):
            return {**common, "kind": "folder", "size": 4096, "mode": "0755"}
        raise NotFound(f"There is no {path} on this host.", path=path)

    async def _stat(self, request: web.Request) -> web.Response:
        agent, path = self._agent(request), self._path(request.query["path"])
        view = self._view(agent, path)
        if request.query.get("digest") and view["kind"] == "file":
            content = self.files[agent, path]
            view["blake3"] = blake3(content[: int(request.query.get("length", len(content)))]).hexdigest()
        return web.json_response(view)

    async def _list(self, request: web.Request) -> web.Response:
        agent, path = self._agent(request), self._path(request.query["path"])
        self._view(agent, path)
        inside = path.rstrip("/") + "/"
        known = {name for owner, name in (*self.files, *self.folders) if owner == agent}
        names = sorted({name[len(inside) :].partition("/")[0] for name in known if name.startswith(inside)})
        entries = [self._view(agent, inside + name) for name in names]
        return web.json_response({"path": path, "entries": entries, "next": None})

    async def _download(self, request: web.Request) -> web.Response:
        agent, path = self._agent(request), self._path(request.query["path"])
        view = self._view(agent, path)
        if view["kind"] != "file":
            raise NotAFile(f"{path} is a folder.", path=path)
        content = self.files[agent, path]
        headers = {"ETag": view["etag"], "Content-Type": "application/octet-stream"}
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if wanted and request.headers.get("If-Range", view["etag"]) == view["etag"]:
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return web.Response(status=206, body=content[start:], headers=headers)
        return web.Response(body=content, headers=headers)

    async def _upload(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        form = await request.post()
        file, dest = form["file"], self._path(str(form["dest"]))
        if not isinstance(file, web.FileField):
            raise Invalid("The form has no part `file`.", field="file")
        content = file.file.read()
        if self._is_folder(agent, dest):
            dest = f"{dest.rstrip('/')}/{file.filename}"
        elif not self._is_folder(agent, dest.rpartition("/")[0] or "/"):
            raise NotFound(f"There is no {dest} on this host.", path=dest)
        if form.get("overwrite") == "false" and (agent, dest) in self.files:
            raise FileExists(f"{dest} is there already.", path=dest)
        self.files[agent, dest] = content
        digest = blake3(content).hexdigest()
        return web.json_response({"path": dest, "size": len(content), "blake3": digest})

    def _is_there(self, agent: str, path: str) -> bool:
        return (agent, path) in self.files or self._is_folder(agent, path)

    def _inside(self, agent: str, path: str) -> list[str]:
        inside = path.rstrip("/") + "/"
        known = (*self.files, *self.folders)
        return [name for owner, name in known if owner == agent and name.startswith(inside)]

    def _place(self, agent: str, text: str) -> str:
        path = self._path(text)
        above = path.rpartition("/")[0] or "/"
        if not self._is_folder(agent, above):
            raise NotFound(f"There is no {path} on this host.", path=path)
        return path

    async def _make_folder(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        path = self._place(agent, request.query["path"])
        if self._is_there(agent, path):
            raise FileExists(f"{path} is there already.", path=path)
        self.folders.add((agent, path))
        return web.json_response({"path": path}, status=201)

    async def _move(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        path, to = self._place(agent, request.query["path"]), self._place(agent, request.query["to"])
        is_folder = self._view(agent, path)["kind"] == "folder"
        if self._is_there(agent, to):
            if request.query.get("replace") != "true":
                raise FileExists(f"{to} is there already.", path=to)
            if self._is_folder(agent, to) and not is_folder:
                raise NotAFile(f"{to} is a folder.", path=to)
            if is_folder and not self._is_folder(agent, to):
                raise NotAFolder(f"{to} is no folder.", path=to)
            if self._inside(agent, to):
                raise FolderNotEmpty(f"{to} is a folder that is not empty.", path=to)
        if to.startswith(f"{path}/"):
            raise Invalid(f"{path} can't be moved into itself.", path=to)
        moved = {name: to + name[len(path) :] for name in (path, *self._inside(agent, path))}
        for name, new in moved.items():
            if (agent, name) in self.files:
                self.files[agent, new] = self.files.pop((agent, name))
            if (agent, name) in self.folders:
                self.folders.remove((agent, name))
                self.folders.add((agent, new))
        return web.json_response({"path": to})

    async def _delete(self, request: web.Request) -> web.Response:
        agent = self._agent(request)
        path = self._place(agent, request.query["path"])
        _ = self._view(agent, path)
        inside = self._inside(agent, path)
        if inside and request.query.get("recursive") != "true":
            raise FolderNotEmpty(f"{path} is a folder that is not empty.", path=path)
        for name in (path, *inside):
            _ = self.files.pop((agent, name), None)
            self.folders.discard((agent, name))
        return web.json_response({"path": path, "deleted": 1 + len(inside)})
