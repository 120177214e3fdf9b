"""Blobs: bytes too large for the database, kept under a key in a local folder or an S3 bucket.

Nothing else in the center knows which of the two it is.
"""
