"""Downloads UCF50 and unpacks it into class folders."""
