"""What a traced run opened beyond what the lock knows already."""
