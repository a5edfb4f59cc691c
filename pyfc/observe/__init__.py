"""What happened: the journal of calls, function logs, their markers."""
