"""The door of the controller: docs/protocol.md section 6."""
