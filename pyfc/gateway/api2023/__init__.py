"""The management API 2023-03-30 (FC 3.0): functions without services. They stand in service `default`."""
