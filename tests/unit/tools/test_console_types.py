"""The API's types for the console."""

from typing import Any

from tools.console.types import write


def test_each_kind_of_schema_has_its_type() -> None:
    """Optional fields, unions, lists, maps, words and references come out as TypeScript has them."""
    schemas: dict[str, dict[str, Any]] = {
        "Role": {"type": "string", "enum": ["viewer", "admin"]},
        "a.View": {
            "type": "object",
            "description": "A view.\n\nMore.",
            "required": ["role", "at", "names"],
            "properties": {
                "role": {"$ref": "#/components/schemas/Role"},
                "at": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
                "names": {"type": "array", "items": {"type": "string"}},
                "last-seen": {"type": "number"},
                "data": {"type": "object", "additionalProperties": {}},
                "t": {"const": "tags"},
            },
        },
    }
    assert write(schemas).splitlines()[2:] == [
        'export type Role = "viewer" | "admin";',
        "",
        "/** A view. */",
        "export type a_View = {",
        "  role: Role;",
        "  at: number | null;",
        "  names: (string)[];",
        '  "last-seen"?: number;',
        "  data?: Record<string, unknown>;",
        '  t?: "tags";',
        "};",
    ]
