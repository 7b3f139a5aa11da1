"""The internal web app: review, job picker, links, integrations."""
