"""`python -m tools.console.types`: the API's types for the console, as a center tells them."""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from outrider.center.app import Center
from outrider.center.blobs.opening import open_blobs
from outrider.center.security.sealing import Sealer, load_master_key
from outrider.center.settings import CenterSettings
from outrider.center.standing import Standing
from outrider.center.store.engine import open_store
from outrider.kit.clock import SystemClock

TYPES: Final = Path(__file__).resolve().parents[2] / "console" / "src" / "api" / "schema.ts"
_REFERENCE: Final = "#/components/schemas/"
_PLAIN: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}
_WORD: Final = re.compile(r"[A-Za-z_$][\w$]*")


async def document() -> Mapping[str, Any]:
    """Build a center on an empty folder, which listens nowhere, and ask it for its OpenAPI document."""
    with tempfile.TemporaryDirectory(prefix="outrider-types-") as folder:
        home, clock = Path(folder), SystemClock()
        store = await open_store(None, home=home, clock=clock)
        try:
            sealer = Sealer(load_master_key(home, None))
            standing, blobs = await Standing.load(store), open_blobs(None, home=home)
            settings = CenterSettings(home=home)
            center = Center(settings, clock, store, standing, blobs, None, sealer)
            schema: Mapping[str, Any] = center.routes.openapi_schema.to_schema()
            return schema
        finally:
            await store.close()


def write(schemas: Mapping[str, Mapping[str, Any]]) -> str:
    """Write one TypeScript type for each schema, in order of name."""
    lines = ["// Made by `./dev console` from the center's OpenAPI document.", ""]
    for name, schema in sorted(schemas.items()):
        lines += [*_comment(schema), f"export type {_name(name)} = {_type(schema)};", ""]
    return "\n".join(lines)


def _comment(schema: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    text = str(schema.get("description") or "").partition("\n\n")[0].replace("\n", " ").replace("*/", "* /")
    if text:
        yield f"{indent}/** {text} */"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _name(schema["$ref"].removeprefix(_REFERENCE))
    if "const" in schema or "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema.get("enum", [schema.get("const")]))
    for union in ("oneOf", "anyOf"):
        if union in schema:
            return " | ".join(dict.fromkeys(_type(each) for each in schema[union]))
    kind = schema.get("type")
    if kind == "array":
        return f"({_type(schema.get('items') or {})})[]"
    if kind == "object":
        return _object(schema)
    return _PLAIN.get(str(kind), "unknown")


def _object(schema: Mapping[str, Any]) -> str:
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
    if not properties:
        return f"Record<string, {_type(schema.get('additionalProperties') or {})}>"
    required = set(schema.get("required") or ())
    lines = ["{"]
    for name, property_ in properties.items():
        key = name if _WORD.fullmatch(name) else json.dumps(name)
        optional = "" if name in required else "?"
        lines += [*_comment(property_, "  "), f"  {key}{optional}: {_type(property_)};"]
    return "\n".join([*lines, "}"])


def _name(name: str) -> str:
    return re.sub(r"\W", "_", name)


def main() -> int:
    """Write the types where the console looks for them, when they are not there already."""
    text = write(asyncio.run(document())["components"]["schemas"])
    if not TYPES.exists() or TYPES.read_text() != text:
        TYPES.parent.mkdir(parents=True, exist_ok=True)
        TYPES.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
