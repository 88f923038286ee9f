"""Actreel: human action recognition, reproducible from raw video to a served model."""
