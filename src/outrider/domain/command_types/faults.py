"""What a type's own rules find wrong with its parameters."""


class ParamFault(ValueError):
    """`field` breaks a rule that its type alone can't say; the text is the reason, without a full stop."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
