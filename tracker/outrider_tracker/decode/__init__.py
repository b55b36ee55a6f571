"""From durable lines to ranks, feed items and series."""
