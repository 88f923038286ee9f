"""Faults of the machine, injected into every stage, into MLflow's and BentoML's stores and into the service."""
