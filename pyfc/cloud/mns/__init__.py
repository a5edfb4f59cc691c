"""The message service: queues and topics, as MNS's clients speak to them."""
