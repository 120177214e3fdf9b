"""Rules that every table follows."""

import pytest
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from outrider.center.store.schema import commands, metadata
from outrider.domain.command_states import ACTIVE


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_a_parent_is_deleted_without_reading_whole_tables(table: Table) -> None:
    """Every foreign key is the beginning of an index, or of a key, which has one."""
    keys = [key for key in table.constraints if isinstance(key, PrimaryKeyConstraint | UniqueConstraint)]
    beginnings = [[column.name for column in index.columns] for index in (*table.indexes, *keys)]
    for key in table.constraints:
        if isinstance(key, ForeignKeyConstraint):
            wanted = [column.name for column in key.columns]
            assert any(beginning[: len(wanted)] == wanted for beginning in beginnings)


def test_the_index_of_active_commands_knows_every_active_state() -> None:
    """The condition is written in SQL: it names exactly the states that are not final."""
    index = next(index for index in commands.indexes if index.name == "ix_commands_active")
    for dialect in ("sqlite", "postgresql"):
        condition = str(index.dialect_options[dialect]["where"])
        words = set(condition.split("'")[1::2])
        assert words == {state.value for state in ACTIVE}
