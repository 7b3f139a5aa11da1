"""The one-machine stack: an embedded Postgres and the processes of `kombo-pipeline up`."""
