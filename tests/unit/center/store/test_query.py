"""What SQLite makes of our statements."""

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from outrider.center.store.query import one_of
from outrider.center.store.schema import group_members, metadata


def test_a_list_is_found_by_the_index() -> None:
    """Beside other conditions, too: a walk through the table would take longer with every row in it."""
    engine = sa.create_engine("sqlite://")
    metadata.create_all(engine)
    for conditions in ((), (group_members.c.by_rule,), (group_members.c.by_hand == sa.false(),)):
        query = sa.select(group_members.c.group_id).where(
            one_of(group_members.c.agent_id, "ids"), *conditions
        )
        text = str(query.compile(dialect=sqlite.dialect()))
        with engine.connect() as conn:
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[]",)).all()
        assert any("SEARCH group_members USING INDEX" in row.detail for row in plan), (text, plan)
    engine.dispose()
