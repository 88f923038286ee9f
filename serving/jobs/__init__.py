"""Jobs: videos that are answered later. Their state is kept in one SQLite file, which all workers share."""
