"""The pages of the console: one view per page, a template of the same name beside it."""
