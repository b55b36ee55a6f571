"""Decisions: pure functions over observed objects. Nothing here talks to anything."""
