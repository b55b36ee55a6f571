"""The door of the sidecars: docs/protocol.md section 5."""
