"""The management API 2016-08-15, which is also served as 2021-04-06: one file per group of resources."""
