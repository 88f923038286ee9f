"""Who asks: the service and its web page."""
