"""What hosts keep for their containers: configurations, and agents told of them."""
