"""Resolvers of the W&B schema, one module an area, beside schema/<area>.graphql."""
