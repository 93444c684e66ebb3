"""Five characters of very different build and rig, to look at what a take becomes on each."""
