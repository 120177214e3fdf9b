"""The control center; `app` is its composition root, one room per ability."""
