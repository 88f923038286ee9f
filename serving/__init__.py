"""The service and its web page."""
