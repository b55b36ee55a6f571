"""What the tracker keeps, and how: SQLite for rows, a folder for blobs."""
