"""The W&B client protocol: what the unmodified SDK and its public API ask (docs/decisions/0007)."""
