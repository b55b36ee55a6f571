"""The shapes that users write and the API server keeps: models, their schema, the CustomResourceDefinition."""
