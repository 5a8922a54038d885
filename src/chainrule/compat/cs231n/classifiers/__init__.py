"""The networks of CS231n's assignments."""
