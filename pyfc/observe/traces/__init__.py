"""Spans of calls, made of their records and exported by OTLP."""
