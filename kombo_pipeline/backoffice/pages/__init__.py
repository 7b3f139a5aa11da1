"""The pages: what a person sees and does, one module a subject, each with its routes."""
