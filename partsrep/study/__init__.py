"""What the book asks of fitted models and of data."""
