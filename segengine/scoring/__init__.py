"""Which segment a customer belongs to, how surely, and how far from its centre."""
