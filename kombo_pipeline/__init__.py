"""A Postgres copy of every customer's ATS jobs, always current, with your own jobs linked to them."""
