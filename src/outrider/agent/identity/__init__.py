"""A host's identity: its key pair, made once at the agent's first start.

Files in the agent's folder: `identity.key` (0600), `identity.pem` (a certificate for the same key, shown to
peers) and `identity.json` (what the agent says about itself), written last.

The daemon never loads the cryptography library: a short-lived child, `python -m outrider.agent.identity`,
makes the key pair and signs with it.
"""
