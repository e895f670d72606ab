"""What a component exports. Only ``carrara policy build`` imports it: its bindings exist inside a component alone."""
