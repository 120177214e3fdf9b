"""Logs of the host: lines of files and of the systemd journal, from the past and as they are written."""
