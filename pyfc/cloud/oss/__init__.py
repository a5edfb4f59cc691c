"""The object store, as OSS's clients speak to it."""
