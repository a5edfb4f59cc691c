"""The version of pyfc, in a module of its own: everyone may know it, and it knows nobody."""

VERSION = "0.1.0"
