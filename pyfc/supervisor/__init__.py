"""Makes running instances match the desired state, and hands calls to them."""
