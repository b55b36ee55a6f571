"""Values and decisions that everything above shares: no rows, no files, no HTTP, no clock."""
