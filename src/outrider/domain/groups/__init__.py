"""Groups of hosts: the rules that sort agents in and out, and whose profile an agent gets."""
