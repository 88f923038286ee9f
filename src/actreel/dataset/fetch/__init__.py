"""UCF50 from its page to unpacked class folders."""
