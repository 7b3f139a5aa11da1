"""The pipeline as Dagster sees it. Only this folder and definitions import dagster."""
