"""The order of the roles, and the error tree as its own module draws it."""

import re

from outrider.domain import errors
from outrider.domain.roles import Role


def test_each_role_holds_those_before_it() -> None:
    """Viewer, operator, admin, super admin."""
    order = [Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.SUPER_ADMIN]
    assert list(Role) == order
    for rank, role in enumerate(order):
        assert [role.covers(needed) for needed in order] == [other <= rank for other in range(4)]


def _classes() -> dict[str, type[errors.OutriderError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.OutriderError)
    }


def test_the_tree_is_drawn_as_it_is() -> None:
    """The picture at the head of the module names each error below its parent."""
    drawn: dict[str, str] = {}
    above: dict[int, str] = {0: "OutriderError"}
    for line in (errors.__doc__ or "").splitlines():
        branch = re.match(r"^    ([│ ├└─]+)(\w+)", line)
        if branch:
            depth = len(branch[1]) // 4
            above[depth] = branch[2]
            drawn[branch[2]] = above[depth - 1]
    classes = _classes()
    del classes["OutriderError"]
    real = {name: kind.__base__.__name__ for name, kind in classes.items() if kind.__base__}
    assert drawn == real


def test_codes_are_stable_words_of_their_own() -> None:
    """Clients match on them: each is one word of its own."""
    codes = [kind.code for kind in _classes().values()]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z_]+", code) for code in codes)


def test_an_error_has_a_sentence_and_facts() -> None:
    """`detail` for people, `fields` for programs."""
    error = errors.TooLarge("Too much.", limit=5)
    assert (str(error), error.detail, error.fields) == ("Too much.", "Too much.", {"limit": 5})
