"""From scored customers to published tables, visible all at once or not at all."""
