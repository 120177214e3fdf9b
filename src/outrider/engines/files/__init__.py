"""Files of the host: found beneath the roots its policy allows, read, packed, written whole or not at all."""
