"""What calls have cost, as numbers by function and time: FC's metrics, and what the bill is made of."""
