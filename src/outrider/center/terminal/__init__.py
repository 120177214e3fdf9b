"""The room of terminals: shells of hosts in a person's window, audited and, where that is set, recorded."""
