"""Recognises the videos of an archive: from a folder, a table or a store of objects to partitioned Parquet."""
