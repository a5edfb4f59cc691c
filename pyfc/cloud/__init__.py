"""Stand-ins of the cloud's services that functions talk to: one package a service."""
