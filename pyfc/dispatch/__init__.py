"""Asynchronous calls: put into the queue, taken out, tried again, their outcomes delivered."""
