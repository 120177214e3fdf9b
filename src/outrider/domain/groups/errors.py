"""What can be wrong with a sorting rule, told with the place in its text."""

from outrider.domain.targets.errors import MisreadExpression


class InvalidSortingRule(MisreadExpression):
    """A group's sorting rule that can't be read."""

    code = "invalid_sorting_rule"
