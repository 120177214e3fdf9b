"""`GET` and `PATCH /api/v3/tags`: this host's NAME=value tags."""

from typing import Annotated

import msgspec
from msgspec import Meta

from outrider.agent.local import web
from outrider.agent.local.calls import Call
from outrider.agent.local.client.answers import Done, as_json, object_in
from outrider.agent.tags import AgentTags
from outrider.domain.errors import Invalid
from outrider.domain.tags import MAX_TAGS


class TagShown(msgspec.Struct, frozen=True):
    """One tag; an empty value is a value."""

    name: str
    value: str


class TagList(msgspec.Struct, frozen=True):
    """What is shown, and what is sent to be set."""

    tags: Annotated[list[TagShown], Meta(max_length=MAX_TAGS)]


class HostTags:
    """Shows and sets the tags."""

    def __init__(self, tags: AgentTags) -> None:
        self._tags = tags

    async def show(self, call: Call) -> web.StreamResponse:
        """Answer `GET /api/v3/tags`."""
        return as_json(TagList([TagShown(name, value) for name, value in self._tags.all().items()]))

    async def change(self, call: Call) -> web.StreamResponse:
        """Answer `PATCH /api/v3/tags` once all of them are on this host's disk; or none is set."""
        try:
            sent = msgspec.convert(await object_in(call), TagList)
        except msgspec.ValidationError as error:
            raise Invalid(
                f'The body must be {{"tags": [{{"name": NAME, "value": VALUE}}, ...]}}: {error}.'
            ) from error
        await self._tags.change({tag.name: tag.value for tag in sent.tags})
        return as_json(Done())
