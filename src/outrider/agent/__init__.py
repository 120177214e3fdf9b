"""The daemon on a host; `app` is its composition root."""
