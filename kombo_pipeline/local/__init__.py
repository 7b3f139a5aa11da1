"""The one-machine stack behind `kombo-pipeline up`: its processes, its first user, the feeds of the sandbox."""
