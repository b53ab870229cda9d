"""Bytes to records; imports nothing else of ours."""
