"""Files of hosts: listed, looked at, downloaded, uploaded; nothing of them stays at the center."""
