"""Column types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Dialect, make_url

from outrider.center.store.columns import Json

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    # A NUL travels escaped, so that PostgreSQL keeps it too.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)

_DIALECTS = [make_url(name + "://").get_dialect()() for name in ("sqlite", "postgresql+asyncpg")]


@given(value=_JSON)
@pytest.mark.parametrize("dialect", _DIALECTS, ids=lambda dialect: dialect.name)
def test_json_comes_back_as_it_was(dialect: Dialect, value: object) -> None:
    """Whatever JSON can hold is stored as text without a NUL and read back equal; nothing is NULL."""
    stored = Json().process_bind_param(value, dialect)
    assert (stored is None) == (value is None)
    assert stored is None or "\0" not in stored
    assert Json().process_result_value(stored, dialect) == value


def test_what_json_can_t_hold_is_refused() -> None:
    """A value that would not come back is an error where it is given."""
    with pytest.raises(TypeError):
        Json().process_bind_param(object(), _DIALECTS[0])
